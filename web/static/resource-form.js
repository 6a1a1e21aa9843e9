// A resource of a tree: created, edited or deleted. Its fields are those of its kind, as servhad describes them; a value
// may be another one on one node. What is typed is planned at once; what is wrong stands at its field.
import { signal } from "@preact/signals";
import { Change, ChangeDialog } from "./change.js";
import { DetectorFields, detectorPaths, detectorsTyped, detectorValues } from "./detectors-form.js";
import { Field, named, typedAll, valueOf, valuesOf } from "./fields.js";
import { html } from "./html.js";
import { kinds } from "./server.js";
import { t } from "./words.js";

const TIMES = [
  { name: "start_timeout_s", type: "number", default: 120 },
  { name: "stop_timeout_s", type: "number", default: 60 },
  { name: "check_interval_s", type: "number", default: 5 },
  { name: "abnormal_stop_count_max", type: "whole-number", default: 3 },
  { name: "abnormal_stop_window_s", type: "number", default: 60 },
];
const HOOKS = [
  ...["before_start", "after_start", "before_stop", "after_stop", "on_stop_failure"].map((name) => ({ name, type: "list", default: [] })),
  { name: "timeout_s", label: "hook_timeout_s", type: "number", default: 30 },
];
const MAY_DIFFER = ["text", "choice", "whole-number", "number"]; // types of values that may be other ones on a node

const known = signal(null); // GET /kinds
const form = signal(null); // what is typed: {name, kind, settings, nodes, after, times, hooks, detectors}
const others = signal({ names: [], hosts: [] }); // the tree's other resources and its hosts

const fieldsOf = (kind) => known.value.resources[kind]?.fields ?? [];

function typedFrom(section, hosts) {
  const fields = fieldsOf(section.kind);
  const own = (node) => section.per_node?.[node] ?? {};
  return {
    name: section.name,
    kind: section.kind,
    settings: typedAll(fields, section.settings ?? {}),
    nodes: Object.fromEntries(hosts.map((node) => [node, typedAll(fields.filter((f) => f.name in own(node)), own(node))])),
    after: section.after ?? [],
    times: typedAll(TIMES, section),
    hooks: typedAll(HOOKS, section.hooks ?? {}),
    detectors: detectorsTyped(known.value.detectors, section.detectors ?? []),
  };
}

function fill(document) {
  const { tree: name, resource } = change.about.value;
  const tree = document.trees.find((one) => one.name === name);
  if (!tree) return t("edit.gone", { tree: name });
  const found = tree.resources.find((r) => r.name === resource);
  if (resource && !found) return t("edit.gone-resource", { resource: `${name}/${resource}` });
  const rest = tree.resources.filter((r) => r !== found).map((r) => r.name);
  others.value = { names: rest, hosts: tree.hosts };
  form.value = typedFrom(found ?? { name: "", kind: Object.keys(known.value.resources)[0] }, tree.hosts);
}

// The section as typed on top of the one there is: settings that the form does not show stay as they are.
function section(found) {
  const { name, kind, settings, nodes, after, times, hooks, detectors } = form.value;
  const fields = fieldsOf(kind);
  const own = (node, texts) => {
    const kept = Object.entries(found?.per_node?.[node] ?? {}).filter(([key]) => !fields.some((f) => f.name === key));
    const values = fields.filter((f) => texts[f.name]).map((f) => [f.name, valueOf(f, texts[f.name])]);
    return Object.fromEntries([...kept, ...values]);
  };
  const perNode = Object.entries(nodes).map(([node, texts]) => [node, own(node, texts)]);
  const beyond = Object.entries(found?.per_node ?? {}).filter(([node]) => !(node in nodes));
  const bare = Object.fromEntries(Object.entries(found ?? {}).filter(([key]) => !TIMES.some((f) => f.name === key)));
  return {
    ...bare, name, kind, after,
    settings: valuesOf(fields, settings),
    per_node: Object.fromEntries([...beyond, ...perNode.filter(([, values]) => Object.keys(values).length)]),
    ...valuesOf(TIMES, times),
    hooks: valuesOf(HOOKS, hooks),
    detectors: detectorValues(known.value.detectors, detectors),
  };
}

function edit(document) {
  const { tree, resource, doing } = change.about.value;
  const changed = (resources) => {
    if (doing === "delete") return resources.filter((r) => r.name !== resource);
    if (doing === "create") return [...resources, section()];
    return resources.map((r) => (r.name === resource ? section(r) : r));
  };
  return { ...document, trees: document.trees.map((one) => (one.name === tree ? { ...one, resources: changed(one.resources) } : one)) };
}

const change = new Change({ fill, edit });

async function open(about) {
  known.value = null;
  await change.open(about, async () => (known.value = await kinds()));
  if (about.doing === "delete" && change.base.value) await change.planNow();
}

function set(part) {
  form.value = { ...form.value, ...part };
  change.planSoon();
}

const button = (about, key, name) =>
  html`<button type="button" aria-label=${t(`${key}-of`, { name })} onClick=${() => void open(about)}>${t(key)}</button>`;

export const CreateResource = ({ tree }) => button({ doing: "create", tree: tree.name }, "resource.create", tree.name);

