// How a page goes on at the other node's console when its own is gone: with a short ticket that it keeps ready, to a
// console that answers. It decides to go only when nothing that somebody is writing would be lost by it.
import { effect, signal } from "@preact/signals";
import { session } from "./server.js";

const FRESH_MS = 60_000; // a short ticket is good for three minutes
const PROBE_MS = 2000;
// In the tab's own memory, which outlives loading the page anew:
const TRIED = "servha.others"; // for which consoles it was loaded anew
const CAME = "servha.came"; // what `cameFrom` is

// The node whose console this page has come from because it was gone; shown until another screen is gone to.
export const cameFrom = signal(sessionStorage.getItem(CAME) ?? "");
effect(() => sessionStorage.setItem(CAME, cameFrom.value));

let held = null; // {ticket, run}: the newest short ticket, and which run of this console it comes from
let timer = null;

// Every console of the cluster but this one, by what the picture shows.
export const consoles = (shown) =>
  (shown?.nodes ?? [])
    .flatMap((node) => node.links.map((link) => ({ node: node.name, ip: link.address })))
    .filter(({ ip }) => ip && ip !== location.hostname.replace(/^\[|\]$/g, ""))
    .map((one) => ({ ...one, href: `${location.protocol}//${one.ip.includes(":") ? `[${one.ip}]` : one.ip}${location.port ? `:${location.port}` : ""}` }));

// Which consoles a page may ask for stands in its policy, which is made when it is loaded. Whether it has to be loaded
// anew for those of this picture; for the same ones never twice.
export function isLoadedFor(shown) {
  const wanted = consoles(shown).map(({ href }) => href).sort().join(" ");
  const known = (document.documentElement.dataset.others ?? "").split(" ").sort().join(" ");
  if (wanted === known || sessionStorage.getItem(TRIED) === wanted) return true;
  sessionStorage.setItem(TRIED, wanted);
  return false;
}

// Keep a short ticket ready, until `letGo`. `fetchTicket` asks for one; `run` names this run of the console.
export function keepReady(fetchTicket, run) {
  letGo();
  const renew = async () => {
    const told = await fetchTicket().catch(() => null);
    if (told && session.value) held = { ticket: told.ticket, run };
  };
  void renew();
  timer = setInterval(renew, FRESH_MS);
}

export function letGo() {
  clearInterval(timer);
  held = null;
}

export const ready = () => held;

// Fails where nobody is, and where this browser has not been told to trust the certificate.
async function probe(href) {
  await fetch(`${href}/api/v1/here`, { mode: "no-cors", credentials: "omit", cache: "no-store", signal: AbortSignal.timeout(PROBE_MS) });
  return href;
}

const isBeingWritten = () => document.querySelector("dialog[open]") !== null;

// Go to the first console that answers, as the same person. `from`: the node whose console is gone.
export async function goElsewhere(shown, from) {
  if (!held || isBeingWritten()) return;
  const href = await Promise.any(consoles(shown).map((one) => probe(one.href))).catch(() => null);
  if (!href || !held || isBeingWritten()) return;
  location.replace(`${href}/#${new URLSearchParams({ carried: held.ticket, from, at: location.hash.slice(1) })}`);
}

// What the console before this one has handed on, once: {ticket, from}; null where nobody came from anywhere.
export function handedOn() {
  const handed = new URLSearchParams(location.hash.slice(1));
  const ticket = handed.get("carried");
  if (!ticket) return null;
  history.replaceState(null, "", `${location.pathname}#${handed.get("at") ?? ""}`);
  return { ticket, from: handed.get("from") ?? "" };
}
