// Change IP (更改IP): each heartbeat's interface and address on each node, and the order in which heartbeats are used.
// It says what to do before and after in the operating systems; servhad looks at what is typed, and what runs stays.
import { signal } from "@preact/signals";
import { Change, ChangeDialog } from "./change.js";
import { Field } from "./fields.js";
import { html } from "./html.js";
import { picture } from "./live.js";
import { State } from "./moods.js";
import { Ordered } from "./ordered.js";
import { t } from "./words.js";

const PARTS = ["nic", "address"];
const form = signal(null); // {order: [link], ends: {node: {link: {nic, address}}}}
const was = signal(null); // the same as it was found

function fill(document) {
  const ends = Object.fromEntries(document.nodes.map((node) => [node.name, node.links]));
  was.value = form.value = { order: document.links, ends };
}

// Only what was typed otherwise than it was found: what others have changed meanwhile stays.
function edit(document) {
  const { order, ends } = form.value;
  const end = (node, link) => Object.fromEntries(PARTS.filter((part) => ends[node][link][part] !== was.value.ends[node][link][part]).map((part) => [part, ends[node][link][part].trim()]));
  const nodes = document.nodes.map((node) => ({
    ...node,
    links: Object.fromEntries(Object.entries(node.links).map(([link, now]) => [link, { ...now, ...(ends[node.name]?.[link] ? end(node.name, link) : {}) }])),
  }));
  return { ...document, nodes, links: String(order) === String(was.value.order) ? document.links : order };
}

const change = new Change({ fill, edit });

function set(part) {
  form.value = { ...form.value, ...part };
  change.planSoon();
}

const setEnd = (node, link, part, text) =>
  set({ ends: { ...form.value.ends, [node]: { ...form.value.ends[node], [link]: { ...form.value.ends[node][link], [part]: text } } } });

export const AddressesButton = () => html`<button type="button" onClick=${() => void change.open({})}>${t("addresses.change")}</button>`;

const pathOf = (node, link, part) => `nodes.${node}.links.${link}.${part}`;

function Fields() {
  const { order, ends } = form.value;
  return html`<ol>${["before", "here", "after"].map((step) => html`<li>${t(`addresses.step-${step}`)}</li>`)}</ol>
    ${order.map(
      (link) => html`<fieldset key=${link}><legend>${link}</legend>
        ${Object.entries(ends).filter(([, links]) => links[link]).map(([node, links]) =>
          PARTS.map(
            (part) => html`<${Field} key=${`${node}-${part}`} id="end-${node}-${link}-${part}" field=${{ name: part, type: "text", words: t(`addresses.${part}`, { node }) }}
              text=${links[link][part]} set=${(text) => setEnd(node, link, part, text)} problems=${change.problems.value.filter((p) => p.path === pathOf(node, link, part))} />`,
          ),
        )}
      </fieldset>`,
    )}
    <${Ordered} legend=${t("addresses.order")} all=${order} chosen=${order} set=${(chosen) => set({ order: chosen })} fixed=${true} />`;
}

// After the change: whether every heartbeat is heard, live.
function Heard() {
  const links = picture.value.nodes.flatMap((node) => node.links.map((link) => ({ ...link, node: node.name })));
  return html`<p>${t("addresses.then")}</p>
    <ul class="plain">${links.map((link) => html`<li key=${`${link.node} ${link.name}`}>${link.node} ${link.name} <${State} group="link" name=${link.state} /> <span class="hint">${link.nic} ${link.address}</span></li>`)}</ul>`;
}

export function AddressesDialog() {
  const beside = form.value ? Object.entries(form.value.ends).flatMap(([node, links]) => Object.keys(links).flatMap((link) => PARTS.map((part) => pathOf(node, link, part)))) : [];
  return html`<${ChangeDialog} change=${change} title=${t("addresses.title")} beside=${beside} after=${html`<${Heard} />`}>
    ${change.about.value && html`<${Fields} />`}
  </${ChangeDialog}>`;
}
