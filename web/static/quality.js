// How good the ways between the nodes were in the last hour: a picture and its figures for each link and for the quorum
// disk, as each node saw them. What the figures are is servhad's to say; a minute nobody knows of stays empty.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { html } from "./html.js";
import { ask } from "./server.js";
import { t } from "./words.js";

const EVERY_MS = 30_000;
const HIGH = 28;
const LEAST_SCALE_MS = 1; // below this nobody needs to see a difference

const hour = signal(null); // what GET /quality said; null: not yet

async function look() {
  hour.value = (await ask("GET", "/quality").catch(() => null)) ?? hour.value;
}

export const ms = (value) => t("quality.ms", { n: value < 10 ? value.toFixed(2) : Math.round(value) });
export const percent = (part) => t("quality.percent", { n: part > 0 && part < 0.001 ? "< 0.1" : Math.round(part * 1000) / 10 });

// One line of words for a list of minutes, which is all that the picture shows.
function summary(minutes) {
  const timed = minutes.filter((one) => one.mean_ms != null);
  const [good, lost] = ["good", "lost"].map((key) => minutes.reduce((sum, one) => sum + one[key], 0));
  if (!good && !lost) return t("quality.nothing");
  const mean = timed.reduce((sum, one) => sum + one.mean_ms, 0) / timed.length;
  const times = timed.length ? [t("quality.times", { mean: ms(mean), most: ms(Math.max(...timed.map((one) => one.most_ms))) })] : [];
  return [...times, t("quality.lost", { part: percent(lost / (good + lost)) })].join(t("quality.and"));
}

function Bars({ minutes, of }) {
  const most = Math.max(LEAST_SCALE_MS, ...minutes.map((one) => one.most_ms ?? 0));
  const bar = (value_ms) => Math.max(1, (HIGH * value_ms) / most);
  return html`<svg class="bars" viewBox="0 0 ${2 * of} ${HIGH}" width=${4 * of} height=${HIGH} preserveAspectRatio="none" aria-hidden="true">
    ${minutes.map((one) => {
      const x = 2 * (of - 1 - one.ago_min);
      return html`<g key=${one.ago_min}>
        ${one.lost > 0 && html`<rect class="lost" x=${x} y="0" width="2" height=${HIGH} />`}
        ${one.most_ms != null &&
        html`<rect class="most" x=${x} y=${HIGH - bar(one.most_ms)} width="2" height=${bar(one.most_ms)} />
          <rect class="mean" x=${x} y=${HIGH - bar(one.mean_ms)} width="2" height=${bar(one.mean_ms)} />`}
      </g>`;
    })}
  </svg>`;
}

export function Quality() {
  useEffect(() => {
    void look();
    const timer = setInterval(look, EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  if (!hour.value) return html`<p class="hint">${t("quality.nothing")}</p>`;
  const { nodes, minutes: of } = hour.value;
  const rows = Object.entries(nodes).flatMap(([node, seen]) => [
    ...Object.entries(seen.links).map(([link, minutes]) => ({ what: t("quality.link", { link }), node, minutes })),
    ...(seen.disk ? [{ what: t("quality.disk"), node, minutes: seen.disk }] : []),
  ]);
  rows.sort((a, b) => a.what.localeCompare(b.what) || a.node.localeCompare(b.node));
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${t("overview.quality")}>
      <table class="quality">
        <tbody>
          ${rows.map(
            ({ what, node, minutes }) => html`<tr key=${`${what} ${node}`}>
              <th scope="row">${what}<div class="hint">${t("quality.seen-by", { node })}</div></th>
              <td><${Bars} minutes=${minutes} of=${of} /></td>
              <td>${summary(minutes)}</td>
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
    <p class="hint">${t("quality.legend")}</p>`;
}
