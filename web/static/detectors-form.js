// The detectors (检测器) of a resource: any number, each of one kind with that kind's fields; all must agree.
import { Field, named, typedAll, valuesOf } from "./fields.js";
import { html } from "./html.js";
import { t } from "./words.js";

export const detectorsTyped = (kinds, settings) =>
  settings.map(({ kind, ...own }) => ({ kind, texts: typedAll(kinds[kind]?.fields ?? [], own) }));

export const detectorValues = (kinds, detectors) =>
  detectors.map(({ kind, texts }) => ({ kind, ...valuesOf(kinds[kind]?.fields ?? [], texts) }));

export const detectorPaths = (kinds, detectors, at) =>
  detectors.flatMap(({ kind }, index) => (kinds[kind]?.fields ?? []).map((field) => `${at}.${index}.${field.name}`));

export function DetectorFields({ kinds, detectors, set, at, problemsAt }) {
  const put = (index, one) => set(detectors.map((old, place) => (place === index ? one : old)));
  const add = () => {
    const [kind] = Object.keys(kinds);
    set([...detectors, { kind, texts: typedAll(kinds[kind].fields, {}) }]);
  };
  return html`<details open=${detectors.length > 0}><summary>${t("edit.detectors")}</summary>
    ${detectors.map(
      ({ kind, texts }, index) => html`<fieldset key=${index}><legend>${t("edit.detector", { n: index + 1 })}</legend>
        <label class="above" for="detector-${index}">${t("tree.kind")}</label>
        <select id="detector-${index}" value=${kind} onChange=${(event) => put(index, { kind: event.currentTarget.value, texts: typedAll(kinds[event.currentTarget.value].fields, {}) })}>
          ${Object.entries(kinds).map(([word, one]) => html`<option key=${word} value=${word}>${named(one)}</option>`)}
        </select>
        ${(kinds[kind]?.fields ?? []).map(
          (field) => html`<${Field} key=${field.name} id="detector-${index}-${field.name}" field=${field} text=${texts[field.name] ?? ""}
            set=${(text) => put(index, { kind, texts: { ...texts, [field.name]: text } })} problems=${problemsAt(`${at}.${index}.${field.name}`)} />`,
        )}
        <button type="button" onClick=${() => set(detectors.filter((_, place) => place !== index))}>${t("edit.detector-remove", { n: index + 1 })}</button>
      </fieldset>`,
    )}
    <button type="button" onClick=${add}>${t("edit.detector-add")}</button>
  </details>`;
}
