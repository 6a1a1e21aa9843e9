// Which resource of a tree starts after which: chosen by keyboard in a dialog, or begun by dragging one resource onto
// another in the picture. Whether it may be (a circle may not) is said by servhad.
import { signal } from "@preact/signals";
import { Change, ChangeDialog } from "./change.js";
import { html } from "./html.js";
import { t } from "./words.js";

const chosen = signal({}); // resource -> what it shall start after
const was = signal({}); // the same as it was found
const about = signal(""); // the resource whose boxes are shown

function fill(document) {
  const tree = document.trees.find((one) => one.name === change.about.value.tree);
  if (!tree) return t("edit.gone", { tree: change.about.value.tree });
  was.value = Object.fromEntries(tree.resources.map((r) => [r.name, r.after ?? []]));
  const { resource, onto } = change.about.value;
  const dropped = resource && !was.value[resource].includes(onto) ? { [resource]: [...was.value[resource], onto] } : {};
  chosen.value = { ...was.value, ...dropped };
  about.value = resource ?? tree.resources[0].name;
}

// Only what was chosen otherwise than it was found: what others have changed meanwhile stays.
function edit(document) {
  const ours = (r) => (String(chosen.value[r.name]) === String(was.value[r.name]) ? r : { ...r, after: chosen.value[r.name] });
  const trees = document.trees.map((tree) => (tree.name === change.about.value.tree ? { ...tree, resources: tree.resources.map(ours) } : tree));
  return { ...document, trees };
}

const change = new Change({ fill, edit });

function toggle(name) {
  const had = chosen.value[about.value];
  const after = had.includes(name) ? had.filter((one) => one !== name) : [...had, name];
  chosen.value = { ...chosen.value, [about.value]: after };
  change.planSoon();
}

// What was dragged onto what: it hangs below it from now on, once the plan is agreed to.
export async function depend(tree, resource, onto) {
  await change.open({ tree, resource, onto });
  if (change.base.value) await change.planNow();
}

export function DependencyButton({ tree }) {
  if (tree.resources.length < 2) return null;
  return html`<button type="button" aria-label=${t("edit.depends-of", { tree: tree.name })} onClick=${() => void change.open({ tree: tree.name })}>
    ${t("edit.depends-button")}</button>`;
}

export function DependencyDialog() {
  const names = Object.keys(chosen.value);
  return html`<${ChangeDialog} change=${change} title=${t("edit.depends-title", { tree: change.about.value?.tree })}>
    <label class="above" for="depends-about">${t("edit.resource")}</label>
    <select id="depends-about" value=${about.value} onChange=${(event) => (about.value = event.currentTarget.value)}>
      ${names.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}
    </select>
    <fieldset><legend>${t("edit.depends", { name: about.value })}</legend>
      ${names.filter((name) => name !== about.value).map(
        (name) => html`<label key=${name} class="box"><input type="checkbox" checked=${chosen.value[about.value].includes(name)} onChange=${() => toggle(name)} /> ${name}</label>`,
      )}
    </fieldset>
  </${ChangeDialog}>`;
}
