// The language switch, on every screen: each language is named in itself.
import { html } from "./html.js";
import { LANGUAGES, language, speak } from "./words.js";

export function LanguageSwitch() {
  const other = Object.keys(LANGUAGES).find((name) => name !== language.value);
  return html`<button type="button" class="quiet" lang=${other} onClick=${() => speak(other)}>${LANGUAGES[other]}</button>`;
}
