// Every request to servwebd but the live stream: the session, orders, and what a refusal says.
// What may be done is servhad's decision; this file only carries its words to the screen.
import { signal } from "@preact/signals";
import { language, t } from "./words.js";

// undefined: not asked yet; null: nobody is logged in; else what GET /session shows.
export const session = signal(undefined);
// Why the login screen is back, in words; empty when nobody was logged in before.
export const sessionEnded = signal("");

export class Refused extends Error {
  constructor(text, { code = "", problems = [], generation } = {}) {
    super(text);
    this.code = code;
    this.problems = problems;
    this.meanwhile = generation !== undefined; // others have changed the configuration since it was asked for
  }
}

const LOOK_MS = 6_000;
const SESSION_MS = 2500; // servwebd knows it by itself
const CHANGE_MS = 40_000; // longer than servwebd waits for servhad
const JOIN_MS = 100_000; // a join may take its time

export async function ask(method, path, body, within_ms = method === "GET" ? LOOK_MS : CHANGE_MS) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && session.value) headers["X-Servha-CSRF"] = session.value.csrf;
  const separator = path.includes("?") ? "&" : "?";
  let response, told;
  try {
    response = await fetch(`/api/v1${path}${separator}lang=${language.value}`, {
      method,
      headers,
      signal: AbortSignal.timeout(within_ms),
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    told = await response.json();
  } catch {
    throw new Refused(t("connection.console-gone"), { code: "console-gone" });
  }
  if (response.ok) return told;
  if (response.status === 401 && session.value) ended();
  throw new Refused(told.error?.text ?? response.statusText, told.error);
}

export function ended() {
  session.value = null;
  sessionEnded.value = "session.ended";
}

// Which run of the console this page talks to: one that was started again knows nobody who has logged in before.
let consoleRun = "";
export const runOfConsole = () => consoleRun;

// Who is logged in. `held` is what elsewhere.js keeps ready: with it a session outlives the console's restart, but not a
// logout in another page.
export async function loadSession(held) {
  const told = await ask("GET", "/session", undefined, SESSION_MS);
  if (!told.session && held && held.run !== told.console && (await carryOn(held.ticket).catch(isRefused))) return;
  consoleRun = told.console;
  session.value = told.session;
}

function isRefused(error) {
  if (error.code !== "not-permitted") throw error; // it cannot be asked just now
  return false;
}

export const shortTicket = () => ask("POST", "/session/ticket", {});

// Go on as who a short ticket says: without asking for the password again.
export async function carryOn(ticket) {
  const told = await ask("POST", "/session/carried", { ticket });
  consoleRun = told.console;
  sessionEnded.value = "";
  session.value = told.session;
  return true;
}

export async function logIn(address, password) {
  const body = address ? { address, password } : { password };
  const told = await ask("POST", "/session", body);
  consoleRun = told.console;
  sessionEnded.value = "";
  session.value = told.session;
}

export async function logOut() {
  await ask("DELETE", "/session", {});
  sessionEnded.value = "";
  session.value = null;
}

export async function choosePassword(old, chosen) {
  session.value = (await ask("PUT", "/session/password", { old, new: chosen })).session;
}

export const order = (tree, body) => ask("POST", `/trees/${encodeURIComponent(tree)}/order`, body);

export const beginMaintenance = (body) => ask("POST", "/maintenance", body);

export const endMaintenance = (scope, name) =>
  ask("DELETE", `/maintenance/${scope}/${name.split("/").map(encodeURIComponent).join("/")}`, {});

export const configuration = () => ask("GET", "/config");

export const kinds = () => ask("GET", "/kinds");

export const changeConfiguration = (body) => ask("PUT", "/config", body);

export const invite = () => ask("POST", "/invitation", {});

export const surroundings = () => ask("GET", "/interfaces");

export const makeCluster = (body) => ask("POST", "/cluster", body, JOIN_MS);

export const joinCluster = (body) => ask("POST", "/cluster/join", body, JOIN_MS);

export const simulation = (body) => ask("POST", "/simulation", body);

export const joinProgress = () => ask("GET", "/cluster/join");
