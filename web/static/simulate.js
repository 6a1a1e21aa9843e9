// What would happen if ...: steps that are played on the running configuration in virtual time, and what came of them as
// a picture of both nodes. Everything is computed by `servha simulate`; nothing on the cluster moves.
import { signal } from "@preact/signals";
import { html } from "./html.js";
import { picture } from "./live.js";
import { State } from "./moods.js";
import { simulation } from "./server.js";
import { has, t } from "./words.js";

const DOINGS = ["poweroff", "boot", "cable", "links", "disk", "disks", "daemon", "break", "move", "heal", "wait"];
const OF_NODE = ["poweroff", "boot", "cable", "disk", "daemon", "move", "break"];
const OF_TREE = ["move", "break"];
const WAIT_MAX_S = 600;
const WIDTH = 900;
const LABEL = 150;
const LANE = 26;

const steps = signal([]);
const told = signal(null);
const trouble = signal("");
const busy = signal(false);

const nodes = () => picture.value.nodes.filter((node) => node.health !== "absent").map((node) => node.name);
const trees = () => picture.value.trees.filter((tree) => tree.resources.length);
const resourcesOf = (name) => trees().find((tree) => tree.name === name)?.resources.map((one) => one.name) ?? [];

// A step with everything that its kind of event needs, as far as it is not chosen yet.
function whole(step) {
  const tree = OF_TREE.includes(step.do) ? step.tree || trees()[0]?.name || "" : "";
  const names = resourcesOf(tree);
  return {
    do: step.do,
    wait_s: step.wait_s ?? 60,
    ...(OF_NODE.includes(step.do) ? { node: step.node || owner() } : {}),
    ...(tree ? { tree } : {}),
    ...(step.do === "break" ? { resource: names.includes(step.resource) ? step.resource : names.at(-1) } : {}),
  };
}

const owner = () => picture.value.trees.find((tree) => tree.running_on)?.running_on ?? nodes()[0];

const stories = () => [
  ["power", [{ do: "wait", wait_s: 5 }, { do: "poweroff" }]],
  ["cable", [{ do: "wait", wait_s: 5 }, { do: "cable" }]],
  ["links", [{ do: "wait", wait_s: 5 }, { do: "links" }, { do: "heal", wait_s: 30 }]],
  ...(trees().length ? [["dies", [{ do: "wait", wait_s: 5 }, ...Array.from({ length: 4 }, () => ({ do: "break", wait_s: 10 }))]]] : []),
  ["both", [{ do: "wait", wait_s: 5 }, ...nodes().map((node) => ({ do: "poweroff", node, wait_s: 10 })), { do: "boot", wait_s: 120 }]],
];

async function play(event) {
  event?.preventDefault();
  busy.value = true;
  trouble.value = "";
  try {
    told.value = await simulation({ steps: steps.value.map((step) => ({ ...step, wait_s: Number(step.wait_s) })) });
  } catch (error) {
    trouble.value = error.message; // the steps stay
    told.value = null;
  } finally {
    busy.value = false;
  }
}

function Step({ step, place }) {
  const put = (part) => (steps.value = steps.value.map((old, index) => (index === place ? whole({ ...old, ...part }) : old)));
  const choose = (part, all, named = (one) => one) =>
    html`<select aria-label=${t(`simulate.${part}-of`, { n: place + 1 })} value=${step[part]} onChange=${(event) => put({ [part]: event.currentTarget.value })}>
      ${all.map((one) => html`<option key=${one} value=${one}>${named(one)}</option>`)}</select>`;
  return html`<li class="row wrap step">
    ${choose("do", DOINGS, (one) => t(`simulate.do-${one}`))}
    ${step.tree && choose("tree", trees().map((tree) => tree.name))}
    ${step.resource && choose("resource", resourcesOf(step.tree))}
    ${step.node && choose("node", nodes())}
    <label>${t("simulate.wait")} <input type="number" min="1" max=${WAIT_MAX_S} required value=${step.wait_s} onInput=${(event) => put({ wait_s: event.currentTarget.value })} /></label>
    <button type="button" aria-label=${t("simulate.remove", { n: place + 1 })} onClick=${() => (steps.value = steps.value.filter((_, index) => index !== place))}>×</button>
  </li>`;
}

// Stretches of time with who ran the tree in them.
export function stretches(history, until_s) {
  return history.map(({ from_s, nodes: who }, place) => ({ from_s, to_s: history[place + 1]?.from_s ?? until_s, who }));
}

const seconds = (value) => t("time.s", { n: Number(value.toFixed(1)) });

function sentenceOf({ from_s, to_s, who }) {
  const by = who.length > 1 ? t("simulate.both-run") : who[0] ?? t("simulate.nobody");
  return `${seconds(from_s)} – ${seconds(to_s)}: ${by} (${seconds(to_s - from_s)})`;
}

