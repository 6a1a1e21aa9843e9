// Why a tree is where it is: the journals of both nodes side by side, one column for each node, newest first, with
// rule, reason and age of what was seen. What it waits for now stands on top.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { changeOf, subjectOf } from "./entry.js";
import { about } from "./frame.js";
import { html } from "./html.js";
import { byTime, entries, entryId, picture } from "./live.js";
import { State } from "./moods.js";
import { ask } from "./server.js";
import { clock, duration, zone } from "./times.js";
import { language, t } from "./words.js";

const SHOWN_MAX = 60;
const answer = signal(null);
const trouble = signal("");
let number = 0;

async function load(tree) {
  const mine = ++number;
  try {
    const told = await ask("GET", `/why?tree=${encodeURIComponent(tree)}`);
    if (mine !== number) return; // a newer question is under way
    answer.value = told;
    trouble.value = "";
  } catch (error) {
    if (mine === number) trouble.value = error.message;
  }
}

function Moment({ entry, nodes }) {
  return html`<tr key=${entryId(entry)}>
    <th scope="row" class="time"><time datetime=${entry.at}>${clock(entry.at)}</time></th>
    ${nodes.map(
      (node) => html`<td key=${node} data-node=${node} class=${entry.node === node ? `here ${entry.severity}` : "elsewhere"}>
        ${entry.node === node &&
        html`<div><${State} group="severity" name=${entry.severity} /> <strong>${subjectOf(entry)}</strong> ${changeOf(entry)}
            ${entry.took_s > 0 ? html` <span class="hint">${t("why.took", { time: duration(entry.took_s) })}</span>` : ""}</div>
          <div>${entry.because?.text ?? ""}</div>
          ${entry.facts.map((fact) => html`<div class="hint">${fact.what.text} · ${fact.source} · ${t("why.age", { time: duration(fact.age_s) })}</div>`)}
          ${entry.otherwise?.text && html`<div class="hint">${t("why.otherwise")} ${entry.otherwise.text}</div>`}
          ${entry.rule && html`<div class="hint"><code>${entry.rule}</code></div>`}`}
      </td>`,
    )}
  </tr>`;
}

export function Why() {
  const trees = picture.value.trees.map((tree) => tree.name);
  const tree = trees.includes(about.value) ? about.value : (trees[0] ?? "");
  const newest = entries.value.at(-1);
  useEffect(() => void load(tree), [tree, newest && entryId(newest), language.value]);
  const nodes = picture.value.nodes.map((node) => node.name).sort();
  const told = answer.value?.tree === tree ? answer.value : null;
  const waits = told?.waits?.[tree];
  return html`<h1>${t("screen.why")}</h1>
    <form class="row wrap" onSubmit=${(e) => e.preventDefault()}>
      <span><label for="why-tree">${t("why.tree")}</label>
        <select id="why-tree" value=${tree} onChange=${(e) => (location.hash = `why/${encodeURIComponent(e.currentTarget.value)}`)}>
          ${trees.map((name) => html`<option key=${name} value=${name} selected=${name === tree}>${name}</option>`)}
        </select></span>
    </form>
    <p class="trouble" role="alert">${trouble.value}</p>
    ${waits && html`<p class="note">${t("why.waits")} ${waits.text}</p>`}
    ${told?.peer_missing && html`<p class="note">${t("why.peer-missing")}</p>`}
    <p class="hint">${t("event.zone", { zone: zone() })}</p>
    <div class="scroll" tabindex="0" role="region" aria-label=${t("why.timeline", { tree })}>
      <table class="timeline">
        <thead><tr><th scope="col">${t("event.time")}</th>${nodes.map((node) => html`<th scope="col" key=${node}>${node}</th>`)}</tr></thead>
        <tbody>${(told?.entries ?? []).toSorted(byTime).reverse().slice(0, SHOWN_MAX).map((entry) => html`<${Moment} key=${entryId(entry)} entry=${entry} nodes=${nodes} />`)}</tbody>
      </table>
    </div>`;
}
