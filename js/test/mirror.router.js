/**
 * Mirrors of a node in Python, at `test.python` of the router in `ROUTER`, and of one in JavaScript there: what
 * tests/node/test_mirror_across.py starts.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import autobahn from "autobahn";
import { WebSocket } from "ws";
import { Connection, Node, effect, when_connected } from "../src/node.js";

globalThis.WebSocket ??= WebSocket; // autobahn takes it from there
const URL = process.env.ROUTER;
const REALM = "realm1";

/** Resolves when *what()* is true; what it reads is followed. */
function until(what) {
  return new Promise((resolve) => {
    const stop = effect(() => {
      if (what()) queueMicrotask(() => (stop(), resolve()));
    });
  });
}

async function connected(work) {
  const connection = new Connection(URL, REALM, { WebSocket });
  await when_connected(connection);
  try {
    await work(connection);
  } finally {
    await connection.close();
  }
}

test("a node in Python, mirrored in JavaScript", () =>
  connected(async (connection) => {
    const reader = new Node();
    await reader.node_bind("test.reader", connection.new_context());
    const python = reader.remote("test.python");
    const mirror = await python.stream();
    await python.change({ a: [1, { b: null }], text: "ä", gone: true }, []);
    await until(() => mirror.get("gone"));
    const told = [];
    mirror.watch((changes) => told.push(changes.map(({ kind, key }) => `${kind} ${key}`).sort()));
    await python.change({ a: [1, { b: 2 }], more: 0.5 }, ["gone"]);
    await until(() => mirror.has("more"));
    assert.deepEqual(mirror.toJSON(), { ...(await python.held()) });
    assert.deepEqual(mirror.get("a"), [1, { b: 2 }]);
    assert.deepEqual(told, [["added more", "changed a", "removed gone"]]);
    await reader.node_unbind();
    assert.ok(mirror.closed);
  }));

test("a node in JavaScript, mirrored in Python", () =>
  connected(async (connection) => {
    const source = new Node();
    source.update({ a: { x: [1, 2] }, gone: 1 });
    await source.node_bind("test.javascript", connection.new_context());
    const caller = new Node();
    await caller.node_bind("test.asking", connection.new_context());
    const python = caller.remote("test.python");
    await python.follow("test.javascript");
    source.delete("gone");
    source.update({ a: { x: [3] }, last: "word" });
    assert.deepEqual(await python.followed("last"), { a: { x: [3] }, last: "word" });
    await source.node_unbind();
    assert.equal(await python.ended(), true);
  }));

test("a node in Python, read by Autobahn", () =>
  connected(async (connection) => {
    const caller = new Node();
    await caller.node_bind("test.caller", connection.new_context());
    const plain = new autobahn.Connection({ url: URL, realm: REALM, max_retries: 0 });
    const session = await new Promise((resolve) => {
      plain.onopen = resolve;
      plain.open();
    });
    const come = [];
    let wake;
    const progress = (message) => {
      come.push(message);
      wake?.();
    };
    const number = async (n) => {
      while (come.length < n) await new Promise((resolve) => (wake = resolve));
      return come[n - 1];
    };
    const ends = session.call("test.python.node_stream", [], {}, { receive_progress: true }).then(
      () => "ended",
      (error) => error.error,
      progress,
    );
    assert.deepEqual((await number(1)).slice(0, 2), ["snapshot", 1]);
    await caller.remote("test.python").change({ fresh: [1] }, []);
    assert.deepEqual(await number(2), ["changes", 2, [["fresh", [1]]]]);
    await caller.remote("test.python").leave();
    assert.equal(await ends, "ended");
    plain.onclose = () => true;
    plain.close();
  }));
