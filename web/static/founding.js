// A node that is in no cluster yet: make one (初始化集群) or join one (加入现有集群).
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { InitWizard } from "./founding-init.js";
import { JoinWizard } from "./founding-join.js";
import { html } from "./html.js";
import { Top, endIfVoid, here, lookHere } from "./wizard.js";
import { language, t } from "./words.js";

const doing = signal(""); // "init" | "join"; empty: it is still to be chosen
const trouble = signal("");

async function look() {
  trouble.value = "";
  try {
    await lookHere();
  } catch (error) {
    trouble.value = error.message;
    await endIfVoid(error);
  }
}

function Choice({ name }) {
  return html`<section class="card" aria-labelledby="founding-${name}">
    <h2 id="founding-${name}">${t(`founding.${name}`)}</h2>
    <p>${t(`founding.${name}-about`)}</p>
    <button type="button" class="main" disabled=${!here.value} onClick=${() => (doing.value = name)}>${t(`founding.${name}-do`)}</button>
  </section>`;
}

export function Founding() {
  useEffect(() => {
    void look();
  }, [language.value]);
  useEffect(() => () => (doing.value = ""), []); // in a cluster, or logged out: the next time begins with the choice
  const cancel = () => (doing.value = "");
  if (doing.value === "init") return html`<${InitWizard} cancel=${cancel} />`;
  if (doing.value === "join") return html`<${JoinWizard} cancel=${cancel} />`;
  return html`<main class="wizard">
    <${Top} title=${t("founding.title")} />
    <p>${t("founding.about", { node: here.value?.host ?? "" })}</p>
    <div class="choices">${["init", "join"].map((name) => html`<${Choice} key=${name} name=${name} />`)}</div>
    <p class="trouble" role="alert">${trouble.value}</p>
  </main>`;
}
