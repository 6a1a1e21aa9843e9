// The wizard that makes a cluster (初始化集群向导): this node, the cluster, the heartbeats, and what will be done.
// Every stroke is planned by servhad, whose words stand at the field they are about; nothing is done before the last step.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { sentence } from "./change.js";
import { Field } from "./fields.js";
import { html } from "./html.js";
import { Ordered } from "./ordered.js";
import { loadSession, makeCluster } from "./server.js";
import { NicChoice, Secret, Summary, Wizard, endIfVoid, here, lookHere, numberOf } from "./wizard.js";
import { LANGUAGES, language, t } from "./words.js";

const SETTLED_MS = 300;
const STEPS = ["node", "cluster", "links", "confirm"];
const FIGURES = { interval_ms: "2200", timeout_ms: "3000", warn_count: "2", dead_count: "3", first_start_ms: "15000" };
const POLICIES = ["none", "reference-address", "quorum-disk", "reference-address-and-quorum-disk"];
const FIELDS = [["node", "description"], ["name", "password", "again", "language", "policy", "references", "quorum_disk", "port", "timing", ...Object.keys(FIGURES)], ["links"]];
// Which field a problem's path is about; the first that fits.
const ABOUT = [
  ["links", /^links|^nodes.*\.links/],
  ["node", /^nodes.*\.name$/],
  ["description", /^nodes.*\.description$/],
  ["port", /^ports/],
  ...Object.keys(FIGURES).map((name) => [name, new RegExp(`^timing\\.${name}$`)]),
  ["timing", /^timing/],
  ...["name", "language", "policy", "references", "quorum_disk"].map((name) => [name, new RegExp(`^cluster\\.${name}`)]),
  ["password", /^password/],
  ["again", /^again/],
];
const fieldOf = (problem) => ABOUT.find(([, path]) => path.test(problem.path))?.[0];

const form = signal(null);
const at = signal(0);
const touched = signal(new Set());
const problems = signal([]);
const planned = signal(null); // what servhad would make of it
const trouble = signal("");
const busy = signal(false);
const added = signal({ name: "", end: null });
let newest = 0;
let settling = 0;

const empty = () => ({
  node: here.value.host, description: "", name: "HA", password: "", again: "", language: language.value,
  policy: "none", references: "", quorum_disk: "", port: "14338", ...FIGURES, links: [],
});

function wish() {
  const f = form.value;
  const timing = Object.keys(FIGURES).filter((name) => f[name].trim()).map((name) => [name, numberOf(f[name])]);
  return {
    ...Object.fromEntries(["node", "name", "quorum_disk"].map((name) => [name, f[name].trim()])),
    description: f.description,
    language: f.language,
    policy: f.policy,
    password: f.password,
    references: f.references.split(/[\s,，]+/u).filter(Boolean),
    timing: Object.fromEntries(timing),
    ports: f.port.trim() ? { heartbeat: numberOf(f.port) } : {},
    links: Object.fromEntries(f.links.map(({ name, nic, address }) => [name, { nic, address }])),
    order: f.links.map(({ name }) => name),
  };
}

function set(name, value) {
  form.value = { ...form.value, [name]: value };
  touched.value = new Set([...touched.value, name]);
  if (name === "links") problems.value = problems.value.filter((one) => fieldOf(one) !== name); // that was another list
  clearTimeout(settling);
  newest += 1;
  settling = setTimeout(() => void plan(), SETTLED_MS);
}

async function plan() {
  clearTimeout(settling);
  const number = ++newest;
  trouble.value = "";
  const differ = form.value.password !== form.value.again ? [{ path: "again", because: { text: t("password.differ") } }] : [];
  try {
    const told = await makeCluster({ ...wish(), dry_run: true });
    if (number !== newest) return;
    planned.value = told;
    problems.value = differ;
  } catch (error) {
    if (number !== newest) return;
    planned.value = null;
    problems.value = [...differ, ...error.problems];
    if (!error.problems.length) trouble.value = error.message;
    await endIfVoid(error);
  }
}

const about = (name) => (touched.value.has(name) ? problems.value.filter((one) => fieldOf(one) === name) : []);

// Goes to the first step that has something in the way, this one or one before: what stands at its field says what.
function back() {
  const step = FIELDS.findIndex((names, n) => n <= at.value && problems.value.some((one) => names.includes(fieldOf(one))));
  if (step < 0) return false;
  touched.value = new Set([...touched.value, ...FIELDS[step]]);
  at.value = step;
  return true;
}

async function go() {
  busy.value = true;
  try {
    if (at.value === 3) return await make();
    touched.value = new Set([...touched.value, ...FIELDS[at.value]]);
    await plan();
    if (trouble.value) return;
    if (!back()) at.value += 1;
  } finally {
    busy.value = false;
  }
}

async function make() {
  await plan();
  if (trouble.value || problems.value.length) return void back();
  try {
    await makeCluster(wish());
    await loadSession();
    at.value = 0;
    form.value = null; // the password, too
  } catch (error) {
    trouble.value = error.message; // everything typed is still there
    problems.value = error.problems;
    back();
  }
}

function Text({ name, ...more }) {
  const field = { name, type: "text", words: t(`init.${name}`), ...more };
  return html`<div><${Field} id="init-${name}" field=${field} text=${form.value[name]} set=${(text) => set(name, text)} problems=${about(name)} /></div>`;
}

function Node() {
  return html`<p class="hint">${t("init.node-hint")}</p>
    <${Text} name="node" required=${true} /><${Text} name="description" />`;
}

