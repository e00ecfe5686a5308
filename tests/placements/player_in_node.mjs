/** player.js in Node.js, with what a page would load. */
import { createInterface } from "node:readline";
import { WebSocket } from "ws";
import * as limen from "../../src/limen/browser/node.mjs";
import { player } from "./player.js";

globalThis.WebSocket ??= WebSocket; // Node.js has its own since 22
const write = (what) => process.stdout.write(JSON.stringify(what) + "\n");
const { verbs, failure } = player(limen, (...what) => write({ heard: what }));

for await (const line of createInterface({ input: process.stdin })) {
  const { id, do: verb, ...what } = JSON.parse(line);
  verbs[verb](what).then(
    (ok) => write({ id, ok: ok ?? null }),
    (error) => write({ id, failed: failure(error) }),
  );
}
process.exit(0);