export function ResourceButtons({ tree, resource }) {
  const about = { tree: tree.name, resource: resource.name };
  return html`<div class="row">
    ${button({ ...about, doing: "edit" }, "edit.edit", `${tree.name}/${resource.name}`)}
    ${button({ ...about, doing: "delete" }, "edit.delete", `${tree.name}/${resource.name}`)}
  </div>`;
}

const problemsAt = (path) => change.problems.value.filter((problem) => problem.path === path);
const here = () => `trees.${change.about.value.tree}.resources.${form.value.name}`;

function Settings({ fields, texts, setTexts, path, at, hints = {} }) {
  return fields.map(
    (field) => html`<${Field} key=${field.name} id="${path}-${field.name}" field=${field} text=${texts[field.name] ?? ""} hint=${hints[field.name]}
      set=${(text) => setTexts({ ...texts, [field.name]: text })} problems=${problemsAt(`${at}.${field.name}`)} />`,
  );
}

function Differing({ fields }) {
  const { nodes, settings } = form.value;
  const may = fields.filter((field) => MAY_DIFFER.includes(field.type));
  return html`<details open=${Object.values(nodes).some((texts) => Object.keys(texts).length)}><summary>${t("edit.per-node")}</summary>
    ${Object.entries(nodes).map(
      ([node, texts]) => html`<fieldset key=${node}><legend>${t("edit.on-node", { node })}</legend>
        <${Settings} fields=${may.map((field) => ({ ...field, required: false }))} texts=${texts} path="only-${node}" at="${here()}.per_node.${node}" hints=${settings}
          setTexts=${(own) => set({ nodes: { ...nodes, [node]: own } })} />
      </fieldset>`,
    )}
  </details>`;
}

function Fields() {
  const { name, kind, settings, after, times, hooks } = form.value;
  const creating = change.about.value.doing === "create";
  const fields = fieldsOf(kind);
  const choose = (event) => set({ kind: event.currentTarget.value, settings: typedAll(fieldsOf(event.currentTarget.value), {}), nodes: Object.fromEntries(others.value.hosts.map((node) => [node, {}])) });
  const toggle = (one) => () => set({ after: after.includes(one) ? after.filter((n) => n !== one) : [...after, one] });
  return html`${creating &&
    html`<label class="above" for="resource-kind">${t("tree.kind")}</label>
      <select id="resource-kind" value=${kind} onChange=${choose}>${Object.entries(known.value.resources).map(([word, one]) => html`<option key=${word} value=${word}>${named(one)} (${word})</option>`)}</select>
      <label class="above" for="resource-name">${t("edit.name")} <span class="hint">${t("edit.required")}</span></label>
      <input id="resource-name" autocomplete="off" spellcheck=${false} value=${name} onInput=${(event) => set({ name: event.currentTarget.value })} />`}
    <${Settings} fields=${fields} texts=${settings} setTexts=${(own) => set({ settings: own })} path="setting" at="${here()}.settings" />
    ${others.value.names.length > 0 &&
    html`<fieldset><legend>${t("edit.depends", { name: name || t("edit.resource") })}</legend>
      ${others.value.names.map((one) => html`<label key=${one} class="box"><input type="checkbox" checked=${after.includes(one)} onChange=${toggle(one)} /> ${one}</label>`)}
    </fieldset>`}
    <${Differing} fields=${fields} />
    <${DetectorFields} kinds=${known.value.detectors} detectors=${form.value.detectors} set=${(detectors) => set({ detectors })} at="${here()}.detectors" problemsAt=${problemsAt} />
    <details><summary>${t("edit.advanced")}</summary>
      <${Settings} fields=${TIMES} texts=${times} setTexts=${(own) => set({ times: own })} path="time" at=${here()} />
      <fieldset><legend>${t("edit.hooks")}</legend>
        <${Settings} fields=${HOOKS} texts=${hooks}
          setTexts=${(own) => set({ hooks: own })} path="hook" at="${here()}.hooks" />
      </fieldset>
    </details>`;
}

// Where the form itself says what is wrong.
function paths() {
  if (!form.value || !known.value) return [];
  const fields = fieldsOf(form.value.kind).map((field) => field.name);
  return [
    ...fields.map((name) => `${here()}.settings.${name}`),
    ...Object.keys(form.value.nodes).flatMap((node) => fields.map((name) => `${here()}.per_node.${node}.${name}`)),
    ...TIMES.map((field) => `${here()}.${field.name}`),
    ...HOOKS.map((field) => `${here()}.hooks.${field.name}`),
    ...detectorPaths(known.value.detectors, form.value.detectors, `${here()}.detectors`),
  ];
}

export function ResourceDialog() {
  const { doing = "edit", tree, resource = "" } = change.about.value ?? {};
  const title = t(`resource.${doing}-title`, { tree, name: `${tree}/${resource}` });
  const deleting = doing === "delete";
  return html`<${ChangeDialog} change=${change} title=${title} beside=${change.about.value && !deleting ? paths() : []} act=${deleting ? t("edit.delete") : undefined}>
    ${!deleting && change.about.value && html`<${Fields} />`}
  </${ChangeDialog}>`;
}
