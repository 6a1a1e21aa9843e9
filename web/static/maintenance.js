// Maintenance of a tree, a resource or a node: what it means is said before it begins; who, why and until when is shown
// where the thing is shown, with the way to end it. Whether it may be is servhad's decision.
import { signal } from "@preact/signals";
import { useDialog } from "./dialog.js";
import { html } from "./html.js";
import { agedS, picture } from "./live.js";
import { beginMaintenance, endMaintenance } from "./server.js";
import { duration } from "./times.js";
import { t } from "./words.js";

const LASTS_S = [1800, 7200, 28800, 86400, 0];
const asked = signal(null); // {doing: "begin" | "end", scope, name}: what the dialog is about
const busy = signal(false);
const trouble = signal("");

const known = () => picture.value.maintenance ?? [];

function scopeOf(what) {
  if (what.includes("/")) return "resource";
  return picture.value.trees.some((tree) => tree.name === what) ? "tree" : "node";
}

function open(doing, scope, name) {
  trouble.value = "";
  asked.value = { doing, scope, name };
}

export function MaintenanceButton({ scope, name }) {
  if (known().some((m) => m.what === name)) return null; // its line has the button that ends it
  return html`<button type="button" aria-label=${t("maintenance.button", { name })} onClick=${() => open("begin", scope, name)}>
    ${t("maintenance.begin")}</button>`;
}

// Everything in maintenance that `of` chooses, each with the button that ends it.
export function MaintenanceLines({ of }) {
  const found = known().filter(of);
  if (!found.length) return null;
  return html`<ul class="plain">
    ${found.map(
      (m) => html`<li key=${m.what} class="row wrap maintained">
        <span>${t("maintenance.line", { ...m, time: duration(agedS(m.since_s)) })}
          ${m.left_s != null && html` <span class="hint">${t("maintenance.left", { time: duration(Math.max(0, m.left_s - agedS(0))) })}</span>`}</span>
        <button type="button" aria-label=${t("maintenance.end-button", { name: m.what })} onClick=${() => open("end", scopeOf(m.what), m.what)}>
          ${t("maintenance.end")}</button>
      </li>`,
    )}
  </ul>`;
}

async function carryOut(event) {
  event.preventDefault();
  const { doing, scope, name } = asked.value;
  const form = event.currentTarget.elements;
  busy.value = true;
  trouble.value = "";
  try {
    if (doing === "end") await endMaintenance(scope, name);
    else {
      const what = form.what?.value ?? name;
      const body = { scope: what.includes("/") ? "resource" : scope, name: what };
      await beginMaintenance({ ...body, reason: form.reason.value, for_s: Number(form.lasts.value) });
    }
    asked.value = null;
  } catch (error) {
    trouble.value = error.message; // what was typed stays
  } finally {
    busy.value = false;
  }
}

function Wishes({ scope, name }) {
  const tree = scope === "tree" && picture.value.trees.find((one) => one.name === name);
  return html`${tree &&
    html`<label for="maintenance-what">${t("maintenance.what")}</label>
      <select id="maintenance-what" name="what">
        <option value=${name}>${t("maintenance.what-tree", { name })}</option>
        ${tree.resources.map((r) => html`<option key=${r.name} value="${name}/${r.name}">${t("maintenance.what-resource", { name: r.name })}</option>`)}
      </select>`}
    <label for="maintenance-reason">${t("maintenance.reason")}</label>
    <input id="maintenance-reason" name="reason" required maxlength="256" autocomplete="off" />
    <label for="maintenance-lasts">${t("maintenance.for")}</label>
    <select id="maintenance-lasts" name="lasts">
      ${LASTS_S.map((s) => html`<option key=${s} value=${s}>${t(`maintenance.for-${s}`)}</option>`)}
    </select>`;
}

export function MaintenanceDialog() {
  const wanted = asked.value;
  const close = () => (asked.value = null);
  const dialog = useDialog(wanted, close);
  const effects = wanted?.doing === "end" ? ["end"] : ["nothing", "orders", "loses"];
  return html`<dialog ...${dialog} aria-labelledby="maintenance-title">
    ${wanted &&
    html`<form onSubmit=${carryOut}>
      <h2 id="maintenance-title">${t(`maintenance.${wanted.doing}-title`, { name: wanted.name })}</h2>
      <ul>${effects.map((key) => html`<li>${t(`maintenance.effect-${key}`)}</li>`)}</ul>
      ${wanted.doing === "begin" && html`<${Wishes} scope=${wanted.scope} name=${wanted.name} />`}
      <p class="trouble" role="alert">${trouble.value}</p>
      <div class="row end">
        <button type="button" onClick=${close}>${t("button.cancel")}</button>
        <button type="submit" class="main" disabled=${busy.value}>${t(`maintenance.${wanted.doing}-do`)}</button>
      </div>
    </form>`}
  </dialog>`;
}
