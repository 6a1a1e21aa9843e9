// The chip of each node in a tree, as the manual colours them: green where it runs, blue where it could be taken over,
// and 无法启动 with the reason where it could not.
import { html } from "./html.js";
import { t } from "./words.js";

// What one node is for a tree: "active", "standby", "unable", "busy", "failed" or "unknown", and why.
export function roleOf(tree, node) {
  const side = tree.phase_by_node[node];
  if (!side || side.phase === "unknown") return { role: "unknown", because: "" };
  const because = side.against?.text || "";
  if (side.phase === "running") return { role: "active", because: "" };
  if (side.phase === "stop-failed") return { role: "failed", because: side.because?.text || because };
  if (["starting", "stopping", "wanted"].includes(side.phase)) return { role: side.phase, because: "" };
  const problems = side.checks.flatMap((check) => check.problems.map((p) => p.text));
  if (side.fitness === "unfit" || side.parked !== "no") return { role: "unable", because: because || problems[0] || "" };
  if (side.fitness === "unknown") return { role: "unknown", because };
  return { role: "standby", because: "" };
}

export function NodeChips({ tree }) {
  return html`<ul class="plain row wrap">
    ${tree.hosts.map((node) => {
      const { role, because } = roleOf(tree, node);
      return html`<li key=${node} class="chip ${role}"><strong>${node}</strong> ${t(`role.${role}`)}${because ? `: ${because}` : ""}</li>`;
    })}
  </ul>`;
}