function Lanes({ tree, history }) {
  const { until_s, done } = told.value;
  const parts = stretches(history, until_s);
  const x = (at_s) => LABEL + ((WIDTH - LABEL) * at_s) / until_s;
  const lanes = nodes();
  const height = LANE * lanes.length + 18;
  return html`<section class="card" aria-labelledby="played-${tree}"><h3 id="played-${tree}">${tree}</h3>
    <div class="scroll" tabindex="0" role="region" aria-label=${t("simulate.picture", { tree })}>
      <svg class="lanes" width=${WIDTH} height=${height} viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label=${parts.map(sentenceOf).join("; ")}>
        ${lanes.map((node, lane) => html`<g key=${node}>
          <text x="0" y=${lane * LANE + 17}>${node}</text>
          <line class="lane" x1=${LABEL} x2=${WIDTH} y1=${lane * LANE + 12} y2=${lane * LANE + 12} />
          ${parts.filter(({ who }) => who.includes(node)).map(({ from_s, to_s, who }) => html`<rect class=${who.length > 1 ? "dual" : "held"} x=${x(from_s)} y=${lane * LANE + 4} width=${Math.max(1, x(to_s) - x(from_s))} height="16" rx="3" />`)}
        </g>`)}
        ${parts.filter(({ who, from_s }) => !who.length && from_s > 0).map(({ from_s, to_s }) => html`<rect class="nobody" x=${x(from_s)} y="0" width=${Math.max(1, x(to_s) - x(from_s))} height=${LANE * lanes.length} />`)}
        ${done.map(({ at_s }) => html`<line class="done" x1=${x(at_s)} x2=${x(at_s)} y1="0" y2=${LANE * lanes.length} />`)}
        <text class="scale" x=${LABEL} y=${height - 3}>0</text><text class="scale end" x=${WIDTH} y=${height - 3}>${seconds(until_s)}</text>
      </svg>
    </div>
    <ul class="plain">${parts.map((part) => html`<li class=${part.who.length === 1 ? "" : `state ${part.who.length ? "bad" : "warn"}`}>${part.who.length === 1 ? "" : "! "}${sentenceOf(part)}</li>`)}</ul>
  </section>`;
}

function Told() {
  const { held, entries, done, dual_active: dual, broken } = told.value;
  const lines = [...done.map((one) => ({ ...one, mine: true })), ...entries].sort((a, b) => a.at_s - b.at_s);
  return html`<h2>${t("simulate.result")}</h2>
    <p><${State} group="simulate" name=${dual.length || broken.length ? "unsafe" : "safe"} as=${dual.length || broken.length ? "bad" : "good"} /></p>
    ${broken.map((one) => html`<p class="trouble">${seconds(one.at_s)}: ${one.what}</p>`)}
    ${Object.entries(held).map(([tree, history]) => html`<${Lanes} key=${tree} tree=${tree} history=${history} />`)}
    <div class="scroll" tabindex="0" role="region" aria-label=${t("simulate.entries")}>
      <table class="events">
        <thead><tr>${["time", "node", "text"].map((key) => html`<th scope="col" key=${key}>${t(`event.${key}`)}</th>`)}</tr></thead>
        <tbody>${lines.map((one) => html`<tr><th scope="row" class="time">${one.at_s.toFixed(3)}</th><td>${one.mine ? "" : one.node}</td>
          <td>${one.mine ? html`<strong><code>${one.what}</code></strong>` : html`<${State} group="severity" name=${one.severity} /> <strong>${one.subject}</strong> ${wordOf(one.before)} → ${wordOf(one.after)} ${one.because.text}`}</td></tr>`)}</tbody>
      </table>
    </div>`;
}

const GROUPS = ["phase", "standing", "step", "link", "health", "right", "lease"];
const wordOf = (name) => t(GROUPS.map((group) => `${group}.${name}`).find(has) ?? "simulate.as-it-is", { name });

export function Simulate() {
  const begin = (story) => {
    steps.value = story.map(whole);
    void play();
  };
  if (nodes().length < 2) return html`<h1>${t("screen.simulate")}</h1><p>${t("simulate.one-node")}</p>`;
  return html`<h1>${t("screen.simulate")}</h1>
    <p>${t("simulate.about")}</p>
    <div class="row wrap" role="group" aria-label=${t("simulate.stories")}>
      ${stories().map(([name, story]) => html`<button type="button" key=${name} disabled=${busy.value} onClick=${() => begin(story)}>${t(`simulate.story-${name}`, { node: owner() })}</button>`)}
    </div>
    <form onSubmit=${play}>
      <ol class="plain">${steps.value.map((step, place) => html`<${Step} key=${place} step=${step} place=${place} />`)}</ol>
      <div class="row wrap">
        <button type="button" onClick=${() => (steps.value = [...steps.value, whole({ do: "poweroff" })])}>${t("simulate.add")}</button>
        ${steps.value.length > 0 && html`<button type="submit" class="main" disabled=${busy.value}>${t(busy.value ? "simulate.playing" : "simulate.play")}</button>`}
      </div>
    </form>
    <p class="trouble" role="alert">${trouble.value}</p>
    <div role="status">${told.value && !busy.value ? html`<${Told} />` : ""}</div>`;
}
