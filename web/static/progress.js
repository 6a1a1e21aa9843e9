// What goes on while a tree is started, stopped or moved: its steps, how long it takes already, and how long each half took
// the last time by the journal. It expects nothing of what was never seen.
import { html } from "./html.js";
import { entries, nowMs } from "./live.js";
import { State } from "./moods.js";
import { rounds } from "./orders.js";
import { duration } from "./times.js";
import { t } from "./words.js";

const MOVING = ["starting", "stopping", "wanted"];
const since = new Map(); // tree -> when this page first saw it move

// The last time that each resource took, the longest of each round added up; null where one was never seen.
export function lastTook(tree, after, told) {
  let whole = 0;
  for (const round of rounds(tree.resources)) {
    const took = round.split(" + ").map((name) => told.findLast((entry) => entry.subject === `${tree.name}/${name}` && entry.after === after && entry.took_s > 0)?.took_s);
    if (took.includes(undefined)) return null;
    whole += Math.max(...took);
  }
  return whole;
}

function Expected({ tree }) {
  const halves = [["stop", lastTook(tree, "off", entries.value)], ["start", lastTook(tree, "on", entries.value)]].filter(([, took]) => took !== null);
  const begun = since.get(tree.name) ?? nowMs.value;
  return html`<p class="hint">${t("tree.takes", { time: duration(Math.max(0, nowMs.value - begun) / 1000) })}
    ${halves.map(([half, took]) => html` ${t(`tree.last-${half}`, { time: duration(took) })}`)}</p>`;
}

export function Progress({ tree }) {
  const moving = Object.entries(tree.phase_by_node).filter(([, side]) => MOVING.includes(side.phase));
  if (!moving.length) {
    since.delete(tree.name);
    return html`<div role="status"></div>`;
  }
  if (!since.has(tree.name)) since.set(tree.name, Date.now());
  const done = tree.resources.filter((r) => r.step === "on").length;
  return html`<div role="status" class="note">
    ${moving.map(([node, side]) => html`<p key=${node}><${State} group="phase" name=${side.phase} /> ${node} ${side.because?.text ?? ""}</p>`)}
    <progress max=${tree.resources.length} value=${done} aria-label=${t("tree.progress", { done, all: tree.resources.length })}></progress>
    <span> ${t("tree.progress", { done, all: tree.resources.length })}</span>
    <${Expected} tree=${tree} />
  </div>`;
}
