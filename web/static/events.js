// The event table: level, node, time and words of everything that happened, newest first; filtered, searched, exported.
// This node's entries come with the live stream; the other node's are asked for now and then. Nothing is judged here.
import { computed, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { textOf } from "./entry.js";
import { html } from "./html.js";
import { addEntries, entries, entryId } from "./live.js";
import { State } from "./moods.js";
import { ask } from "./server.js";
import { clock, zone } from "./times.js";
import { language, state, t } from "./words.js";

const LEVELS = ["error", "warning", "info", "cleared"];
const SHOWN_MAX = 200;
const BOTH_EVERY_MS = 5000;
const level = signal("");
const node = signal("");
const words = signal("");

const found = computed(() => {
  const wanted = words.value.trim().toLowerCase();
  return entries.value
    .filter(
      (entry) =>
        (!level.value || entry.severity === level.value) &&
        (!node.value || entry.node === node.value) &&
        (!wanted || `${textOf(entry)} ${entry.rule}`.toLowerCase().includes(wanted)),
    )
    .reverse();
});

// One line of a table that every spreadsheet reads; a leading = + - @ would be run as a formula there.
const cell = (value) => `"${String(value).replace(/^[=+\-@]/, "'$&").replaceAll('"', '""')}"`;

function save() {
  const rows = [
    [t("event.level"), t("event.node"), t("event.time"), t("event.text"), t("event.rule")],
    ...found.value.map((e) => [state("severity", e.severity), e.node, e.at, textOf(e), e.rule]),
  ];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(["\ufeff", rows.map((row) => row.map(cell).join(",")).join("\r\n")], { type: "text/csv" }));
  link.download = `servha-events-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function Choice({ name, of, words: shown, among }) {
  return html`<span><label for="filter-${name}">${t(`event.${name}`)}</label>
    <select id="filter-${name}" value=${of.value} onChange=${(e) => (of.value = e.currentTarget.value)}>
      <option value="">${t("event.all")}</option>
      ${among.map((one) => html`<option key=${one} value=${one} selected=${of.value === one}>${shown(one)}</option>`)}
    </select></span>`;
}

// Both nodes' journals in one; while nobody answers, the banner says so and what is known stays.
async function both() {
  const told = await ask("GET", "/why?tree=").catch(() => null);
  if (told) addEntries(told.entries);
}

export function Events() {
  useEffect(() => {
    void both();
    const timer = setInterval(both, BOTH_EVERY_MS);
    return () => clearInterval(timer);
  }, [language.value]);
  const nodes = [...new Set(entries.value.map((entry) => entry.node))].sort();
  return html`<h1>${t("screen.events")}</h1>
    <form class="row wrap" role="search" onSubmit=${(e) => e.preventDefault()}>
      <${Choice} name="level" of=${level} words=${(one) => state("severity", one)} among=${LEVELS} />
      <${Choice} name="node" of=${node} words=${(one) => one} among=${nodes} />
      <span class="grow"><label for="filter-words">${t("event.search")}</label>
        <input id="filter-words" type="search" value=${words.value} onInput=${(e) => (words.value = e.currentTarget.value)} /></span>
      <button type="button" onClick=${save}>${t("event.export")}</button>
    </form>
    <p class="hint" role="status">${t("event.count", { n: found.value.length, all: entries.value.length })} ${t("event.zone", { zone: zone() })}</p>
    <div class="scroll" tabindex="0" role="region" aria-label=${t("screen.events")}>
      <table class="events">
        <thead><tr>${["level", "node", "time", "text"].map((key) => html`<th scope="col">${t(`event.${key}`)}</th>`)}</tr></thead>
        <tbody>
          ${found.value.slice(0, SHOWN_MAX).map(
            (entry) => html`<tr key=${entryId(entry)}>
              <td><${State} group="severity" name=${entry.severity} /></td>
              <td>${entry.node}</td>
              <td class="time"><time datetime=${entry.at}>${clock(entry.at)}</time></td>
              <td>${textOf(entry)}</td>
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
    ${found.value.length > SHOWN_MAX && html`<p class="hint">${t("event.more", { n: SHOWN_MAX })}</p>`}`;
}
