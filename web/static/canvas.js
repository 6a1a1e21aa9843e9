// One resource tree as a picture: what has to run first stands on top, an arrow leads to what depends on it.
// Dagre lays it out, since a resource may depend on several. The table beside it says the same in words.
import { Graph, layout } from "dagre";
import { html } from "./html.js";
import { mood } from "./moods.js";
import { state, t } from "./words.js";

const WIDTH = 168;
const HEIGHT = 58;
const LETTERS_MAX = 18;
const KNOWN_MAX = 64;

// Where every resource and every arrow goes: computed anew only when names or dependencies change.
const known = new Map();

function placed(resources) {
  const key = resources.map((r) => `${r.name}<${r.after.join(",")}`).join(";");
  if (known.has(key)) return known.get(key);
  const graph = new Graph();
  graph.setGraph({ rankdir: "TB", nodesep: 28, ranksep: 44, marginx: 8, marginy: 8 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const r of resources) graph.setNode(r.name, { width: WIDTH, height: HEIGHT });
  for (const r of resources) for (const root of r.after) if (graph.hasNode(root)) graph.setEdge(root, r.name);
  layout(graph);
  const found = {
    ...graph.graph(),
    at: Object.fromEntries(resources.map((r) => [r.name, graph.node(r.name)])),
    arrows: graph.edges().map((edge) => graph.edge(edge).points),
  };
  if (known.size >= KNOWN_MAX) known.clear();
  known.set(key, found);
  return found;
}

const short = (text) => (text.length > LETTERS_MAX ? `${text.slice(0, LETTERS_MAX - 1)}…` : text);

export function Canvas({ tree }) {
  if (!tree.resources.length) return html`<p>${t("tree.no-resources")}</p>`;
  const { width, height, at, arrows } = placed(tree.resources);
  const words = tree.resources.map((r) => `${r.name}: ${state("step", r.step)}`).join("; ");
  return html`<div class="scroll canvas" tabindex="0" role="region" aria-label=${t("tree.picture", { tree: tree.name })}>
    <svg width=${width} height=${height} viewBox="0 0 ${width} ${height}" role="img" aria-label=${words}>
      <defs>
        <marker id="arrow-${tree.id}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">
          <path d="M0 0 8 4 0 8z" class="arrow-head" />
        </marker>
      </defs>
      ${arrows.map((points) => html`<polyline class="arrow" points=${points.map((p) => `${p.x},${p.y}`).join(" ")} marker-end="url(#arrow-${tree.id})" />`)}
      ${tree.resources.map(
        (r) => html`<g key=${r.name} class="resource ${mood(r.step)}" transform="translate(${at[r.name].x - WIDTH / 2} ${at[r.name].y - HEIGHT / 2})">
          <title>${r.name} (${r.kind}): ${r.because.text ?? ""}</title>
          <rect width=${WIDTH} height=${HEIGHT} rx="8" />
          <text x="12" y="24" class="name">${short(r.name)}</text>
          <text x="12" y="44">${short(`${r.kind} · ${state("step", r.step)}`)}</text>
        </g>`,
      )}
    </svg>
  </div>`;
}
