// Which resource starts after which, changed by keyboard: every choice is planned by servhad at once, nothing is done
// before the plan is agreed to, and it can be undone. When somebody else was quicker, their change is shown, ours stays.
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { html } from "./html.js";
import { changeConfiguration, configuration } from "./server.js";
import { t } from "./words.js";

const asked = signal(""); // the tree that the dialog is about
const base = signal(null); // what GET /config said
const chosen = signal({}); // resource -> what it shall start after
const about = signal(""); // the resource whose boxes are shown
const plan = signal(null); // sentences; null: not known
const trouble = signal([]); // sentences
const late = signal(false); // somebody else was quicker
const done = signal(null); // {generation, before}: what was just done, and the dependencies as they were
const busy = signal(false);
let planned = 0; // only the answer to the newest question counts

const treeOf = (config) => config.document.trees.find((tree) => tree.name === asked.value);
const dependencies = (config) => Object.fromEntries(treeOf(config).resources.map((r) => [r.name, r.after ?? []]));

function wish(config, after) {
  const trees = config.document.trees.map((tree) =>
    tree.name !== asked.value ? tree : { ...tree, resources: tree.resources.map((r) => ({ ...r, after: after[r.name] ?? r.after })) },
  );
  return { document: { ...config.document, trees }, base_generation: config.generation };
}

function told(error) {
  late.value = error.code === "refused" && error.problems.length > 0;
  trouble.value = [error.message, ...error.problems.map((p) => `${p.path ? `${p.path}: ` : ""}${p.because.text} ${p.remedy?.text ?? ""}`)];
}

function treeIn(config) {
  const found = treeOf(config);
  if (!found) trouble.value = [t("edit.gone", { tree: asked.value })];
  return found;
}

async function planIt() {
  const number = ++planned;
  plan.value = null;
  try {
    const { changes } = await changeConfiguration({ ...wish(base.value, chosen.value), dry_run: true });
    if (number !== planned) return;
    plan.value = changes.map((one) => one.text);
    trouble.value = [];
  } catch (error) {
    if (number === planned) told(error);
  }
}

async function open(tree) {
  asked.value = tree;
  for (const [one, empty] of [[base, null], [plan, null], [done, null], [trouble, []], [late, false]]) one.value = empty;
  try {
    const now = await configuration();
    if (!treeIn(now)) return;
    base.value = now;
    chosen.value = dependencies(now);
    about.value = treeOf(base.value).resources[0]?.name ?? "";
  } catch (error) {
    told(error);
  }
}

// Ours on top of what is in force now: only what was changed here, so that theirs stays.
async function again() {
  try {
    const now = await configuration();
    if (!treeIn(now)) return;
    const [was, is] = [dependencies(base.value), dependencies(now)];
    const ours = Object.entries(chosen.value).filter(([name, after]) => name in is && String(after) !== String(was[name]));
    chosen.value = { ...is, ...Object.fromEntries(ours) };
    if (!(about.value in is)) about.value = Object.keys(is)[0] ?? "";
    base.value = now;
    late.value = false;
    await planIt();
  } catch (error) {
    told(error);
  }
}

async function apply() {
  busy.value = true;
  try {
    const before = dependencies(base.value);
    const { generation } = await changeConfiguration(wish(base.value, chosen.value));
    done.value = { generation, before };
  } catch (error) {
    plan.value = null;
    told(error);
  } finally {
    busy.value = false;
  }
}

// Only while nobody has changed anything since: else servhad says what, and theirs stays.
async function undo() {
  busy.value = true;
  try {
    const { generation, before } = done.value;
    await changeConfiguration({ ...wish(await configuration(), before), base_generation: generation });
    asked.value = "";
  } catch (error) {
    told(error);
  } finally {
    busy.value = false;
  }
}

function toggle(name) {
  const had = chosen.value[about.value] ?? [];
  const after = had.includes(name) ? had.filter((one) => one !== name) : [...had, name];
  chosen.value = { ...chosen.value, [about.value]: after };
  if (!late.value) void planIt();
}

export function DependencyButton({ tree }) {
  if (tree.resources.length < 2) return null;
  return html`<button type="button" aria-label=${t("edit.depends-of", { tree: tree.name })} onClick=${() => void open(tree.name)}>
    ${t("edit.depends-button")}</button>`;
}

function Boxes() {
  const names = Object.keys(chosen.value);
  return html`<label for="depends-about">${t("edit.resource")}</label>
    <select id="depends-about" value=${about.value} onChange=${(event) => (about.value = event.currentTarget.value)}>
      ${names.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}
    </select>
    <fieldset><legend>${t("edit.depends", { name: about.value })}</legend>
      ${names.filter((name) => name !== about.value).map(
        (name) => html`<label key=${name} class="box"><input type="checkbox" checked=${(chosen.value[about.value] ?? []).includes(name)} onChange=${() => toggle(name)} /> ${name}</label>`,
      )}
    </fieldset>
    ${plan.value &&
    html`<h3>${t("edit.plan")}</h3>
      ${plan.value.length ? html`<ul class="plan">${plan.value.map((line) => html`<li>${line}</li>`)}</ul>` : html`<p>${t("edit.nothing")}</p>`}`}`;
}

export function DependencyDialog() {
  const dialog = useRef();
  useEffect(() => {
    if (asked.value && !dialog.current.open) dialog.current.showModal();
    if (!asked.value && dialog.current.open) dialog.current.close();
  }, [asked.value]);
  useEffect(() => () => (asked.value = ""), []); // another screen: nothing is asked any more
  const close = () => (asked.value = "");
  const main = late.value
    ? html`<button type="button" class="main" onClick=${() => void again()}>${t("edit.again")}</button>`
    : html`<button type="button" class="main" disabled=${busy.value || !plan.value?.length} onClick=${() => void apply()}>${t("edit.apply")}</button>`;
  return html`<dialog ref=${dialog} onClose=${close} aria-labelledby="depends-title">
    ${asked.value &&
    html`<h2 id="depends-title">${t("edit.depends-title", { tree: asked.value })}</h2>
      ${done.value ? html`<p role="status">${t("edit.done", { generation: done.value.generation })}</p>` : base.value && html`<${Boxes} />`}
      <div class="trouble" role="alert">${trouble.value.map((line) => html`<p>${line}</p>`)}</div>
      <div class="row end">
        <button type="button" onClick=${close}>${t(done.value ? "button.close" : "button.cancel")}</button>
        ${done.value ? html`<button type="button" disabled=${busy.value} onClick=${() => void undo()}>${t("edit.undo")}</button>` : main}
      </div>`}
  </dialog>`;
}
