// The nodes: each with what it is, its heartbeats and what it runs; what belongs to the cluster as a whole beside them:
// addresses, arbitration, a new server in the place of a lost one, and what version this is.
import { AddressesButton, AddressesDialog } from "./addresses-form.js";
import { ArbitrationButton, ArbitrationDialog } from "./arbitration-form.js";
import { html } from "./html.js";
import { agedS, picture } from "./live.js";
import { MaintenanceButton, MaintenanceDialog, MaintenanceLines } from "./maintenance.js";
import { State } from "./moods.js";
import { Invitation, ReplacementButton, ReplacementDialog } from "./replacement.js";
import { duration } from "./times.js";
import { language, t } from "./words.js";

function Heartbeats({ node }) {
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${t("node.links-of", { node: node.name })}>
    <table>
      <thead><tr>${["link", "state", "nic", "address", "silent"].map((key) => html`<th scope="col">${t(`node.link-${key}`)}</th>`)}</tr></thead>
      <tbody>
        ${node.links.map(
          (link) => html`<tr key=${link.name}>
            <th scope="row">${link.name}</th>
            <td><${State} group="link" name=${link.state} />${link.carrier === false && html` <${State} group="link" name="no-carrier" as="bad" />`}</td>
            <td>${link.nic}</td><td>${link.address}</td><td>${link.silent_s == null ? "-" : duration(link.silent_s)}</td>
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

function Runs({ node }) {
  const trees = picture.value.trees.filter((tree) => tree.phase_by_node[node.name]);
  if (!trees.length) return html`<p>${t("tree.none")}</p>`;
  return html`<ul class="plain">
    ${trees.map((tree) => {
      const side = tree.phase_by_node[node.name];
      return html`<li key=${tree.name}><a href="#trees/${encodeURIComponent(tree.name)}">${tree.name}</a> <${State} group="phase" name=${side.phase} />${" "}
        <span class="hint">${side.because?.text ?? ""}</span></li>`;
    })}
  </ul>`;
}

function Node({ node }) {
  const id = `node-${node.name}`;
  return html`<article class="card" aria-labelledby=${id}>
    <header class="row between wrap">
      <h2 id=${id}>${node.name}${node.us ? html` <span class="hint">${t("node.us")}</span>` : ""}${node.version && html` <span class="hint">ServHA ${node.version}</span>`}</h2>
      <div class="row wrap"><${MaintenanceButton} scope="node" name=${node.name} /><${ReplacementButton} node=${node} /></div>
    </header>
    <${MaintenanceLines} of=${(m) => m.what === node.name} />
    <p><${State} group="health" name=${node.health} /> ${node.standing && html`<${State} group="standing" name=${node.standing} />`}
      <span class="hint"> ${node.us ? picture.value.standing_because.text : node.health_because.text}</span></p>
    <h3>${t("node.links")}</h3><${Heartbeats} node=${node} />
    <h3>${t("overview.trees")}</h3><${Runs} node=${node} />
  </article>`;
}

function About() {
  const { daemon, config, cluster } = picture.value;
  return html`<dl>
    <dt>${t("about.version")}</dt><dd>ServHA ${daemon.version}</dd>
    <dt>${t("about.licence")}</dt><dd>${t("about.licence-words")}</dd>
    <dt>${t("about.libraries")}</dt><dd>Preact, htm, signals, dagre (MIT): <a href="/static/vendor/manifest.json">manifest</a></dd>
    <dt>${t("about.cluster")}</dt><dd>${cluster.name} <span class="hint">${cluster.id}</span></dd>
    <dt>${t("about.generation")}</dt><dd>${config.generation}${config.peer_generation != null && config.peer_generation !== config.generation ? html` <span class="hint">${t("about.peer-generation", { n: config.peer_generation })}</span>` : ""}</dd>
    <dt>${t("about.interface")}</dt><dd><a href="/api">/api</a></dd>
    <dt>${t("about.support")}</dt><dd><a href="/api/v1/bundle?lang=${language.value}" download>${t("about.support-get")}</a> <span class="hint">${t("about.support-words")}</span></dd>
    <dt>${t("about.up")}</dt><dd>${duration(agedS(daemon.up_s))}</dd>
  </dl>`;
}

export function Nodes() {
  const { nodes } = picture.value;
  return html`<div class="row between wrap"><h1>${t("screen.nodes")}</h1><div class="row wrap"><${AddressesButton} /><${ArbitrationButton} /></div></div>
    ${nodes.map((node) => html`<${Node} key=${node.name} node=${node} />`)}
    ${nodes.filter((node) => node.health !== "absent").length < 2 && html`<section class="card"><h2>${t("replacement.second")}</h2><${Invitation} /></section>`}
    <section class="card" aria-labelledby="about"><h2 id="about">${t("about.title")}</h2><${About} /></section>
    <${MaintenanceDialog} /><${AddressesDialog} /><${ArbitrationDialog} /><${ReplacementDialog} />`;
}
