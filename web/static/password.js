// Choosing a password while the initial one is still in force: nothing else is possible before.
// Which passwords are good enough is said by servhad.
import { signal } from "@preact/signals";
import { html } from "./html.js";
import { LanguageSwitch } from "./language-switch.js";
import { choosePassword, logOut } from "./server.js";
import { t } from "./words.js";

const trouble = signal("");
const busy = signal(false);

async function change(event) {
  event.preventDefault();
  const { old, chosen, again } = event.currentTarget.elements;
  if (chosen.value !== again.value) {
    trouble.value = t("password.differ");
    again.focus();
    return;
  }
  busy.value = true;
  trouble.value = "";
  try {
    await choosePassword(old.value, chosen.value);
  } catch (error) {
    trouble.value = error.message;
  } finally {
    busy.value = false;
  }
}

export function ChoosePassword() {
  const field = (name, complete) => html`<label for=${name}>${t(`password.${name}`)}</label>
    <input id=${name} name=${name} type="password" required autocomplete=${complete} aria-describedby="trouble" />`;
  return html`<main class="card narrow">
    <header class="row between"><h1>${t("password.title")}</h1><${LanguageSwitch} /></header>
    <p class="note">${t("password.why")}</p>
    <form onSubmit=${change}>
      ${field("old", "current-password")} ${field("chosen", "new-password")} ${field("again", "new-password")}
      <p id="trouble" class="trouble" role="alert">${trouble.value}</p>
      <div class="row end">
        <button type="button" onClick=${logOut}>${t("button.log-out")}</button>
        <button type="submit" class="main" disabled=${busy.value}>${t("password.change")}</button>
      </div>
    </form>
  </main>`;
}
