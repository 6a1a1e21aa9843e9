// A resource tree itself: created, edited or deleted; its hosts in order of preference and its policies. What may be is
// said by servhad.
import { signal } from "@preact/signals";
import { Change, ChangeDialog } from "./change.js";
import { Field, typedAll, valuesOf } from "./fields.js";
import { Ordered } from "./ordered.js";
import { html } from "./html.js";
import { t } from "./words.js";

const FIELDS = [
  { name: "start_mode", type: "choice", default: "auto", choices: ["auto", "manual"] },
  { name: "switch_policy", type: "choice", default: "by-priority", choices: ["by-priority", "highest-only"] },
  { name: "failback", type: "choice", default: "preferred", choices: ["preferred", "stay", "window"] },
  { name: "failback_window", type: "text", default: "" },
  { name: "hold_down_s", type: "number", default: 60 },
  { name: "stop_failure", type: "choice", default: "wait", choices: ["wait", "escalate"] },
  { name: "start_failure", type: "choice", default: "next-host", choices: ["next-host", "stay"] },
];

const form = signal(null); // what is typed: {name, texts, hosts}
const nodes = signal([]);

function fill(document) {
  const { tree: name } = change.about.value;
  nodes.value = document.nodes.map((node) => node.name);
  const tree = document.trees.find((one) => one.name === name);
  if (name && !tree) return t("edit.gone", { tree: name });
  form.value = { name: name ?? "", texts: typedAll(FIELDS, tree ?? {}), hosts: tree?.hosts ?? nodes.value };
}

function edit(document) {
  const { tree: name, doing } = change.about.value;
  if (doing === "delete") return { ...document, trees: document.trees.filter((one) => one.name !== name) };
  const typed = { name: form.value.name, hosts: form.value.hosts, ...valuesOf(FIELDS, form.value.texts) };
  if (doing === "create") {
    // A number is not used again while a higher one exists: beats and memories name trees by it.
    const id = Math.max(0, ...document.trees.map((one) => one.id)) + 1;
    return { ...document, trees: [...document.trees, { id, resources: [], ...typed }] };
  }
  const bare = (tree) => Object.fromEntries(Object.entries(tree).filter(([key]) => !FIELDS.some((field) => field.name === key)));
  return { ...document, trees: document.trees.map((one) => (one.name === name ? { ...bare(one), ...typed } : one)) };
}

const change = new Change({ fill, edit });

async function open(about) {
  await change.open(about);
  if (about.doing === "delete" && change.base.value) await change.planNow();
}

function set(part) {
  form.value = { ...form.value, ...part };
  change.planSoon();
}

export const CreateTree = () => html`<button type="button" onClick=${() => void open({ doing: "create" })}>${t("tree.create")}</button>`;

export function TreeButtons({ tree }) {
  const one = (doing) =>
    html`<button type="button" aria-label=${t(`edit.${doing}-of`, { name: tree.name })} onClick=${() => void open({ doing, tree: tree.name })}>${t(`edit.${doing}`)}</button>`;
  return html`${one("edit")}${one("delete")}`;
}

function Fields() {
  const { name, texts, hosts } = form.value;
  const at = `trees.${name}`;
  const problemsAt = (path) => change.problems.value.filter((problem) => problem.path === path);
  const fields = FIELDS.filter((field) => field.name !== "failback_window" || texts.failback === "window");
  return html`<label class="above" for="tree-name">${t("edit.name")} <span class="hint">${t("edit.required")}</span></label>
    <input id="tree-name" autocomplete="off" spellcheck=${false} value=${name} onInput=${(event) => set({ name: event.currentTarget.value })} />
    <${Ordered} legend=${t("field.hosts")} all=${nodes.value} chosen=${hosts} set=${(chosen) => set({ hosts: chosen })} />
    ${fields.map(
      (field) => html`<${Field} key=${field.name} id="tree-${field.name}" field=${field} text=${texts[field.name]}
        set=${(text) => set({ texts: { ...texts, [field.name]: text } })} problems=${problemsAt(`${at}.${field.name}`)} />`,
    )}`;
}

export function TreeDialog() {
  const { doing = "edit", tree = "" } = change.about.value ?? {};
  const deleting = doing === "delete";
  const beside = form.value ? FIELDS.map((field) => `trees.${form.value.name}.${field.name}`) : [];
  return html`<${ChangeDialog} change=${change} title=${t(`tree.${doing}-title`, { name: tree })} beside=${beside} act=${deleting ? t("edit.delete") : undefined}>
    ${!deleting && change.about.value && html`<${Fields} />`}
  </${ChangeDialog}>`;
}
