// The console: which screen is shown. Words and session first; the rest follows the session and the address' hash.
import { effect } from "@preact/signals";
import { render } from "preact";
import { Api } from "./api.js";
import { cameFrom, handedOn } from "./elsewhere.js";
import { Events } from "./events.js";
import { Founding } from "./founding.js";
import { Frame, screen } from "./frame.js";
import { html } from "./html.js";
import { picture, stop, watch } from "./live.js";
import { Login } from "./login.js";
import { Nodes } from "./nodes.js";
import { Overview } from "./overview.js";
import { ChoosePassword } from "./password.js";
import { carryOn, loadSession, session } from "./server.js";
import { Simulate } from "./simulate.js";
import { Trees } from "./trees.js";
import { Why } from "./why.js";
import { language, loadWords, t } from "./words.js";

const SCREENS = { overview: Overview, trees: Trees, nodes: Nodes, events: Events, why: Why, simulate: Simulate };

function Console() {
  language.value; // every word on the page follows it
  if (session.value === undefined) return html`<main><p role="status">${t("connection.console-gone")}</p></main>`;
  if (session.value === null) return html`<${Login} />`;
  if (session.value.choose_password) return html`<${ChoosePassword} />`;
  if (!session.value.cluster) return html`<${Founding} />`;
  const Screen = SCREENS[screen.value] ?? Overview;
  return html`<${Frame}>${picture.value ? html`<${Screen} />` : html`<p role="status">${t("connection.opening")}</p>`}<//>`;
}

let watched = "";
effect(() => {
  const wanted = session.value?.cluster && !session.value.choose_password ? `${session.value.csrf} ${language.value}` : "";
  if (wanted === watched) return;
  watched = wanted;
  if (wanted) watch();
  else {
    stop();
    picture.value = null;
  }
});

// Come from a console that is gone: as the same person, and saying so. A ticket that is over leads to the login.
async function goOn({ ticket, from }) {
  await carryOn(ticket);
  cameFrom.value = from;
}

async function begin() {
  const handed = handedOn();
  await loadWords();
  if (location.pathname === "/api") {
    render(html`<${Api} />`, document.getElementById("console")); // for everybody: it shows nothing of this cluster
    return;
  }
  render(html`<${Console} />`, document.getElementById("console"));
  while (session.value === undefined) {
    try {
      if (handed) await goOn(handed).catch((error) => error.code === "console-gone" && Promise.reject(error));
      if (session.value === undefined) await loadSession();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 1500));
    }
  }
}

void begin();
