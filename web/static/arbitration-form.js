// Arbitration (仲裁): how a tie is broken, and by which reference addresses and which quorum disk. What a policy
// guarantees is told by the plan and by the overview, in servhad's words.
import { signal } from "@preact/signals";
import { Change, ChangeDialog } from "./change.js";
import { Field, typedAll, valuesOf } from "./fields.js";
import { html } from "./html.js";
import { t } from "./words.js";

const POLICIES = ["none", "reference-address", "quorum-disk", "reference-address-and-quorum-disk"];
const FIELDS = [
  { name: "policy", type: "choice", default: "none", choices: POLICIES, group: "policy" },
  { name: "references", type: "list", default: [] },
  { name: "quorum_disk", type: "text", default: "" },
];
const form = signal({});
const was = signal({});

function fill(document) {
  was.value = form.value = typedAll(FIELDS, document.cluster);
}

function edit(document) {
  const changed = FIELDS.filter((field) => form.value[field.name] !== was.value[field.name]);
  const kept = Object.fromEntries(Object.entries(document.cluster).filter(([name]) => !changed.some((field) => field.name === name)));
  return { ...document, cluster: { ...kept, ...valuesOf(changed, form.value) } };
}

const change = new Change({ fill, edit });

function set(name, text) {
  form.value = { ...form.value, [name]: text };
  change.planSoon();
}

export const ArbitrationButton = () => html`<button type="button" onClick=${() => void change.open({})}>${t("arbitration.change")}</button>`;

export function ArbitrationDialog() {
  return html`<${ChangeDialog} change=${change} title=${t("arbitration.title")} beside=${FIELDS.map((field) => `cluster.${field.name}`)}>
    ${FIELDS.map(
      (field) => html`<${Field} key=${field.name} id="arbitration-${field.name}" field=${field} text=${form.value[field.name]} set=${(text) => set(field.name, text)}
        problems=${change.problems.value.filter((problem) => problem.path === `cluster.${field.name}`)} />`,
    )}
  </${ChangeDialog}>`;
}
