// Copies the few libraries that the console's pages import out of node_modules into static/vendor, as they were
// published, and writes down their versions, licences and digests. Run it after `npm ci` when a version changes:
//     cd web && npm ci --ignore-scripts && node vendor.mjs
// The result is committed: neither users nor the packages of ServHA need npm.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const FILES = [
  ["preact", "dist/preact.mjs", "preact.js"],
  ["preact", "hooks/dist/hooks.mjs", "preact-hooks.js"],
  ["@preact/signals-core", "dist/signals-core.mjs", "signals-core.js"],
  ["@preact/signals", "dist/signals.mjs", "signals.js"],
  ["htm", "dist/htm.mjs", "htm.js"],
  ["@dagrejs/dagre", "dist/dagre.esm.js", "dagre.js"],
];
const BUNDLED = ["@dagrejs/graphlib"]; // inside dagre's file; its licence travels along

const target = new URL("static/vendor/", import.meta.url);
const of = (name, file) => readFileSync(new URL(`node_modules/${name}/${file}`, import.meta.url));

rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });
const manifest = FILES.map(([name, from, file]) => {
  const { version, license } = JSON.parse(of(name, "package.json"));
  const body = Buffer.from(of(name, from).toString().replace(/\n?\/\/# sourceMappingURL=.*\s*$/, "\n"));
  writeFileSync(new URL(file, target), body);
  return { file, package: name, version, from, license, sha256: createHash("sha256").update(body).digest("hex") };
});
writeFileSync(new URL("manifest.json", target), `${JSON.stringify(manifest, null, 2)}\n`);
const names = [...new Set([...FILES.map(([name]) => name), ...BUNDLED])];
writeFileSync(new URL("LICENSES", target), names.map((name) => `${name}\n\n${of(name, "LICENSE")}\n`).join("\n"));
