// Replace a node (更换节点), as far as it is done here: the lost node is taken out with a plan, then the new server is
// invited by a code. Each step says what has to be seen before the next; a node that is alive is not taken out.
import { signal } from "@preact/signals";
import { Change, ChangeDialog } from "./change.js";
import { html } from "./html.js";
import { invite } from "./server.js";
import { duration } from "./times.js";
import { t } from "./words.js";

const GONE = ["lost", "left", "absent"];
const invitation = signal(null); // {code, good_for_s}
const refused = signal("");

const fill = (document) => (document.nodes.some((node) => node.name === change.about.value.node) ? undefined : t("replacement.gone", { node: change.about.value.node }));

function edit(document) {
  const { node: gone } = change.about.value;
  const without = (byNode = {}) => Object.fromEntries(Object.entries(byNode).filter(([name]) => name !== gone));
  return {
    ...document,
    // The node that stays is the first one from now on.
    nodes: document.nodes.filter((node) => node.name !== gone).map((node) => ({ ...node, id: 0 })),
    trees: document.trees.map((tree) => ({
      ...tree,
      hosts: tree.hosts.filter((host) => host !== gone),
      resources: tree.resources.map((r) => ({ ...r, per_node: without(r.per_node) })),
    })),
    maintenance: (document.maintenance ?? []).filter((m) => m.node !== gone),
  };
}

const change = new Change({ fill, edit });

async function open(node) {
  await change.open({ node });
  if (change.base.value) await change.planNow();
}

async function ask() {
  refused.value = "";
  try {
    invitation.value = await invite();
  } catch (error) {
    refused.value = error.message;
  }
}

export function ReplacementButton({ node }) {
  if (node.us || !GONE.includes(node.health)) return null;
  return html`<button type="button" onClick=${() => void open(node.name)}>${t("replacement.begin", { node: node.name })}</button>`;
}

// The code for a second server, while there is none.
export function Invitation() {
  const told = invitation.value;
  return html`<p>${t("replacement.invite-why")}</p>
    <button type="button" onClick=${() => void ask()}>${t("replacement.invite")}</button>
    <div role="status">${told && html`<p><output class="code">${told.code}</output></p><p class="hint">${t("replacement.code", { time: duration(told.good_for_s) })}</p>`}</div>
    <p class="trouble" role="alert">${refused.value}</p>`;
}

export function ReplacementDialog() {
  const node = change.about.value?.node ?? "";
  return html`<${ChangeDialog} change=${change} title=${t("replacement.title", { node })} act=${t("replacement.take-out")} after=${html`<p>${t("replacement.then")}</p>`}>
    <ol>${["off", "out", "install", "join", "hosts"].map((step) => html`<li>${t(`replacement.step-${step}`, { node })}</li>`)}</ol>
  </${ChangeDialog}>`;
}
