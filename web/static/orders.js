// Orders about a tree: start, stop, move (切换) and release, each with a confirmation that says what will happen on which
// node, in which order of resources, and what stands in its way. Whether it may be done is said by servhad.
import { signal } from "@preact/signals";
import { useDialog } from "./dialog.js";
import { html } from "./html.js";
import { picture } from "./live.js";
import { order } from "./server.js";
import { t } from "./words.js";

const TOLD_MS = 15_000;
const asked = signal(null); // {tree, verb, node}: what the dialog is about
const busy = signal(false);
const trouble = signal("");
const told = signal({}); // tree -> the number of the order that was given just now

// The resources from the root to the leaves; what is in one round goes on at the same time.
export function rounds(resources) {
  const names = new Set(resources.map((r) => r.name));
  const done = new Set();
  const found = [];
  while (done.size < names.size) {
    const ready = resources.filter((r) => !done.has(r.name) && r.after.every((n) => done.has(n) || !names.has(n)));
    if (!ready.length) break; // a cycle, which the configuration refuses
    found.push(ready.map((r) => r.name).join(" + "));
    for (const r of ready) done.add(r.name);
  }
  return found;
}

// What will happen, one sentence for each half.
export function effects({ verb, node, tree }) {
  const up = rounds(tree.resources);
  const holds = tree.running_on;
  if (verb === "release") return [t("order.effect-release", { tree: tree.name })];
  const lines = [];
  const stops = holds && (verb === "stop" || node !== holds);
  if (stops) lines.push(t("order.effect-stop", { node: holds, what: [...up].reverse().join(" → ") }));
  if (verb === "stop") lines.push(t("order.effect-stays", { tree: tree.name }));
  else if (!holds || stops) lines.push(t("order.effect-start", { node: node || t("order.any"), what: up.join(" → ") }));
  if (stops) lines.push(t(verb === "stop" ? "order.cost-stop" : "order.cost-move"));
  return lines;
}

export function OrderButtons({ tree }) {
  const ask = (verb, node = "") => () => {
    trouble.value = "";
    asked.value = { tree: tree.name, verb, node };
  };
  const elsewhere = tree.running_on ? tree.hosts.filter((node) => node !== tree.running_on) : [];
  return html`<div class="row wrap" role="group" aria-label=${t("order.all", { tree: tree.name })}>
    ${!tree.running_on && html`<button type="button" onClick=${ask("start")}>${t("order.start")}</button>`}
    ${elsewhere.map((node) => html`<button type="button" key=${node} onClick=${ask("move", node)}>${t("order.move", { node })}</button>`)}
    ${tree.order.goal !== "stop" && html`<button type="button" onClick=${ask("stop")}>${t("order.stop")}</button>`}
    ${tree.order.pin && html`<button type="button" onClick=${ask("release")}>${t("order.release")}</button>`}
  </div>`;
}

export function OrderTold({ tree }) {
  const number = told.value[tree.name];
  return html`<p role="status" class="hint">${number ? t("order.given", { number }) : ""}</p>`;
}

function inTheWay(tree, node) {
  const checks = node ? (tree.phase_by_node[node]?.checks ?? []) : [];
  return checks.flatMap((check) => check.problems.map((p) => `${check.resource || tree.name}: ${p.text}`));
}

async function give({ tree, verb, node }) {
  busy.value = true;
  try {
    const { number } = await order(tree, node ? { verb, node } : { verb });
    told.value = { ...told.value, [tree]: number };
    setTimeout(() => told.value[tree] === number && (told.value = { ...told.value, [tree]: 0 }), TOLD_MS);
    asked.value = null;
  } catch (error) {
    trouble.value = error.message;
  } finally {
    busy.value = false;
  }
}

export function Confirmation() {
  const wanted = asked.value;
  const tree = wanted && picture.value.trees.find((one) => one.name === wanted.tree);
  const close = () => (asked.value = null);
  const dialog = useDialog(wanted, close);
  return html`<dialog ...${dialog} aria-labelledby="confirm-title">
    ${tree &&
    html`<h2 id="confirm-title">${t(`order.${wanted.verb}-title`, { tree: tree.name, node: wanted.node })}</h2>
      <p>${t("order.happens")}</p>
      <ol>${effects({ ...wanted, tree }).map((line) => html`<li>${line}</li>`)}</ol>
      ${wanted.verb !== "stop" && inTheWay(tree, wanted.node).map((line) => html`<p class="trouble">${t("order.in-the-way")} ${line}</p>`)}
      <p class="trouble" role="alert">${trouble.value}</p>
      <div class="row end">
        <button type="button" onClick=${close}>${t("button.cancel")}</button>
        <button type="button" class="main" disabled=${busy.value} onClick=${() => void give(wanted)}>
          ${t(`order.${wanted.verb}-do`)}</button>
      </div>`}
  </dialog>`;
}
