/** A connection that is cut and restored in the middle of 10,000 calls, signals and changes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { call } from "../src/node/declared.js";
import { Node } from "../src/node/node.js";
import { Signal } from "../src/node/signal.js";
import { Tree } from "../src/node/tree.js";
import { connections, MemoryRouter } from "../src/testing.js";

const CALLS = 6000;
const SIGNALS = 3000;
const CHANGES = 1000;
const CUTS = 6;

class Works extends Node {
  static on_said = new Signal();
  ran = new Map();
  static work = call();
  async work(i) {
    this.ran.set(i, (this.ran.get(i) ?? 0) + 1);
    await null;
    return i;
  }
}

test("every call ends once, mirrors agree at the end, nothing is left", async () => {
  const router = new MemoryRouter();
  const [one, other] = connections(2, { router });
  const contexts = [one.new_context(), other.new_context()];
  const [works, asks] = [new Works(), new Node()];
  await works.node_bind("works", contexts[0]);
  await asks.node_bind("asks", contexts[1]);
  works.set("n", 0);
  const mirror = await asks.remote("works").stream();
  const heard = [];
  await asks.remote("works").on_said.connect((i) => heard.push(i));
  const ends = new Map();
  const all = [];
  const proxy = asks.remote("works");
  const end = (i) => (how) => ends.set(i, [...(ends.get(i) ?? []), how]);
  let restored;
  for (let i = 0; i < CALLS; i++) {
    all.push(proxy.work(i).then(end(i), (error) => end(i)(error.exc)));
    if (i % (CALLS / SIGNALS) === 0) all.push(works.on_said.notify(i).catch(() => {})); // whether it was said, nobody knows
    if (i % (CALLS / CHANGES) === 0) works.set("n", i);
    if (i % 50 === 0) await new Promise(setImmediate);
    if (i % (CALLS / CUTS) === 100) restored = cut(i % (2 * (CALLS / CUTS)) === 100 ? one : other);
    if (i % (CALLS / CUTS) === 200) await restored;
  }
  works.set("last", "change");
  await Promise.all(all);
  assert.equal(ends.size, CALLS);
  const unlucky = new Set(["OutcomeUnknown", "NotFound", "Canceled", "ConnectionLost", "RemoteError"]);
  for (const [i, how] of ends) assert.ok(how.length === 1 && (how[0] === i || unlucky.has(how[0])), `${i}: ${how}`);
  for (const [i, times] of works.ran) assert.equal(times, 1, `call ${i} ran once`);
  assert.ok([...ends].filter(([i, [how]]) => how === i).length > CALLS / 2, "most of them were answered");
  assert.deepEqual(
    heard,
    [...heard].sort((a, b) => a - b),
    "in order, none twice",
  );
  assert.equal(new Set(heard).size, heard.length);
  await synced(mirror, works);
  await mirror.close();
  await Promise.all([works.node_unbind(), asks.node_unbind()]);
  assert.deepEqual([router.registrations, router.subscriptions], [[], []]);
  assert.deepEqual(
    contexts.map(({ tree }) => tree.size),
    [new Tree().size, new Tree().size],
  );
});

/** Cuts *connection*; resolves when it is back with all that stands on it. */
function cut(connection) {
  const restored = new Promise((resolve) => connection.on("restored", resolve));
  connection.cut();
  return restored;
}

/** Waits until *mirror* is what *node* is. */
const synced = (mirror, node) =>
  new Promise((resolve) => {
    const state = (of) => JSON.stringify(of.keys().map((key) => [key, of.get(key)]));
    const look = () => state(mirror) === state(node) && resolve();
    mirror.watch(look);
    look();
  });
