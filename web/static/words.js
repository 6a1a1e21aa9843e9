// The page's own words in the reader's language, and which language that is: chosen once, remembered, switched live.
// Sentences about the cluster come from servhad, already in that language; they are not translated here.
import { signal } from "@preact/signals";

export const LANGUAGES = { "zh-CN": "简体中文", en: "English" };
const KEY = "servha-language";
const catalogues = {};

function preferred() {
  const kept = localStorage.getItem(KEY);
  if (kept in LANGUAGES) return kept;
  return (navigator.languages ?? []).some((tag) => tag.toLowerCase().startsWith("en")) &&
    !navigator.language.toLowerCase().startsWith("zh")
    ? "en"
    : "zh-CN";
}

export const language = signal(preferred());

export async function loadWords() {
  await Promise.all(
    Object.keys(LANGUAGES).map(async (name) => {
      catalogues[name] = await (await fetch(`/static/words/${name}.json`)).json();
    }),
  );
  document.documentElement.lang = language.value;
}

export function speak(name) {
  localStorage.setItem(KEY, name);
  document.documentElement.lang = name;
  language.value = name;
}

// The words for `key`, with {name} replaced. A key that is missing shows itself: a test looks for that.
export function t(key, params = {}) {
  const template = catalogues[language.value]?.[key] ?? key;
  return template.replace(/\{(\w+)\}/g, (_, name) => params[name] ?? "-");
}

// Whether there are words for `key`.
export const has = (key) => key in (catalogues[language.value] ?? {});

const GROUPS = ["phase", "standing", "step", "link", "health", "resource", "right", "lease"];

// The word for a state whose kind the journal does not name.
export function anyState(name) {
  const group = GROUPS.find((one) => `${one}.${name}` in (catalogues[language.value] ?? {}));
  return group ? t(`${group}.${name}`) : String(name);
}

// The word for a state that the daemon names; one that this page does not know yet is shown as it came.
export function state(group, name) {
  const key = `${group}.${name}`;
  return catalogues[language.value]?.[key] ?? String(name);
}
