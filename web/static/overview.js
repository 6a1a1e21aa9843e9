// The cluster on one screen: problems first, then nodes and their heartbeats, arbitration and what it guarantees.
import { html } from "./html.js";
import { agedS, picture } from "./live.js";
import { MaintenanceButton, MaintenanceDialog, MaintenanceLines } from "./maintenance.js";
import { State } from "./moods.js";
import { Quality, ms, percent } from "./quality.js";
import { duration } from "./times.js";
import { NodeChips } from "./trees-chips.js";
import { t } from "./words.js";

function Problems() {
  const alarms = picture.value.alarms;
  if (!alarms.length) return html`<p><${State} group="problem" name="none" as="good" /></p>`;
  return html`<ul class="plain problems">
    ${alarms.map(
      (alarm) => html`<li key=${alarm.key} class=${alarm.severity}>
        <${State} group="severity" name=${alarm.severity} />
        <span class="grow">${alarm.text.text}</span>
        <span class="hint">${t("time.since", { time: duration(agedS(alarm.since_s)) })}</span>
      </li>`,
    )}
  </ul>`;
}

function Nodes() {
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${t("overview.nodes")}>
    <table>
      <thead>
        <tr><th scope="col">${t("node.name")}</th><th scope="col">${t("node.health")}</th>
          <th scope="col">${t("node.standing")}</th><th scope="col">${t("node.links")}</th></tr>
      </thead>
      <tbody>
        ${picture.value.nodes.map(
          (node) => html`<tr key=${node.name}>
            <th scope="row">${node.name}${node.us ? html` <span class="hint">${t("node.us")}</span>` : ""}
              <div><${MaintenanceButton} scope="node" name=${node.name} /></div></th>
            <td><${State} group="health" name=${node.health} /><div class="hint">${node.us ? "" : node.health_because.text}</div></td>
            <td>${node.standing ? html`<${State} group="standing" name=${node.standing} />` : "-"}</td>
            <td><ul class="plain">${node.links.map((link) => html`<${Link} key=${link.name} link=${link} />`)}</ul></td>
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

function Link({ link }) {
  return html`<li>${link.name} <${State} group="link" name=${link.state} />
    <span class="hint"> ${link.nic} ${link.address} ${link.rtt_ms != null && ms(link.rtt_ms)}</span>
    ${link.loss > 0 && html` <span class="state warn">${t("quality.lost", { part: percent(link.loss) })}</span>`}
    ${link.carrier === false && html` <${State} group="link" name="no-carrier" as="bad" />`}</li>`;
}

function Arbitration() {
  const { arbitration, cluster } = picture.value;
  const lease = arbitration.lease;
  return html`<dl>
    <dt>${t("arbitration.policy")}</dt><dd>${t(`policy.${arbitration.policy}`)}</dd>
    <dt>${t("arbitration.guarantee")}</dt>
    <dd>${cluster.guarantee.text.text}</dd>
    <dt>${t("arbitration.right")}</dt>
    <dd><${State} group="right" name=${arbitration.right} /> <span class="hint">${arbitration.because.text}</span></dd>
    ${arbitration.references.map(
      (reference) => html`<dt>IP ${reference.address}</dt>
        <dd><${State} group="answers" ...${answers(reference.answers)} /></dd>`,
    )}
    ${lease &&
    html`<dt>${t("arbitration.disk")}</dt>
      <dd>${lease.disk.device} <${State} group="answers" ...${answers(lease.disk.works)} />
        ${lease.disk.round_ms != null && html`<span class="hint">${ms(lease.disk.round_ms)}</span>`} ${lease.disk.trouble.text ?? ""}</dd>
      <dt>${t("arbitration.lease")}</dt>
      <dd><${State} group="lease" name=${lease.word} /> <span class="hint">${lease.because.text ?? ""}</span></dd>`}
  </dl>`;
}

function answers(value) {
  return value == null ? { name: "unknown" } : value ? { name: "answers" } : { name: "silent" };
}

function Applications() {
  const trees = picture.value.trees;
  if (!trees.length) return html`<p>${t("tree.none")}</p>`;
  return html`<ul class="plain">
    ${trees.map(
      (tree) => html`<li key=${tree.name} class="row wrap">
        <a href="#trees/${encodeURIComponent(tree.name)}">${tree.name}${tree.running_on ? ` [${tree.running_on}]` : ""}</a>
        <${NodeChips} tree=${tree} />
      </li>`,
    )}
  </ul>`;
}

export function Overview() {
  const part = (key, Content) =>
    html`<section class="card" aria-labelledby="part-${key}"><h2 id="part-${key}">${t(`overview.${key}`)}</h2><${Content} /></section>`;
  const maintenance = picture.value.maintenance ?? [];
  return html`<h1>${t("screen.overview")}</h1>
    ${part("problems", Problems)} ${part("trees", Applications)} ${part("nodes", Nodes)} ${part("arbitration", Arbitration)} ${part("quality", Quality)}
    ${maintenance.length > 0 &&
    html`<section class="card"><h2>${t("overview.maintenance")}</h2>
      <${MaintenanceLines} of=${() => true} /></section>`}
    <${MaintenanceDialog} />`;
}
