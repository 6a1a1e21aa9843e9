// The wizard that joins the cluster of another node (加入现有集群): where it is, which interface belongs to which heartbeat,
// and what will be done. Both nodes look at it before anything is done; the steps of the join are shown as they happen.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { sentence } from "./change.js";
import { Field } from "./fields.js";
import { html } from "./html.js";
import { joinCluster, joinProgress, loadSession } from "./server.js";
import { NicChoice, Secret, Summary, Wizard, endIfVoid, here, lookHere } from "./wizard.js";
import { language, t } from "./words.js";

const STEPS = ["where", "links", "confirm"];
const HAPPENS = ["call", "prove", "keep", "finish"];
const POLL_MS = 500;
const FIGURES = ["interval_ms", "timeout_ms", "warn_count", "dead_count"];

const form = signal(null);
const at = signal(0);
const seen = signal(null); // what the first node says of its cluster and of this join
const problems = signal([]);
const trouble = signal("");
const busy = signal(false);
const step = signal(""); // what the join is doing now
let newest = 0;

const empty = () => ({ node: here.value.host, description: "", address: "", way: "password", password: "", code: "", ends: {} });

function wish() {
  const { node, description, address, way, ends } = form.value;
  const links = Object.fromEntries(Object.entries(ends).filter(([, end]) => end.nic).map(([link, { nic, address: ip }]) => [link, { nic, address: ip }]));
  return { node: node.trim(), description, address: address.trim(), [way]: form.value[way], links };
}

function set(name, value) {
  form.value = { ...form.value, [name]: value };
  problems.value = problems.value.filter((one) => one.path !== name);
}

// Asks the first node; a password is shown only when the step is left, for wrong ones are counted there.
async function look() {
  const number = ++newest;
  trouble.value = "";
  problems.value = missing();
  if (problems.value.length) return;
  busy.value = true;
  try {
    const told = await joinCluster({ ...wish(), dry_run: true });
    if (number !== newest) return;
    seen.value = told;
    form.value = { ...form.value, ends: { ...told.paired, ...form.value.ends } };
    problems.value = told.failure?.problems ?? [];
    if (told.failure && !problems.value.length) problems.value = [{ path: "node", because: { text: told.failure.text } }];
  } catch (error) {
    if (number !== newest) return;
    seen.value = null;
    problems.value = error.problems;
    if (!error.problems.length) trouble.value = error.message;
    await endIfVoid(error);
  } finally {
    busy.value = false;
  }
}

const missing = () => ["node", "address", form.value.way].filter((name) => !form.value[name].trim()).map((name) => ({ path: name, because: { text: t("join.missing") } }));

const isNode = (one) => /^node$|^nodes.*\.(name|description)$/.test(one.path) && !one.path.includes(".links.");
const ofLink = (link) => (one) => one.path === `links.${link}` || one.path.includes(`.links.${link}`);
const about = (name) => problems.value.filter((one) => one.path === name || (name === "node" && isNode(one)));

async function go() {
  if (at.value === 2) return join();
  await look();
  if (trouble.value) return;
  const elsewhere = problems.value.filter((one) => !isNode(one) && !["address", "password", "code"].includes(one.path));
  if (at.value === 0 && problems.value.length === elsewhere.length && seen.value) at.value = 1;
  else if (at.value === 1 && !problems.value.length) at.value = 2;
  else if (at.value === 1 && problems.value.length > elsewhere.length) at.value = 0; // the field it is about is there
}

async function join() {
  busy.value = true;
  trouble.value = "";
  step.value = "call";
  const watching = setInterval(async () => {
    const told = await joinProgress().catch(() => null);
    if (told?.step) step.value = told.step;
  }, POLL_MS);
  try {
    await joinCluster(wish());
    await loadSession();
    form.value = seen.value = null;
    at.value = 0;
  } catch (error) {
    trouble.value = error.message; // everything typed is still there
    await joinProgress().catch(endIfVoid); // an answer that was lost on the way: the node may be in the cluster all the same
  } finally {
    clearInterval(watching);
    step.value = "";
    busy.value = false;
  }
}

function Text({ name, ...more }) {
  const field = { name, type: "text", words: t(`join.${name}`), ...more };
  return html`<div><${Field} id="join-${name}" field=${field} text=${form.value[name]} set=${(text) => set(name, text)} problems=${about(name)} /></div>`;
}

