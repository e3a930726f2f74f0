// Builds the pages into the Python package: node build.mjs [FOLDER]
//
// The output is committed, so that nobody who uses or installs x3spatial needs Node. The build is
// reproducible: versions are pinned, and esbuild writes the same bytes for the same sources.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2] ?? join(here, "../src/x3spatial/reports/web/assets"));

// Classic scripts (IIFE): file:// allows neither modules nor fetch.
const entries = {
  report: join(here, "src/report/main.tsx"),
  ask: join(here, "src/ask/main.ts"),
};
const present = Object.fromEntries(Object.entries(entries).filter(([, path]) => existsSync(path)));

const result = await build({
  absWorkingDir: here,
  entryPoints: present,
  outdir: out,
  bundle: true,
  format: "iife",
  target: ["es2021", "chrome100", "firefox100", "safari15"],
  minify: true,
  charset: "utf8",
  legalComments: "none", // the licences are in THIRD_PARTY.txt
  jsx: "automatic",
  jsxImportSource: "preact",
  metafile: true,
  logLevel: "warning",
});

/** Of all that decides the output: a test without Node sees by it that somebody forgot `make web`. */
async function hashOfSources() {
  const names = (await readdir(join(here, "src"), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => relative(here, join(entry.parentPath, entry.name)).replaceAll("\\", "/"));
  const hash = createHash("sha256");
  for (const name of [...names, "build.mjs", "package-lock.json"].sort()) {
    hash.update(`${name}\n`).update(await readFile(join(here, name))).update("\n");
  }
  return hash.digest("hex");
}

const packages = new Set();
for (const path of Object.keys(result.metafile.inputs)) {
  const found = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path);
  if (found) packages.add(found[1]);
}
const parts = ["Third-party software in these files, with its licences.\n"];
for (const name of [...packages].sort()) {
  const folder = join(here, "node_modules", name);
  const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  const file = (await readdir(folder)).find((entry) => /^licen[cs]e(\.|$)/i.test(entry));
  if (!file) throw new Error(`${name}: no licence file`);
  const text = (await readFile(join(folder, file), "utf8")).trim();
  parts.push(`\n${"=".repeat(72)}\n${name} ${version} (${license})\n${"=".repeat(72)}\n\n${text}\n`);
}
await mkdir(out, { recursive: true });
await writeFile(join(here, "sources.sha256"), `${await hashOfSources()}\n`);
await writeFile(join(out, "THIRD_PARTY.txt"), parts.join(""));
