// Times and durations as people read them: the reader's own zone, always named, and one figure with its unit.
import { language, t } from "./words.js";

export function clock(iso) {
  return new Intl.DateTimeFormat(language.value, {
    year: "numeric", month: "2-digit", day: "2-digit",
    hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hour12: false,
  }).format(new Date(iso));
}

export function zone() {
  const parts = new Intl.DateTimeFormat(language.value, { timeZoneName: "longOffset" }).formatToParts(new Date());
  const offset = parts.find((part) => part.type === "timeZoneName")?.value ?? "";
  return `${Intl.DateTimeFormat().resolvedOptions().timeZone} (${offset})`;
}

export function duration(seconds) {
  if (seconds == null) return "-";
  if (seconds < 1) return t("time.ms", { n: Math.round(seconds * 1000) });
  if (seconds < 120) return t("time.s", { n: Math.round(seconds) });
  if (seconds < 7200) return t("time.min", { n: Math.round(seconds / 60) });
  if (seconds < 172800) return t("time.h", { n: Math.round(seconds / 3600) });
  return t("time.d", { n: Math.round(seconds / 86400) });
}
