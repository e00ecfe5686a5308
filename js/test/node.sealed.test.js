/** A tree of nodes by the sealed session of a page: in, out, lost and back. */
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { Connection, when_connected } from "../src/node/connection.js";
import { call, handler } from "../src/node/declared.js";
import { Node } from "../src/node/node.js";
import { Signal } from "../src/node/signal.js";
import { Path } from "../src/path.js";
import { MemoryRouter, connections } from "../src/testing.js";
import { setting, until } from "./page.js";
import { MemorySlots } from "./server.js";

const base = new Path("test");
const open = [];
afterEach(() => Promise.all(open.splice(0).map((connection) => connection.close())));

/** A page's connection, logged in unless *out*, and another one's, to one router. */
async function both({ out = false, ...options } = {}) {
  const place = await setting(options);
  const router = (place.server.router ??= new MemoryRouter());
  const [other] = connections(1, { router });
  await when_connected(other);
  const connection = Connection.over({ _session: place.session });
  open.push(connection, other);
  if (!out) await place.session.login("ada", "correct horse");
  if (!out) await when_connected(connection);
  const happened = (event) => new Promise((resolve) => connection.on(event, resolve));
  return { ...place, connection, other, router, happened };
}

class Third extends Node {
  static rpc = call();
  static count = call();
  static on_foo = new Signal();
  static on_first_foo = handler("@first.on_foo");
  heard = [];
  rpc(something) {
    return `${something}!`;
  }
  async *count(n) {
    for (let i = 1; i <= n; i++) yield i;
  }
  on_first_foo(...args) {
    this.heard.push(args);
  }
}
class First extends Node {
  static on_foo = new Signal();
}

test("a page's node is called by others, calls them, and hears their signals", async () => {
  const { connection, other } = await both();
  const [third, first] = [new Third(), new First()];
  await third.node_bind(base.add("third"), connection.new_context());
  await first.node_bind(base.add("first"), other.new_context());
  assert.equal(await first.remote("@third").rpc("hello"), "hello!");
  assert.deepEqual(await first.remote("@third").count(3), [1, 2, 3]);
  const values = [];
  for await (const value of first.remote("@third").node_values("count", [3])) values.push(value);
  assert.deepEqual(values, [1, 2, 3]);
  await first.on_foo.notify("signal", 1);
  await until(() => third.heard.length);
  assert.deepEqual(third.heard, [["signal", 1]]);
  const heard = [];
  await first.remote("@third").on_foo.connect((...args) => heard.push(args));
  await third.on_foo.notify(2);
  await until(() => heard.length);
  assert.deepEqual(heard, [[2]]);
  await assert.rejects(first.remote("@third").nothing(), { exc: "NotFound" });
});

test("one page has one such connection; without Limen it is said what to load", async () => {
  const { connection, session } = await both();
  assert.equal(Connection.over({ _session: session }), connection);
  assert.throws(() => Connection.over(undefined), { exc: "InvalidCall", message: /limen\.js/ });
  await connection.close();
  assert.notEqual(Connection.over({ _session: session }), connection);
});

test("it is open as soon as somebody is logged in", async () => {
  const { connection, session } = await both({ out: true });
  assert.equal(connection.state, "offline");
  await assert.rejects(connection.session.register("a", () => 1), { exc: "Unauthorized" });
  await assert.rejects(connection.session.apply("a"), { exc: "Unauthorized" });
  await assert.rejects(connection.session.publish("a"), { exc: "Unauthorized" });
  const opened = when_connected(connection);
  await session.login("ada", "correct horse");
  assert.equal((await opened).state, "online");
  assert.deepEqual(Object.keys(connection.session.features).sort(), ["broker", "dealer"]);
});

