// The two first screens of the manual: the address of any node of the cluster, then its password.
// Whether the password is right, and how often it may be tried, is servhad's decision.
import { signal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { html } from "./html.js";
import { LanguageSwitch } from "./language-switch.js";
import { Refused, logIn, sessionEnded } from "./server.js";
import { t } from "./words.js";

const step = signal("address");
const address = signal("");
const trouble = signal("");
const busy = signal(false);

async function enter(event) {
  event.preventDefault();
  const field = event.currentTarget.elements.password;
  busy.value = true;
  trouble.value = "";
  try {
    await logIn(address.value.trim(), field.value);
    step.value = "address";
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    trouble.value = error.message;
    if (error.code === "usage") step.value = "address"; // that is no address: back to where it was written
    field.select();
  } finally {
    busy.value = false;
  }
}

function Trouble() {
  return html`<p id="trouble" class="trouble" role="alert">${trouble.value}</p>`;
}

function Address() {
  const field = useRef();
  useLayoutEffect(() => field.current.focus(), []);
  const next = (event) => {
    event.preventDefault();
    trouble.value = "";
    step.value = "password";
  };
  return html`<form onSubmit=${next}>
    <label for="address">${t("login.address")}</label>
    <div class="row">
      <input id="address" name="address" ref=${field} autocomplete="off" spellcheck="false" inputmode="url"
        placeholder=${t("login.this-node")} value=${address.value} aria-describedby="address-hint trouble"
        onInput=${(event) => (address.value = event.currentTarget.value)} />
      <button type="submit" class="main" aria-label=${t("login.next")}>→</button>
    </div>
    <p id="address-hint" class="hint">${t("login.address-hint")}</p>
    <${Trouble} />
  </form>`;
}

function Password() {
  const field = useRef();
  useLayoutEffect(() => field.current.focus(), []);
  return html`<form onSubmit=${enter}>
    <input type="text" name="username" autocomplete="username" value="servha" readonly hidden />
    <p class="hint">${t("login.to", { address: address.value.trim() || t("login.this-node") })}</p>
    <label for="password">${t("login.password")}</label>
    <input id="password" name="password" type="password" ref=${field} required autocomplete="current-password"
      aria-describedby="trouble" />
    <${Trouble} />
    <div class="row end">
      <button type="button" onClick=${() => (step.value = "address")}>${t("button.back")}</button>
      <button type="submit" class="main" disabled=${busy.value}>${t(busy.value ? "login.busy" : "login.enter")}</button>
    </div>
  </form>`;
}

export function Login() {
  const ended = sessionEnded.value;
  return html`<main class="card narrow">
    <header class="row between"><h1>ServHA</h1><${LanguageSwitch} /></header>
    ${ended && html`<p role="status" class="note">${t(ended)}</p>`}
    ${step.value === "address" ? html`<${Address} />` : html`<${Password} />`}
  </main>`;
}
