// The cluster as it is now: the newest picture, the journal's entries, and whether anybody still tells us.
// It keeps one stream open and opens it anew when it breaks. What it shows while it is broken is marked as old.
import { batch, signal } from "@preact/signals";
import { goElsewhere, isLoadedFor, keepReady, letGo, ready } from "./elsewhere.js";
import { ended, loadSession, runOfConsole, session, shortTicket } from "./server.js";
import { language } from "./words.js";

const RETRY_MS = 1500;
const ENTRIES_MAX = 1000;
// A node without power ends no connection, it only falls silent. While a node is up its picture comes every 3 s; while
// none is, nothing comes that a page can see, and the stream is opened anew now and then.
const SILENT_MS = { up: 7000, "other-node": 7000, opening: 10_000 };
const SILENT_OTHERWISE_MS = 40_000;
// A restart of servwebd is over by then; after that the reader is shown the way to the other node, and the page goes it.
const MISSED_MAX = 1;

export const picture = signal(null);
export const pictureAtMs = signal(0);
export const entries = signal([]);
// state: "opening" | "up" | "other-node" | "lost" | "console-gone"; text: servhad's or servwebd's own words.
export const upstream = signal({ state: "opening", text: "" });
export const nowMs = signal(Date.now());

setInterval(() => (nowMs.value = Date.now()), 1000);

let source = null;
let heardMs = 0;
let waiting = null;

// Seconds that have passed since something whose age was `age_s` in the newest picture.
export function agedS(age_s) {
  return age_s == null ? null : age_s + Math.max(0, nowMs.value - pictureAtMs.value) / 1000;
}

export function watch() {
  stop();
  entries.value = [];
  keepReady(shortTicket, runOfConsole());
  open();
}

export function stop() {
  clearTimeout(waiting);
  letGo();
  source?.close();
  source = null;
}

function open() {
  source?.close();
  heardMs = Date.now();
  source = new EventSource(`/api/v1/stream?lang=${language.value}`);
  source.addEventListener("status", (event) => {
    const told = JSON.parse(event.data);
    if (!picture.value && !isLoadedFor(told)) return location.reload(); // nobody has seen anything yet
    batch(() => {
      picture.value = told;
      pictureAtMs.value = nowMs.value = heardMs = Date.now();
    });
  });
  source.addEventListener("upstream", (event) => {
    heardMs = Date.now();
    const told = JSON.parse(event.data);
    upstream.value = { state: told.state, node: told.node, text: told.text?.text ?? "" };
  });
  source.addEventListener("journal", (event) => {
    heardMs = Date.now();
    addEntries(JSON.parse(event.data).entries);
  });
  source.addEventListener("error", () => void broken());
}

export const entryId = (entry) => `${entry.node}:${entry.id}`;
export const byTime = (a, b) => a.at.localeCompare(b.at) || a.id - b.id;

export function addEntries(told) {
  const known = new Set(entries.value.map(entryId));
  const fresh = told.filter((entry) => !known.has(entryId(entry)));
  if (fresh.length) entries.value = [...entries.value, ...fresh].sort(byTime).slice(-ENTRIES_MAX);
}

let missed = 0;

async function broken() {
  source?.close();
  source = null;
  clearTimeout(waiting);
  try {
    await loadSession(ready());
    missed = 0;
    if (session.value === null) return ended();
    upstream.value = { state: "opening", text: "" };
    waiting = setTimeout(open, RETRY_MS);
  } catch {
    if (!session.value) return; // logged out meanwhile
    missed += 1;
    upstream.value = { state: "console-gone", text: "", look: missed > MISSED_MAX };
    waiting = setTimeout(broken, RETRY_MS); // a stream to a dead node would hang: asked until it answers
    if (missed > MISSED_MAX) void goElsewhere(picture.value, session.value.node);
  }
}

setInterval(() => {
  const silent = SILENT_MS[upstream.value.state] ?? SILENT_OTHERWISE_MS;
  if (!source || Date.now() - heardMs <= silent) return;
  missed = MISSED_MAX; // what restarts ends its connections, it does not fall silent
  void broken();
}, 1000);
