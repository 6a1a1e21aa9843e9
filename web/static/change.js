// One change to the configuration while a dialog is open: planned by servhad after every stroke, made when the plan is
// agreed to, undone while nobody has changed anything since. When somebody else was quicker their change is shown and
// ours is made again on top of it. What the change is comes from `edit(document)`; what is right is servhad's to say.
import { signal } from "@preact/signals";
import { useDialog } from "./dialog.js";
import { html } from "./html.js";
import { changeConfiguration, configuration } from "./server.js";
import { t } from "./words.js";

const SETTLED_MS = 250; // so long after a stroke the plan is asked for

export class Change {
  about = signal(null); // what the dialog is about; null: closed
  base = signal(null); // what GET /config said
  plan = signal(null); // sentences; null: not known
  problems = signal([]); // {path, because, remedy}
  trouble = signal(""); // why it cannot be, in one sentence
  late = signal(false); // somebody else was quicker
  done = signal(null); // {generation, before}: what was just done, and the document as it was
  unheard = signal(false); // the other node could not be asked: it may be done here alone
  alone = signal(false);
  busy = signal(false);
  #newest = 0; // only the answer to the newest question counts
  #settling = 0;

  // `fill(document)` prepares the form, or returns why there is nothing to edit; `edit(document)` returns what is wished.
  constructor({ fill, edit }) {
    this.fill = fill;
    this.edit = edit;
  }

  // `first` is awaited before the form is filled.
  async open(about, first = async () => {}) {
    this.about.value = about;
    for (const [one, empty] of [[this.base, null], [this.plan, null], [this.done, null], [this.late, false], [this.unheard, false], [this.alone, false], [this.busy, false]])
      one.value = empty;
    this.#clear();
    await this.#try(async () => {
      const [now] = await Promise.all([configuration(), first()]);
      return () => {
        this.trouble.value = this.fill(now.document) ?? "";
        if (!this.trouble.value) this.base.value = now;
      };
    });
  }

  close() {
    clearTimeout(this.#settling);
    this.#newest += 1;
    this.about.value = null;
  }

  planSoon() {
    clearTimeout(this.#settling);
    this.plan.value = null;
    this.#newest += 1;
    if (!this.late.value) this.#settling = setTimeout(() => void this.planNow(), SETTLED_MS);
  }

  async planNow() {
    const number = ++this.#newest;
    this.plan.value = null;
    try {
      const { changes, against } = await changeConfiguration({ ...this.#wish(), dry_run: true });
      if (number !== this.#newest) return;
      this.#clear();
      this.plan.value = changes.map((one) => one.text);
      if (against) this.#told({ message: against.text, problems: against.problems });
    } catch (error) {
      if (number === this.#newest) this.#told(error);
    }
  }

  // Ours on top of what is in force now: `edit` touches only what was changed here, so theirs stays.
  async again() {
    await this.#try(async () => {
      const now = await configuration();
      return () => {
        this.base.value = now;
        this.late.value = false;
        return this.planNow();
      };
    });
  }

  async make() {
    await this.#try(async () => {
      const before = this.base.value.document;
      const { generation } = await changeConfiguration({ ...this.#wish(), alone: this.alone.value });
      return () => {
        this.#clear();
        this.done.value = { generation, before };
      };
    });
  }

  async undo() {
    await this.#try(async () => {
      const { generation, before } = this.done.value;
      await changeConfiguration({ document: before, base_generation: generation, alone: this.alone.value });
      return () => this.close();
    });
  }

  #wish() {
    return { document: this.edit(this.base.value.document), base_generation: this.base.value.generation };
  }

  // `act` returns what its end does to the dialog: nothing, when by then the dialog is closed or about something else.
  async #try(act) {
    const about = this.about.value;
    const still = () => this.about.value === about;
    this.busy.value = true;
    try {
      const end = await act();
      if (still()) await end();
    } catch (error) {
      if (still()) this.#told(error);
    } finally {
      if (still()) this.busy.value = false;
    }
  }

  #clear() {
    this.trouble.value = "";
    this.problems.value = [];
  }

  #told(error) {
    if (error.meanwhile) {
      this.late.value = true;
      this.plan.value = null;
    }
    if (error.code === "try-again") this.unheard.value = true;
    this.trouble.value = error.message;
    this.problems.value = error.problems;
  }
}

export const sentence = (problem) => [problem.because.text, problem.remedy?.text].filter(Boolean).join("; ");

// The dialog around a form. `beside` lists the paths whose problems the form itself shows at their fields; `after` is
// shown when it is done.
export function ChangeDialog({ change, title, act, beside = [], after, children }) {
  const about = change.about.value;
  const close = () => change.close();
  const dialog = useDialog(about, close);
  const done = change.done.value;
  const others = change.problems.value.filter((problem) => !beside.includes(problem.path));
  return html`<dialog ...${dialog} aria-label=${about ? title : undefined}>
    ${about &&
    html`<h2>${title}</h2>
      ${done ? html`<p role="status">${t("edit.done", { generation: done.generation })}</p>${after}` : change.base.value && children}
      <div class="always">
        ${!done && html`<${Plan} change=${change} />`}
        <div class="trouble" role="alert">
          ${change.trouble.value && html`<p>${change.trouble.value}</p>`}
          ${others.map((problem) => html`<p>${problem.path && html`<code>${problem.path}</code>${" "}`}${sentence(problem)}</p>`)}
        </div>
        ${change.unheard.value &&
        html`<label class="box"><input type="checkbox" checked=${change.alone.value} onChange=${(event) => (change.alone.value = event.currentTarget.checked)} /> ${t("edit.alone")}</label>`}
        <${Buttons} change=${change} close=${close} act=${act} />
      </div>`}
  </dialog>`;
}

function Plan({ change }) {
  const lines = change.plan.value;
  if (!lines) return null;
  return html`<h3>${t("edit.plan")}</h3>
    ${lines.length ? html`<div class="plan" tabindex="0" role="region" aria-label=${t("edit.plan")}><ul>${lines.map((line) => html`<li>${line}</li>`)}</ul></div>` : html`<p>${t("edit.nothing")}</p>`}`;
}

function Buttons({ change, close, act }) {
  const busy = change.busy.value;
  if (change.done.value)
    return html`<div class="row end">
      <button type="button" onClick=${close}>${t("button.close")}</button>
      <button type="button" disabled=${busy} onClick=${() => void change.undo()}>${t("edit.undo")}</button>
    </div>`;
  return html`<div class="row end">
    <button type="button" onClick=${close}>${t("button.cancel")}</button>
    ${change.late.value
      ? html`<button type="button" class="main" disabled=${busy} onClick=${() => void change.again()}>${t("edit.again")}</button>`
      : html`<button type="button" class="main" disabled=${busy || !change.plan.value?.length} onClick=${() => void change.make()}>${act ?? t("edit.apply")}</button>`}
  </div>`;
}
