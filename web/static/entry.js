// One entry of the journal in words: what it is about, and what changed. The reason is servhad's own sentence.
import { anyState, t } from "./words.js";

// What an entry is about: a tree, TREE/RESOURCE, this node, the other one, or a heartbeat link.
export function subjectOf(entry) {
  const [first, rest] = entry.subject.split(" ");
  if (entry.subject === "node") return t("subject.node", { node: entry.node });
  if (rest && (first === "link" || first === "peer")) return t(`subject.${first}`, { name: rest });
  return entry.subject;
}

export const changeOf = (entry) =>
  entry.before === entry.after ? "" : `${anyState(entry.before)} → ${anyState(entry.after)}`;

export const textOf = (entry) =>
  [
    subjectOf(entry),
    changeOf(entry),
    entry.because?.text ?? "",
    entry.otherwise?.text ? `(${entry.otherwise.text})` : "",
  ].filter(Boolean).join("  ");
