// What surrounds every screen: the cluster's name, the counters 严重 and 警告, the way to the other screens, and a
// banner when what is shown may be old.
import { computed, signal } from "@preact/signals";
import { cameFrom, consoles, isLoadedFor } from "./elsewhere.js";
import { html } from "./html.js";
import { LanguageSwitch } from "./language-switch.js";
import { agedS, picture, upstream } from "./live.js";
import { logOut } from "./server.js";
import { duration } from "./times.js";
import { t } from "./words.js";

const NAMES = ["overview", "trees", "nodes", "events", "why", "simulate"];
const place = signal(location.hash.slice(1));
addEventListener("hashchange", () => {
  if (!isLoadedFor(picture.value)) return location.reload();
  cameFrom.value = "";
  place.value = location.hash.slice(1);
});

export const screen = computed(() => place.value.split("/")[0] || "overview");
// What stands after the slash, as in #why/web: the tree that is meant.
export const about = computed(() => decodeURIComponent(place.value.split("/")[1] ?? ""));

function Counters() {
  const alarms = picture.value?.alarms ?? [];
  const errors = alarms.filter((alarm) => alarm.severity === "error").length;
  const warnings = alarms.filter((alarm) => alarm.severity === "warning").length;
  return html`<span role="status"><a class="counters" href="#overview">
    <span class=${errors ? "state bad" : "state quiet"}>${t("count.errors", { n: errors })}</span>
    <span class=${warnings ? "state warn" : "state quiet"}>${t("count.warnings", { n: warnings })}</span>
  </a></span>`;
}

// Where the other consoles are, as links: this page goes to one that answers by itself, unless something is being written
// or the browser does not trust its certificate yet.
function Elsewhere() {
  return consoles(picture.value).map(({ node, ip, href }) => html` <a key=${ip} href="${href}/">${node} ${ip}</a>`);
}

function Banner() {
  const { state, text, look } = upstream.value;
  const from = cameFrom.value;
  if (state === "up" && from && picture.value?.nodes.some((node) => node.name === from))
    return html`<div role="status" class="banner other-node">${t("connection.came", { from, node: upstream.value.node })}</div>`;
  if (state === "up") return html`<div role="status"></div>`;
  const old = picture.value && state !== "other-node" ? t("connection.old", { time: duration(agedS(0)) }) : "";
  const words = text || t(`connection.${state}`);
  return html`<div role="status" class="banner ${state}">${words} ${old} ${look && html`${t("connection.look")} <${Elsewhere} />`}</div>`;
}

export function Frame({ children }) {
  const link = (name) =>
    html`<a href="#${name}" aria-current=${screen.value === name ? "page" : undefined}>${t(`screen.${name}`)}</a>`;
  return html`<header class="top">
      <strong class="name">ServHA <span>${picture.value?.cluster?.name ?? ""}</span></strong>
      <nav aria-label=${t("screen.all")}>${NAMES.map(link)}</nav>
      <${Counters} />
      <span class="row"><${LanguageSwitch} />
        <button type="button" class="quiet" onClick=${() => void logOut().catch(() => {})}>${t("button.log-out")}</button></span>
    </header>
    <${Banner} />
    <main>${children}</main>`;
}