function Cluster() {
  const f = form.value;
  // What is wrong with the figures only when they are taken together.
  const together = ["timing", ...Object.keys(FIGURES)].some((name) => touched.value.has(name)) ? problems.value.filter((one) => fieldOf(one) === "timing") : [];
  const secret = (name) => html`<${Secret} id="init-${name}" words=${t(`init.${name}`)} text=${f[name]} set=${(text) => set(name, text)} problems=${about(name)} />`;
  return html`<div class="pairs"><${Text} name="name" required=${true} />
      <div><label for="init-language">${t("init.language")}</label>
        <select id="init-language" onChange=${(event) => set("language", event.currentTarget.value)}>
          ${Object.entries(LANGUAGES).map(([name, words]) => html`<option key=${name} value=${name} selected=${name === f.language}>${words}</option>`)}</select></div>
      ${secret("password")} ${secret("again")}</div>
    <p class="hint">${t("init.password-hint")}</p>
    <fieldset><legend>${t("overview.arbitration")}</legend>
      <div class="pairs"><${Text} name="policy" type="choice" default="none" choices=${POLICIES} group="policy" />
        <${Text} name="references" /><${Text} name="quorum_disk" /></div>
      <p class="hint">${t("init.references-hint")}</p>
      ${here.value.disks.length > 0 && html`<p class="hint">${t("init.disks")} ${here.value.disks.map((disk) => html`<button type="button" key=${disk} onClick=${() => set("quorum_disk", disk)}>${disk}</button> `)}</p>`}
    </fieldset>
    <fieldset><legend>${t("init.figures")}</legend>
      <div class="pairs"><${Text} name="port" type="whole-number" />
        ${Object.keys(FIGURES).map((name) => html`<${Text} key=${name} name=${name} type="whole-number" />`)}</div>
      ${together.map((one) => html`<p class="trouble">${sentence(one)}</p>`)}
    </fieldset>`;
}

function add() {
  const name = added.value.name.trim() || nextName();
  const { nic, address } = added.value.end ?? { nic: "", address: "" };
  set("links", [...form.value.links.filter((link) => link.name !== name), { name, nic, address }]);
  added.value = { name: "", end: null };
}

const nextName = () => [1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => `heartbeat${n}`).find((name) => !form.value.links.some((link) => link.name === name)) ?? "heartbeat";

function Links() {
  const { links } = form.value;
  const named = (name) => links.find((link) => link.name === name);
  const shown = (name) => `${name}: ${named(name)?.nic} ${named(name)?.address}`;
  const name = { name: "link", type: "text", words: t("init.link-name") };
  return html`<p class="hint">${t("init.links-hint")}</p>
    <div class="pairs">
      <div><${Field} id="init-link-name" field=${name} text=${added.value.name} hint=${nextName()} set=${(text) => (added.value = { ...added.value, name: text })} /></div>
      <${NicChoice} id="init-link-nic" words=${t("init.link-nic")} end=${added.value.end} set=${(end) => (added.value = { ...added.value, end })} />
      <div class="row"><button type="button" disabled=${!added.value.end?.nic} onClick=${add}>${t("init.link-add")}</button>
        <button type="button" onClick=${() => void lookHere()}>${t("wizard.refresh")}</button></div>
    </div>
    <${Ordered} legend=${t("init.links-order")} all=${links.map((link) => link.name)} chosen=${links.map((link) => link.name)} words=${shown}
      set=${(names) => set("links", names.map(named))} />
    ${about("links").map((one) => html`<p class="trouble">${sentence(one)}</p>`)}`;
}

function Confirm() {
  const f = form.value;
  const plain = ["interval_ms", "timeout_ms", "warn_count", "dead_count", "first_start_ms"].map((name) => [t(`init.${name}`), f[name] || FIGURES[name]]);
  const left = planned.value ? [] : problems.value;
  return html`<${Summary} rows=${[
      [t("init.node"), [f.node, f.description].filter(Boolean).join(" - ")],
      [t("init.name"), f.name],
      [t("init.password"), t(f.password ? "init.password-new" : "init.password-kept")],
      [t("init.language"), LANGUAGES[f.language]],
      [t("init.policy"), t(`policy.${f.policy}`)],
      [t("init.references"), f.references || "-"],
      [t("init.quorum_disk"), f.quorum_disk || t("init.no-disk")],
      [t("init.port"), f.port || "14338"],
      ...plain,
      [t("init.links-order"), html`<ol class="ordered">${f.links.map((link) => html`<li key=${link.name}>${link.name}: ${link.nic} ${link.address}</li>`)}</ol>`],
    ]} />
    ${planned.value &&
    html`<h3>${t("init.plan")}</h3><ol>${planned.value.plan.map((one) => html`<li key=${one.text}>${one.text}</li>`)}</ol>
      ${planned.value.notes.map((one) => html`<p key=${one.text} class="warned">${one.text}</p>`)}`}
    ${left.map((one) => html`<p class="trouble">${sentence(one)}</p>`)}`;
}

// Everything typed stays for the next time, but no password.
function forget() {
  clearTimeout(settling);
  if (form.value) form.value = { ...form.value, password: "", again: "" };
}

const SHOWN = [Node, Cluster, Links, Confirm];

export function InitWizard({ cancel }) {
  form.value ??= empty();
  useEffect(() => void plan(), [language.value]);
  useEffect(() => forget, []);
  const Step = SHOWN[at.value];
  return html`<${Wizard} title=${t("founding.init")} steps=${STEPS.map((name) => t(`init.step-${name}`))} at=${at.value} go=${go} back=${() => (at.value -= 1)}
    cancel=${cancel} busy=${busy.value} last="init.finish" trouble=${trouble.value}><${Step} /><//>`;
}