function Where() {
  const { way } = form.value;
  return html`<p class="hint">${t("join.where-hint")}</p>
    <${Text} name="address" required=${true} />
    <fieldset><legend>${t("join.way")}</legend>
      ${["password", "code"].map((one) => html`<label key=${one} class="box" for="join-by-${one}"><input type="radio" id="join-by-${one}" name="way" checked=${way === one} onChange=${() => set("way", one)} /> ${t(`join.by-${one}`)}</label>`)}
      ${way === "password" ? html`<${Secret} id="join-password" words=${t("join.password")} complete="off" text=${form.value.password} set=${(text) => set("password", text)} problems=${about("password")} />` : html`<${Text} name="code" />`}
    </fieldset>
    <div class="pairs"><${Text} name="node" required=${true} /><${Text} name="description" /></div>`;
}

function pairWith(link, end) {
  form.value = { ...form.value, ends: { ...form.value.ends, [link]: { nic: end.nic, address: end.address } } };
  void look();
}

async function refresh() {
  busy.value = true;
  try {
    await lookHere();
    await look();
  } catch (error) {
    trouble.value = error.message;
  } finally {
    busy.value = false;
  }
}

function settings() {
  const { cluster, ports, timing } = seen.value.settings;
  return [
    [t("init.name"), cluster.name],
    [t("join.first"), `${seen.value.node} (${form.value.address})`],
    [t("init.policy"), t(`policy.${cluster.policy ?? "none"}`)],
    [t("init.port"), ports?.heartbeat],
    ...FIGURES.map((name) => [t(`init.${name}`), timing?.[name]]),
  ];
}

function Links() {
  return html`<${Summary} rows=${settings()} />
    <h3>${t("join.pairing")}</h3><p class="hint">${t("join.pairing-hint")}</p>
    ${seen.value.links.map(
      (link) => html`<${NicChoice} key=${link.name} id="pair-${link.name}" words=${t("join.pair", { link: link.name, there: `${seen.value.node} ${link.nic} ${link.address}` })}
        end=${form.value.ends[link.name]} set=${(end) => pairWith(link.name, end)} problems=${problems.value.filter(ofLink(link.name))} />`,
    )}
    <p><button type="button" disabled=${busy.value} onClick=${() => void refresh()}>${t("wizard.refresh")}</button></p>
    ${problems.value.filter((one) => !seen.value.links.some((link) => ofLink(link.name)(one))).map((one) => html`<p class="trouble">${sentence(one)}</p>`)}`;
}

function Confirm() {
  const now = HAPPENS.indexOf(step.value);
  const pairs = seen.value.links.map(({ name, nic, address }) => {
    const end = form.value.ends[name];
    return html`<li key=${name}>${name}: ${seen.value.node} ${nic} ${address} ↔ ${form.value.node} ${end?.nic} ${end?.address}</li>`;
  });
  return html`<${Summary} rows=${[[t("join.node"), [form.value.node, form.value.description].filter(Boolean).join(" - ")], ...settings(), [t("node.links"), html`<ol class="ordered">${pairs}</ol>`]]} />
    <h3>${t("init.plan")}</h3>
    <ol class="happening" aria-live="polite">${HAPPENS.map((name, n) => html`<li key=${name} class=${n < now ? "past" : ""} aria-current=${n === now ? "step" : undefined}>${t(`join.happens-${name}`, { node: seen.value.node })}</li>`)}</ol>`;
}

// Everything typed stays for the next time, but no password and no code.
function forget() {
  seen.value = null;
  at.value = 0;
  if (form.value) form.value = { ...form.value, password: "", code: "" };
}

const SHOWN = [Where, Links, Confirm];

export function JoinWizard({ cancel }) {
  form.value ??= empty();
  useEffect(() => {
    if (seen.value) void look(); // its words are in the other language now
  }, [language.value]);
  useEffect(() => forget, []);
  const Step = SHOWN[seen.value ? at.value : 0];
  return html`<${Wizard} title=${t("founding.join")} steps=${STEPS.map((name) => t(`join.step-${name}`))} at=${seen.value ? at.value : 0} go=${go}
    back=${() => (at.value -= 1)} cancel=${cancel} busy=${busy.value} last="join.finish" trouble=${trouble.value}><${Step} /><//>`;
}
