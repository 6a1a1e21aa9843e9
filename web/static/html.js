// What every screen is written with: tagged templates that become preact's elements.
import htm from "htm";
import { h } from "preact";

export const html = htm.bind(h);
