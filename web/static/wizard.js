// What both wizards look like: the line of steps, one form at a time, back without losing anything. And the choice of an
// interface with what there is to know about each. What is right is servhad's to say.
import { signal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { sentence } from "./change.js";
import { html } from "./html.js";
import { LanguageSwitch } from "./language-switch.js";
import { logOut, sessionEnded, surroundings } from "./server.js";
import { t } from "./words.js";

// What GET /interfaces said: {host, interfaces, disks}; null: not yet.
export const here = signal(null);

export async function lookHere() {
  here.value = await surroundings();
}

// Somebody else has chosen a password or made the cluster meanwhile: what this session knew is void, and it ends.
export async function endIfVoid(error) {
  if (error.code !== "not-permitted" || error.problems.length) return;
  await logOut().catch(() => {});
  sessionEnded.value = "session.ended";
}

export function Top({ title }) {
  return html`<header class="row between wrap"><h1>${title}</h1>
    <span class="row"><${LanguageSwitch} />
      <button type="button" class="quiet" onClick=${() => void logOut().catch(() => {})}>${t("button.log-out")}</button></span>
  </header>`;
}

export function Wizard({ title, steps, at, go, back, cancel, busy, last, trouble, children }) {
  const heading = useRef();
  // before it is painted: a person who is quick has already begun to write
  useLayoutEffect(() => heading.current.focus(), [at]);
  const submit = (event) => {
    event.preventDefault();
    void go();
  };
  return html`<main class="wizard">
    <${Top} title=${title} />
    <ol class="steps">
      ${steps.map((name, n) => html`<li key=${n} class=${n < at ? "past" : ""} aria-current=${n === at ? "step" : undefined}>${name}</li>`)}
    </ol>
    <form class="card" onSubmit=${submit} novalidate autocomplete="off">
      <h2 ref=${heading} tabindex="-1">${steps[at]}</h2>
      ${children}
      <p class="trouble" role="alert">${trouble}</p>
      <div class="row end wrap">
        <button type="button" disabled=${busy} onClick=${cancel}>${t("button.cancel")}</button>
        ${at > 0 && html`<button type="button" disabled=${busy} onClick=${back}>${t("wizard.back")}</button>`}
        <button type="submit" class="main" disabled=${busy}>${t(busy ? "wizard.busy" : at === steps.length - 1 ? last : "wizard.next")}</button>
      </div>
    </form>
  </main>`;
}

export function Secret({ id, words, text, set, problems = [], complete = "new-password" }) {
  const wrong = problems.map(sentence).join(" ");
  return html`<div><label for=${id}>${words}</label>
    <input id=${id} type="password" autocomplete=${complete} value=${text} aria-invalid=${wrong ? "true" : undefined}
      aria-describedby=${wrong ? `${id}-wrong` : undefined} onInput=${(event) => set(event.currentTarget.value)} />
    ${wrong && html`<p class="trouble" id="${id}-wrong">${wrong}</p>`}</div>`;
}

const carrier = (nic) => t(nic.carrier === null ? "nic.off" : nic.carrier ? "nic.carrier" : "nic.no-carrier");
const speed = (nic) => (nic.speed_mbit ? t("nic.speed", { n: nic.speed_mbit }) : "");

// Each address of each interface as one choice; those without one are shown, too, so that nobody has to look for them.
function ends() {
  return (here.value?.interfaces ?? []).flatMap((nic) => {
    const about = [carrier(nic), speed(nic)].filter(Boolean).join(", ");
    if (!nic.addresses.length) return [{ nic: nic.name, address: "", words: `${nic.name} (${t("nic.no-address")}, ${about})` }];
    return nic.addresses.map(({ address, static: fixed }) => ({
      nic: nic.name,
      address,
      words: `${nic.name} ${address} (${[fixed ? "" : t("nic.dhcp"), about].filter(Boolean).join(", ")})`,
    }));
  });
}

const key = (end) => (end?.nic ? `${end.nic} ${end.address}` : "");

export function NicChoice({ id, words, end, set, problems = [] }) {
  const wrong = problems.map(sentence).join(" ");
  const known = ends();
  const choose = (event) => set(known.find((one) => key(one) === event.currentTarget.value) ?? { nic: "", address: "" });
  return html`<div><label for=${id}>${words}</label>
    <select id=${id} aria-invalid=${wrong ? "true" : undefined} aria-describedby=${wrong ? `${id}-wrong` : undefined} onChange=${choose}>
      <option value="" selected=${!end?.nic}>${t("nic.choose")}</option>
      ${known.map((one) => html`<option key=${key(one)} value=${key(one)} selected=${key(one) === key(end)} disabled=${!one.address}>${one.words}</option>`)}
    </select>
    ${wrong && html`<p class="trouble" id="${id}-wrong">${wrong}</p>`}</div>`;
}

export function Summary({ rows }) {
  return html`<dl class="summary">${rows.map(([what, value]) => html`<dt>${what}</dt><dd>${value}</dd>`)}</dl>`;
}

// A whole number where one was typed; what else was typed goes to servhad as it is, which says what is wrong with it.
export const numberOf = (text) => (/^\d+$/.test(text.trim()) ? Number(text) : text);
