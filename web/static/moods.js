// How good or bad a state looks: a colour and a sign beside its word, so that no colour stands alone.
import { html } from "./html.js";
import { state } from "./words.js";

const MOODS = {
  good: ["running", "up", "alive", "active", "on", "fit", "consent", "granted", "leased", "answers", "cleared"],
  calm: ["off", "standby", "stopped", "free", "info"],
  warn: [
    "wanted", "starting", "stopping", "late", "suspect", "unheard", "left", "joining", "claiming", "yielding",
    "pending", "booting", "degraded", "warning",
  ],
  bad: [
    "stop-failed", "start-failed", "failed", "broken", "dead", "lost", "isolated", "unfit", "refused", "ending",
    "reset", "error", "silent",
  ],
};
const SIGNS = { good: "✓", calm: "○", warn: "!", bad: "✕", quiet: "?" };
const MOOD_OF = Object.fromEntries(Object.entries(MOODS).flatMap(([mood, names]) => names.map((n) => [n, mood])));

export const mood = (name) => MOOD_OF[name] ?? "quiet";

// The word for a state in its colour, with its sign.
export function State({ group, name, as }) {
  const shown = as ?? mood(name);
  return html`<span class="state ${shown}"><span aria-hidden="true">${SIGNS[shown]}</span> ${state(group, name)}</span>`;
}
