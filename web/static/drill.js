// A drill (切换演练): a tree is moved to its other host and back, and a report says how long each half took. It begins
// only while the other host could take over, says beforehand what it costs, and stops at the first half that does not
// end as it should: nothing further is ordered then. What is measured is what this page was told.
import { signal } from "@preact/signals";
import { useDialog } from "./dialog.js";
import { html } from "./html.js";
import { entryId, picture } from "./live.js";
import { State } from "./moods.js";
import { rounds } from "./orders.js";
import { ask, order } from "./server.js";
import { clock, duration, zone } from "./times.js";
import { roleOf } from "./trees-chips.js";
import { t } from "./words.js";

const HALF_MS = 600_000;
const LOOK_MS = 50;
const asked = signal(null); // {tree}: what the dialog is about
const report = signal(null); // {tree, began, halves: [{from, to, outage_s, whole_s, steps}], verdict}
const busy = signal("");
const trouble = signal("");

const treeOf = (name) => picture.value?.trees.find((one) => one.name === name);
const otherHost = (tree) => tree.hosts.find((node) => node !== tree.running_on);

// What keeps a drill from beginning; empty when nothing does.
function against(tree) {
  const other = tree.running_on && otherHost(tree);
  if (!other) return t("drill.not-running");
  const { role, because } = roleOf(tree, other);
  return role === "standby" ? "" : t("drill.not-ready", { node: other, reason: because || t(`role.${role}`) });
}

export function DrillButton({ tree }) {
  if (!tree.running_on || tree.hosts.length < 2 || !tree.resources.length) return null;
  const open = () => {
    report.value = null;
    trouble.value = "";
    asked.value = { tree: tree.name };
  };
  return html`<button type="button" aria-label=${t("drill.button", { tree: tree.name })} onClick=${open}>${t("drill.begin")}</button>`;
}

const pause = () => new Promise((resolve) => setTimeout(resolve, LOOK_MS));
const isUp = (tree, node) => tree.running_on === node && tree.resources.every((one) => one.step === "on");

// Moves the tree to `to` and returns how long nobody ran it, and how long all of it took.
async function half(name, to) {
  const from = treeOf(name).running_on;
  busy.value = t("drill.moving", { tree: name, node: to });
  const began = performance.now();
  let dark = null;
  await order(name, { verb: "move", node: to });
  while (!isUp(treeOf(name) ?? { resources: [] }, to)) {
    const tree = treeOf(name);
    if (!tree || performance.now() - began > HALF_MS) throw new Error(t("drill.late", { node: to, time: duration(HALF_MS / 1000) }));
    if (tree.running_on !== from || tree.phase_by_node[from]?.phase !== "running") dark ??= performance.now();
    const phase = tree.phase_by_node[to]?.phase;
    if (dark && phase === "off" && tree.phase_by_node[to].parked !== "no") throw new Error(t("drill.failed", { node: to, reason: tree.phase_by_node[to].against?.text ?? "" }));
    await pause();
  }
  const ended = performance.now();
  return { from, to, outage_s: dark ? (ended - dark) / 1000 : 0, whole_s: (ended - began) / 1000 };
}

// Each resource's stop and start as the journals of both nodes tell it; what is in `known` was told before.
async function steps(name, known) {
  const { entries } = await ask("GET", `/why?tree=${encodeURIComponent(name)}`);
  const fresh = entries.filter((entry) => !known.has(entryId(entry)));
  for (const entry of fresh) known.add(entryId(entry));
  return fresh
    .filter((entry) => entry.took_s > 0 && entry.subject.startsWith(`${name}/`))
    .map((entry) => ({ node: entry.node, what: entry.subject, after: entry.after, took_s: entry.took_s }));
}

