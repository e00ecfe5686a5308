/**
 * Builds the browser's files into src/limen/browser/ and holds their budget: `node js/build.mjs`.
 *
 *     limen.js   a classic script, the global Limen      limen.mjs   the same as a module
 *     lane.mjs   loaded where the page asks for the HTTP lane
 *     dev.mjs    loaded when a call fails on a server in development
 *     login.mjs  loaded when somebody logs in            argon2.js   the worker it starts
 *     node.mjs   the tree of live objects, for pages that have one
 *     application.mjs   sessions of an application; stands on node.mjs
 *     testing.mjs   for tests of these; stands on node.mjs
 *     *.d.ts     types
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const out = join(root, "src", "limen", "browser");
/** Gzipped bytes (KiB are 1,024): what a page loads, what a login loads more, what nodes do, and sessions. */
const BUDGET = { core: 25 * 1024, login: 35 * 1024, node: 30 * 1024, application: 3 * 1024 };

const shared = {
  bundle: true,
  minify: true,
  target: ["es2022", "chrome111", "firefox115", "safari16.4"],
  charset: "utf8",
  legalComments: "inline",
  logLevel: "warning",
};
/** What these have of nodes is what node.mjs has: a Node of the one is a Node of the other. */
const standsOnNode = {
  name: "stands on node.mjs",
  setup: ({ onResolve }) => onResolve({ filter: /^\.\.?\/node\.js$/ }, () => ({ path: "./node.mjs", external: true })),
};
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
await Promise.all([
  build({ ...shared, entryPoints: [join(here, "src/limen.js")], outfile: join(out, "limen.mjs"), format: "esm" }),
  build({
    ...shared,
    entryPoints: [join(here, "src/limen.js")],
    outfile: join(out, "limen.js"),
    format: "iife",
    globalName: "Limen",
    logOverride: { "empty-import-meta": "silent" },
  }),
  build({ ...shared, entryPoints: [join(here, "src/seal/login.js")], outfile: join(out, "login.mjs"), format: "esm" }),
  build({ ...shared, entryPoints: [join(here, "src/lane.js")], outfile: join(out, "lane.mjs"), format: "esm" }),
  build({ ...shared, entryPoints: [join(here, "src/node.js")], outfile: join(out, "node.mjs"), format: "esm" }),
  ...["application", "testing"].map((name) =>
    build({
      ...shared,
      entryPoints: [join(here, `src/${name}.js`)],
      outfile: join(out, `${name}.mjs`),
      format: "esm",
      plugins: [standsOnNode],
    }),
  ),
  build({ ...shared, entryPoints: [join(here, "src/dev.js")], outfile: join(out, "dev.mjs"), format: "esm" }),
  build({
    ...shared,
    entryPoints: [join(here, "src/argon2.worker.js")],
    outfile: join(out, "argon2.js"),
    format: "iife",
  }),
]);

const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");
execFileSync(
  process.execPath,
  [
    tsc,
    "--project",
    join(root, "tsconfig.json"),
    "--noEmit",
    "false",
    "--declaration",
    "--emitDeclarationOnly",
    "--outDir",
    join(out, "types"),
  ],
  { stdio: "inherit" },
);
// Who types a page by these has not installed the package that react.js stands on: its types come along.
const types = join(out, "types");
const SIGNALS = 'from "@preact/signals-core"';
copyFileSync(
  join(dirname(createRequire(import.meta.url).resolve("@preact/signals-core")), "signals-core.d.ts"),
  join(types, "signals-core.d.ts"),
);
for (const name of readdirSync(types, { recursive: true }).filter((each) => each.endsWith(".d.ts"))) {
  const text = readFileSync(join(types, name), "utf8");
  const from = `from "${"../".repeat(name.split(/[\\/]/).length - 1) || "./"}signals-core.js"`;
  if (text.includes(SIGNALS)) writeFileSync(join(types, name), text.replaceAll(SIGNALS, from));
}
copyFileSync(join(here, "types", "typed.d.ts"), join(out, "typed.d.ts"));
// What takes a service's name is typed by what `limen types` says of a program.
const typed = `export * from "./types/limen.js";
export { apply, call, plain, safe_apply, safe_call, services, subscribe } from "./typed.js";
export type { PlainServices, Services, Stream, Topics } from "./typed.js";
`;
writeFileSync(join(out, "limen.d.ts"), `${typed}export as namespace Limen;\n`);
writeFileSync(join(out, "limen.d.mts"), typed);
for (const name of ["node", "application", "testing"])
  writeFileSync(join(out, `${name}.d.mts`), `export * from "./types/${name}.js";\n`);

const size = (name) => gzipSync(readFileSync(join(out, name)), { level: 9 }).length;
const sizes = {
  "limen.js": size("limen.js"),
  "limen.mjs": size("limen.mjs"),
  "lane.mjs": size("lane.mjs"),
  "login.mjs": size("login.mjs"),
  "node.mjs": size("node.mjs"),
  "application.mjs": size("application.mjs"),
  "testing.mjs": size("testing.mjs"),
  "argon2.js": size("argon2.js"),
};
for (const [name, bytes] of Object.entries(sizes))
  console.log(`${name.padEnd(16)} ${(bytes / 1024).toFixed(1).padStart(5)} KiB gzipped`);
const core = Math.max(sizes["limen.js"], sizes["limen.mjs"]);
const login = sizes["login.mjs"] + sizes["argon2.js"];
for (const [part, bytes] of Object.entries({ core, login, node: sizes["node.mjs"], application: sizes["application.mjs"] })) {
  if (bytes > BUDGET[part]) {
    console.error(`The ${part} part has ${bytes} bytes gzipped; its budget is ${BUDGET[part]}.`);
    process.exitCode = 1;
  }
}
