// Fields of forms as servhad describes them (name, type, choices, default, description): what is typed is kept as typed,
// `valueOf` makes a setting of it, and servhad says what is wrong with it.
import { html } from "./html.js";
import { sentence } from "./change.js";
import { has, t } from "./words.js";

// What stands in the input for a setting.
export function typed(field, value) {
  if (field.type === "yes-no") return value ?? field.default ?? false;
  if (value === undefined || value === null) return "";
  if (field.type === "list") return value.join("\n");
  if (field.type === "mapping") return Object.entries(value).map(([name, one]) => `${name}=${one}`).join("\n");
  return String(value);
}

// The setting that was typed; undefined: nothing, so that the default holds.
export function valueOf(field, text) {
  if (field.type === "yes-no") return text === (field.default ?? false) ? undefined : text;
  if (text === "") return undefined;
  if (field.type === "whole-number" || field.type === "number") return text.trim() && Number.isFinite(Number(text)) ? Number(text) : text;
  const lines = text.split("\n").filter((line) => line.trim());
  if (field.type === "list") return lines;
  if (field.type === "mapping") return Object.fromEntries(lines.map((line) => [line.split("=", 1)[0].trim(), line.slice(line.indexOf("=") + 1)]));
  return text;
}

export function typedAll(fields, values) {
  return Object.fromEntries(fields.map((field) => [field.name, typed(field, values[field.name])]));
}

export function valuesOf(fields, texts) {
  const found = fields.map((field) => [field.name, valueOf(field, texts[field.name] ?? "")]);
  return Object.fromEntries(found.filter(([, value]) => value !== undefined));
}

const shown = (field) => (field.default === null || field.default === undefined ? "" : typed(field, field.default).replaceAll("\n", " "));
const choiceWords = (name, group = "choice") => (has(`${group}.${name}`) ? t(`${group}.${name}`) : name);

// What a kind is, as one choice among others.
export const named = (kind) => kind.about.text.replace(/[.。]$/u, "");

export function Field({ id, field, text, set, problems = [], hint }) {
  const wrong = problems.map(sentence);
  const described = wrong.length ? `${id}-wrong` : undefined;
  const common = { id, "aria-describedby": described, "aria-invalid": wrong.length ? "true" : undefined };
  // What a kind's field is called in the configuration helps whoever also uses the command line.
  const label = field.words ?? (field.description ? html`${field.description.text} <code class="hint">${field.name}</code>` : t(`field.${field.label ?? field.name}`));
  const told = wrong.length > 0 && html`<p class="trouble" id="${id}-wrong">${wrong.join(" ")}</p>`;
  if (field.type === "yes-no")
    return html`<label class="box" for=${id}><input type="checkbox" ...${common} checked=${text} onChange=${(event) => set(event.currentTarget.checked)} /> ${label}</label>${told}`;
  const input = (event) => set(event.currentTarget.value);
  const several = field.type === "list" || field.type === "mapping";
  return html`<label class="above" for=${id}>${label}${field.required ? html` <span class="hint">${t("edit.required")}</span>` : ""}${several ? html` <span class="hint">${t(`edit.${field.type}`)}</span>` : ""}</label>
    ${field.choices?.length
      ? html`<select ...${common} value=${text || shown(field)} onChange=${input}>${field.choices.map((one) => html`<option key=${one} value=${one}>${choiceWords(one, field.group)}</option>`)}</select>`
      : several
        ? html`<textarea ...${common} rows="3" value=${text} onInput=${input}></textarea>`
        : html`<input ...${common} type="text" inputmode=${field.type.endsWith("number") ? "decimal" : undefined} autocomplete="off" spellcheck=${false}
            value=${text} placeholder=${hint ?? shown(field)} onInput=${input} />`}
    ${told}`;
}