test("a lost connection comes back with all that stands on it", async () => {
  const { connection, other, server, happened } = await both();
  const [third, first] = [new Third(), new First()];
  await third.node_bind(base.add("third"), connection.new_context());
  await first.node_bind(base.add("first"), other.new_context());
  const [offline, restored] = [happened("offline"), happened("restored")];
  server.cut();
  await offline;
  assert.equal(third.node_away, true);
  await restored;
  assert.equal(third.node_away, false);
  assert.equal(await first.remote("@third").rpc("again"), "again!");
  await first.on_foo.notify(1);
  await until(() => third.heard.length);
  assert.deepEqual(third.heard, [[1]]);
});

test("after a logout nothing is left at the router; the same user's login brings it back", async () => {
  const { connection, other, session, router, happened } = await both();
  const [third, first] = [new Third(), new First()];
  await third.node_bind(base.add("third"), connection.new_context());
  await first.node_bind(base.add("first"), other.new_context());
  const out = happened("signed_out");
  await session.logout();
  await out;
  assert.deepEqual([connection.state, third.node_away], ["offline", true]);
  await until(() => router.registrations.every(({ uri }) => !uri.startsWith("test.third")));
  await assert.rejects(first.remote("@third").rpc("x"), { exc: "NotFound" });
  const restored = happened("restored");
  await session.login("ada", "correct horse");
  await restored;
  assert.equal(await first.remote("@third").rpc("back"), "back!");
  await first.on_foo.notify(1);
  await until(() => third.heard.length);
  assert.deepEqual(third.heard, [[1]]);
  await third.node_unbind();
  assert.ok(router.registrations.every(({ uri }) => !uri.startsWith("test.third")));
  assert.ok(router.subscriptions.every(({ uri }) => uri.startsWith("test.first")));
});

test("another user's login does not get what was bound before", async () => {
  const { connection, session, server, router } = await both();
  await server.addUser("grace", "correct horse");
  const third = new Third();
  await third.node_bind(base.add("third"), connection.new_context());
  await session.login("grace", "correct horse");
  assert.equal(connection.state, "closed");
  assert.deepEqual(router.registrations, []);
  const hers = Connection.over({ _session: session });
  assert.notEqual(hers, connection);
  open.push(hers);
  assert.equal((await when_connected(hers)).state, "online");
});

test("what the page itself subscribed stays, when a node's handler of the same topic goes", async () => {
  const { connection, other, session } = await both();
  const heard = [];
  await session.subscribe("t", (...args) => heard.push(["page", ...args]));
  const undo = await connection.session.subscribe("t", (...event) => heard.push(event.slice(0, 3)), { topic: true });
  await other.session.publish("t", [1], { k: 2 });
  await until(() => heard.length === 2);
  assert.deepEqual(heard.splice(0), [
    ["page", 1, { k: 2 }],
    ["t", [1], { k: 2 }],
  ]);
  await undo();
  await other.session.publish("t", [3]);
  await until(() => heard.length);
  assert.deepEqual(heard, [["page", 3]]);
});

test("closed, it takes back what stands on it, and the page stays logged in", async () => {
  const { connection, session, router } = await both();
  await connection.session.register("a", () => 1);
  await connection.session.subscribe("b", () => {});
  await connection.close();
  assert.deepEqual([router.registrations, router.subscriptions], [[], []]);
  assert.equal(session.state.status, "online");
  await assert.rejects(connection.session.apply("a"), { exc: "ConnectionLost" });
});

test("a session that is continued elsewhere takes its nodes away here", async () => {
  const { connection, server, slots, happened } = await both();
  await new Third().node_bind(base.add("third"), connection.new_context());
  const out = happened("signed_out");
  const elsewhere = new MemorySlots();
  elsewhere.stored = slots.stored;
  const { session } = await setting({ server, slots: elsewhere });
  await session.resume();
  assert.equal((await out).exc, "UnknownSession");
  assert.equal(connection.state, "offline");
  const there = Connection.over({ _session: session });
  open.push(there);
  await when_connected(there);
  await new Third().node_bind(base.add("third"), there.new_context());
});
