// The resource trees: which node runs what, each tree as a picture of what depends on what and as a table, what stands
// in the way of a takeover, and the orders that may be given. It decides nothing: every reason is servhad's.
import { html } from "./html.js";
import { Canvas } from "./canvas.js";
import { DrillButton, DrillDialog } from "./drill.js";
import { DependencyButton, DependencyDialog } from "./dependencies.js";
import { about } from "./frame.js";
import { agedS, picture } from "./live.js";
import { MaintenanceButton, MaintenanceDialog, MaintenanceLines } from "./maintenance.js";
import { State } from "./moods.js";
import { Progress } from "./progress.js";
import { CreateResource, ResourceButtons, ResourceDialog } from "./resource-form.js";
import { Confirmation, OrderButtons, OrderTold } from "./orders.js";
import { duration } from "./times.js";
import { CreateTree, TreeButtons, TreeDialog } from "./tree-form.js";
import { NodeChips } from "./trees-chips.js";
import { t } from "./words.js";

function Resources({ tree }) {
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${t("tree.resources")}>
    <table>
      <thead><tr>${["resource", "kind", "after", "step", "seen", "since", "doing"].map((key) => html`<th scope="col">${t(`tree.${key}`)}</th>`)}</tr></thead>
      <tbody>
        ${tree.resources.map(
          (r) => html`<tr key=${r.name}>
            <th scope="row">${r.name}</th><td>${r.kind}</td><td>${r.after.join(", ") || "-"}</td>
            <td><${State} group="step" name=${r.step} /></td>
            <td><${State} group="resource" name=${r.state} /> <span class="hint">${r.because.text ?? ""}</span></td>
            <td>${duration(agedS(r.since_s))}</td>
            <td><${ResourceButtons} tree=${tree} resource=${r} /></td>
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

// Whether the node where the tree does not run could take it over, check by check.
function Readiness({ tree }) {
  const measured = Object.entries(tree.phase_by_node).filter(([, side]) => side.checks.length);
  return measured.map(
    ([node, side]) => html`<section key=${node}>
      <h3>${t("tree.readiness", { node })}</h3>
      <ul class="plain">
        ${side.checks.map(
          (check) => html`<li key=${check.resource}>
            <${State} group="ready" name=${check.ready ? "yes" : "no"} as=${check.ready ? "good" : "bad"} />${" "}
            ${check.resource || tree.name}
            ${[...check.problems, ...check.remarks].map((told) => html`<div class="hint">${told.text}</div>`)}
          </li>`,
        )}
      </ul>
    </section>`,
  );
}

function Tree({ tree }) {
  const goal = tree.order.goal === "stop" ? t("tree.goal-stop") : tree.order.pin ? t("tree.pinned", { node: tree.order.pin }) : t("tree.free");
  return html`<article class="card" id="tree-${tree.name}" aria-labelledby="tree-name-${tree.name}">
    <header class="row between wrap">
      <h2 id="tree-name-${tree.name}">${tree.name}${tree.running_on ? ` [${tree.running_on}]` : ""}</h2>
      <div class="row wrap"><${OrderButtons} tree=${tree} /><${DrillButton} tree=${tree} />
        <${MaintenanceButton} scope="tree" name=${tree.name} /><${TreeButtons} tree=${tree} /></div>
    </header>
    <${MaintenanceLines} of=${(m) => m.what.split("/")[0] === tree.name} />
    <${OrderTold} tree=${tree} />
    <${Progress} tree=${tree} />
    <h3>${t("tree.hosts")}</h3>
    <${NodeChips} tree=${tree} />
    <p class="hint">${goal} <a href="#why/${encodeURIComponent(tree.name)}">${t("tree.why")}</a></p>
    <div class="row wrap"><${CreateResource} tree=${tree} /><${DependencyButton} tree=${tree} /></div>
    <${Canvas} tree=${tree} />
    <${Resources} tree=${tree} />
    <${Readiness} tree=${tree} />
  </article>`;
}

export function Trees() {
  const trees = picture.value.trees;
  const wanted = trees.filter((tree) => !about.value || tree.name === about.value);
  return html`<div class="row between wrap"><h1>${t("screen.trees")}</h1><${CreateTree} /></div>
    ${trees.length > 1 &&
    html`<nav class="row wrap" aria-label=${t("screen.trees")}>
      <a href="#trees" aria-current=${about.value ? undefined : "true"}>${t("tree.all")}</a>
      ${trees.map((tree) => html`<a key=${tree.name} href="#trees/${encodeURIComponent(tree.name)}" aria-current=${about.value === tree.name ? "true" : undefined}>${tree.name}</a>`)}
    </nav>`}
    ${wanted.length ? wanted.map((tree) => html`<${Tree} key=${tree.name} tree=${tree} />`) : html`<p>${t("tree.none")}</p>`}
    <${Confirmation} /><${DrillDialog} /><${MaintenanceDialog} /><${DependencyDialog} /><${ResourceDialog} /><${TreeDialog} />`;
}
