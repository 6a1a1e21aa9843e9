// The readable page of the console's interface, at /api: every operation and type of the OpenAPI document that this
// console serves, in the reader's language. It knows nothing of its own about the interface.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { html } from "./html.js";
import { LanguageSwitch } from "./language-switch.js";
import { language, t } from "./words.js";

const DOCUMENT = "/api/v1/openapi.json";
const told = signal(null);
const trouble = signal("");

async function load() {
  try {
    told.value = await (await fetch(`${DOCUMENT}?lang=${language.value}`)).json();
    trouble.value = "";
  } catch {
    trouble.value = t("connection.console-gone");
  }
}

const nameOf = (reference) => reference.split("/").at(-1);

// A schema in one line: a word, or a link to the type that stands further down.
function Type({ schema }) {
  if (schema.$ref) return html`<a href="#type-${nameOf(schema.$ref)}">${nameOf(schema.$ref)}</a>`;
  if (schema.anyOf) return schema.anyOf.map((one, index) => html`${index > 0 && " | "}<${Type} schema=${one} />`);
  if (schema.enum) return html`<code>${schema.enum.join(" | ")}</code>`;
  if (schema.type === "array") return html`[<${Type} schema=${schema.items} />]`;
  if (schema.additionalProperties && schema.type === "object") return html`{…: <${Type} schema=${schema.additionalProperties} />}`;
  const range = schema.minimum === undefined ? "" : ` ${schema.minimum}–${schema.maximum}`;
  return html`<code>${schema.type ?? t("api.anything")}${range}</code>`;
}

function Fields({ of, label }) {
  const rows = Object.entries(of.properties ?? {});
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${label}>
    <table>
      <thead><tr>${["field", "type", "meaning"].map((key) => html`<th scope="col" key=${key}>${t(`api.${key}`)}</th>`)}</tr></thead>
      <tbody>${rows.map(
        ([name, schema]) => html`<tr key=${name}><th scope="row"><code>${name}</code></th><td><${Type} schema=${schema} /></td>
          <td>${of.required?.includes(name) ? "" : html`<span class="hint">${t("api.optional")} </span>`}${schema.description ?? ""}</td></tr>`,
      )}</tbody>
    </table>
  </div>`;
}

function whoMay(operation) {
  const ways = operation.security.flatMap((one) => Object.keys(one));
  if (!ways.length) return t("api.anybody");
  return ways.includes("token") ? t("api.token", { scope: operation["x-servha-scope"] }) : t("api.session");
}

function Operation({ method, path, operation }) {
  const id = `operation-${operation.operationId}`;
  const body = operation.requestBody?.content["application/json"].schema;
  const [media, answered] = Object.entries(operation.responses[200].content)[0];
  const parameters = operation.parameters.filter((one) => one.name !== "lang");
  const asParts = { properties: Object.fromEntries(parameters.map((one) => [one.name, { ...one.schema, description: one.description }])), required: parameters.filter((one) => one.required).map((one) => one.name) };
  return html`<article class="card" aria-labelledby=${id}>
    <h3 id=${id}><code>${method.toUpperCase()} ${path}</code></h3>
    <p>${operation.summary}</p>
    <p class="hint">${whoMay(operation)}</p>
    ${parameters.length > 0 && html`<${Fields} of=${asParts} label=${t("api.parameters")} />`}
    <dl>
      ${body && html`<dt>${t("api.body")}</dt><dd><${Type} schema=${body} /></dd>`}
      <dt>${t("api.answer")}</dt><dd>${answered.schema.$ref ? html`<${Type} schema=${answered.schema} />` : html`<code>${media}</code>`}</dd>
      <dt>${t("api.refused")}</dt><dd>${Object.keys(operation.responses).filter((status) => status !== "200").join(", ")}</dd>
    </dl>
  </article>`;
}

export function Api() {
  useEffect(() => void load(), [language.value]);
  const document = told.value;
  return html`<main>
    <header class="row between wrap"><h1>${t("api.title")}</h1><${LanguageSwitch} /></header>
    <p class="trouble" role="alert">${trouble.value}</p>
    ${document &&
    html`<p>${document.info.summary} <a href=${DOCUMENT}>OpenAPI ${document.openapi}</a></p>
      <ul>${Object.values(document.components.securitySchemes).map((one) => html`<li>${one.name ? html`Cookie <code>${one.name}</code>` : html`<code>Authorization: Bearer</code>`}: ${one.description}</li>`)}</ul>
      <h2>${t("api.operations")}</h2>
      ${Object.entries(document.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => html`<${Operation} key=${operation.operationId} ...${{ method, path, operation }} />`))}
      <h2>${t("api.refusals")}</h2>
      <section class="card"><dl>${Object.entries(document.components.responses).map(([status, one]) => html`<dt><code>${status}</code></dt><dd>${one.description}</dd>`)}</dl></section>
      <h2>${t("api.types")}</h2>
      ${Object.entries(document.components.schemas).map(([name, schema]) => html`<article class="card" key=${name} id="type-${name}"><h3>${name}</h3><${Fields} of=${schema} label=${name} /></article>`)}`}
  </main>`;
}
