// A list in an order that matters, most preferred first: moved by dragging or by buttons, taken out and put in again.
import { useState } from "preact/hooks";
import { html } from "./html.js";
import { t } from "./words.js";

// `fixed`: nothing is taken out. `words(name)`: how an entry is shown, else by its name.
export function Ordered({ legend, all, chosen, set, fixed = false, words = (name) => name }) {
  const [dragged, drag] = useState("");
  const rest = all.filter((name) => !chosen.includes(name));
  const move = (name, place) => {
    const without = chosen.filter((one) => one !== name);
    set([...without.slice(0, place), name, ...without.slice(place)]);
  };
  const drop = (place) => (event) => {
    event.preventDefault();
    if (dragged) move(dragged, place);
    drag("");
  };
  return html`<fieldset><legend>${legend}</legend>
    <ol class="ordered">
      ${chosen.map(
        (name, place) => html`<li key=${name} class="row" draggable=${true} onDragStart=${() => drag(name)} onDragEnd=${() => drag("")}
          onDragOver=${(event) => event.preventDefault()} onDrop=${drop(place)}>
          <span class="grow">${words(name)}</span>
          <button type="button" disabled=${place === 0} aria-label=${t("ordered.up", { name })} onClick=${() => move(name, place - 1)}>↑</button>
          <button type="button" disabled=${place === chosen.length - 1} aria-label=${t("ordered.down", { name })} onClick=${() => move(name, place + 1)}>↓</button>
          ${!fixed && html`<button type="button" aria-label=${t("ordered.out", { name })} onClick=${() => set(chosen.filter((one) => one !== name))}>×</button>`}
        </li>`,
      )}
    </ol>
    ${rest.map((name) => html`<button type="button" key=${name} onClick=${() => set([...chosen, name])}>${t("ordered.in", { name })}</button>`)}
  </fieldset>`;
}
