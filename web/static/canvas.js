// One resource tree as a picture: what has to run first stands on top, an arrow leads to what depends on it.
// Dagre lays it out, since a resource may depend on several. The table beside it says the same in words, and what
// dragging does (one resource onto another: it starts after that one) a dialog does by keyboard.
import { signal } from "@preact/signals";
import { Graph, layout } from "dagre";
import { depend } from "./dependencies.js";
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

const dragged = signal(null); // {tree, name, x, y}: what is dragged, and where the pointer is in the picture

const under = (event) => document.elementFromPoint(event.clientX, event.clientY)?.closest("[data-resource]")?.dataset.resource;

function place(event) {
  const edge = event.currentTarget.getBoundingClientRect();
  return { x: event.clientX - edge.left, y: event.clientY - edge.top };
}

function pick(tree) {
  return (event) => {
    const name = under(event);
    if (!name || event.button !== 0) return;
    event.preventDefault(); // no selection of text
    dragged.value = { tree, name, ...place(event) };
  };
}

function pull(event) {
  if (dragged.value) dragged.value = { ...dragged.value, ...place(event) };
}

function drop(event) {
  const was = dragged.value;
  const onto = under(event);
  dragged.value = null;
  if (was && onto && onto !== was.name) void depend(was.tree, was.name, onto);
}

function Thread({ tree, at }) {
  const now = dragged.value;
  if (now?.tree !== tree.name || !at[now.name]) return null;
  return html`<line class="thread" x1=${at[now.name].x} y1=${at[now.name].y} x2=${now.x} y2=${now.y} />`;
}

const short = (text) => (text.length > LETTERS_MAX ? `${text.slice(0, LETTERS_MAX - 1)}…` : text);

export function Canvas({ tree }) {
  if (!tree.resources.length) return html`<p>${t("tree.no-resources")}</p>`;
  const { width, height, at, arrows } = placed(tree.resources);
  const words = tree.resources.map((r) => `${r.name}: ${state("step", r.step)}`).join("; ");
  return html`<div class="scroll canvas" tabindex="0" role="region" aria-label=${t("tree.picture", { tree: tree.name })}>
    <svg width=${width} height=${height} viewBox="0 0 ${width} ${height}" role="img" aria-label=${words}
      onPointerDown=${pick(tree.name)} onPointerMove=${pull} onPointerUp=${drop} onPointerLeave=${() => (dragged.value = null)}>
      <defs>
        <marker id="arrow-${tree.id}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">
          <path d="M0 0 8 4 0 8z" class="arrow-head" />
        </marker>
      </defs>
      ${arrows.map((points) => html`<polyline class="arrow" points=${points.map((p) => `${p.x},${p.y}`).join(" ")} marker-end="url(#arrow-${tree.id})" />`)}
      ${tree.resources.map(
        (r) => html`<g key=${r.name} class="resource ${mood(r.step)}" data-resource=${r.name} transform="translate(${at[r.name].x - WIDTH / 2} ${at[r.name].y - HEIGHT / 2})">
          <title>${r.name} (${r.kind}): ${r.because.text ?? ""}</title>
          <rect width=${WIDTH} height=${HEIGHT} rx="8" />
          <text x="12" y="24" class="name">${short(r.name)}</text>
          <text x="12" y="44">${short(`${r.kind} · ${state("step", r.step)}`)}</text>
        </g>`,
      )}
      <${Thread} tree=${tree} at=${at} />
    </svg>
  </div>
  ${tree.resources.length > 1 && html`<p class="hint">${t("tree.drag")}</p>`}`;
}