async function carryOut(event) {
  event.preventDefault();
  const name = asked.value.tree;
  const tree = treeOf(name);
  const [home, away, free] = [tree.running_on, otherHost(tree), !tree.order.pin];
  const found = { tree: name, began: new Date().toISOString(), halves: [], verdict: "broken-off" };
  trouble.value = "";
  try {
    const known = new Set();
    await steps(name, known);
    for (const to of [away, home]) {
      const one = await half(name, to);
      one.steps = await steps(name, known);
      found.halves = [...found.halves, one];
      report.value = { ...found };
      await ready(name, one.from);
    }
    if (free) await order(name, { verb: "release" });
    found.verdict = "well";
  } catch (error) {
    trouble.value = error.message;
  } finally {
    busy.value = "";
    report.value = { ...found };
  }
}

// The way back is taken only when the host there is ready again.
async function ready(name, node) {
  const began = performance.now();
  while (roleOf(treeOf(name), node).role !== "standby") {
    if (performance.now() - began > HALF_MS) throw new Error(t("drill.late", { node, time: duration(HALF_MS / 1000) }));
    await pause();
  }
}

const exact = (seconds) => (seconds < 1 ? duration(seconds) : t("time.s", { n: seconds.toFixed(1) }));
const lineOf = (one) => t("drill.half", { from: one.from, to: one.to, outage: exact(one.outage_s), whole: exact(one.whole_s) });

function save() {
  const { tree, began, halves, verdict } = report.value;
  const lines = [t("drill.report", { tree }), `${clock(began)} ${zone()}`, t(`drill.${verdict}`)];
  for (const one of halves) lines.push("", lineOf(one), ...one.steps.map((step) => `  ${step.node} ${step.what} ${t(`step.${step.after}`)} ${exact(step.took_s)}`));
  if (trouble.value) lines.push("", trouble.value);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${lines.join("\n")}\n`], { type: "text/plain;charset=utf-8" }));
  link.download = `servha-drill-${tree}-${began.slice(0, 10)}.txt`;
  link.click();
  URL.revokeObjectURL(link.href);
}

function Report() {
  const { tree, began, halves, verdict } = report.value;
  return html`<h3>${t("drill.report", { tree })}</h3>
    <p class="hint">${clock(began)} ${zone()}</p>
    <p><${State} group="drill" name=${verdict} as=${verdict === "well" ? "good" : busy.value ? "warn" : "bad"} /></p>
    ${halves.map((one) => html`<p>${lineOf(one)}</p>
      <ul>${one.steps.map((step) => html`<li>${step.node} ${step.what} <${State} group="step" name=${step.after} /> ${exact(step.took_s)}</li>`)}</ul>`)}`;
}

export function DrillDialog() {
  const tree = treeOf(asked.value?.tree);
  const close = () => !busy.value && (asked.value = null);
  const dialog = useDialog(asked.value, close);
  const why = tree && !busy.value && !report.value ? against(tree) : "";
  return html`<dialog ...${dialog} onCancel=${(event) => busy.value && event.preventDefault()} aria-labelledby="drill-title">
    ${tree &&
    html`<form onSubmit=${carryOut}>
      <h2 id="drill-title">${t("drill.title", { tree: tree.name })}</h2>
      ${!busy.value && !report.value && html`<p>${t("order.happens")}</p>
        <ol><li>${t("drill.there", { from: tree.running_on, to: otherHost(tree), what: rounds(tree.resources).join(" → ") })}</li><li>${t("drill.back", { node: tree.running_on })}</li></ol>
        <p>${t("drill.cost")}</p>`}
      ${why && html`<p class="trouble">${t("order.in-the-way")} ${why}</p>`}
      <div role="status">${busy.value && html`<p>${busy.value}</p><progress />`}${report.value && html`<${Report} />`}</div>
      <p class="trouble" role="alert">${trouble.value}</p>
      <div class="row end">
        ${report.value && !busy.value && html`<button type="button" onClick=${save}>${t("drill.save")}</button><button type="button" onClick=${() => window.print()}>${t("drill.print")}</button>`}
        <button type="button" disabled=${Boolean(busy.value)} onClick=${close}>${t(report.value ? "button.close" : "button.cancel")}</button>
        ${!report.value && html`<button type="submit" class="main" disabled=${Boolean(busy.value || why)}>${t("drill.do")}</button>`}
      </div>
    </form>`}
  </dialog>`;
}
