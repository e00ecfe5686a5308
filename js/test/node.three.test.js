/** The three nodes of the seed by two sessions of one router in memory. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { when_connected } from "../src/node/connection.js";
import { call, handler } from "../src/node/declared.js";
import { Node } from "../src/node/node.js";
import { Signal } from "../src/node/signal.js";
import { Path } from "../src/path.js";
import { MemoryRouter, connections, gen_ctx } from "../src/testing.js";

class Second extends Node {
  static on_foo = new Signal();
  async call_third() {
    await this.remote("@third").rpc("hello");
  }
}

class Third extends Node {
  static rpc = call();
  static on_second_foo = handler("@first.second");
  heard = new Promise((resolve) => (this.tell = resolve));
  rpc(something) {
    this.something = something;
  }
  on_second_foo(...args) {
    this.tell(args);
  }
}

async function scenario(one, other) {
  const base = new Path("test");
  const [first, second, third] = [new Node(), new Second(), new Third()];
  await first.node_bind(base.add("first"), one);
  await third.node_bind(base.add("third"), other);
  await first.node_add("second", second);
  await second.call_third();
  await second.on_foo.notify("hello handler");
  assert.deepEqual([third.something, await third.heard], ["hello", ["hello handler"]]);
  await first.node_unbind();
  await third.node_unbind();
}

test("three nodes on two connections call and signal each other; nothing is left at the router", async () => {
  const router = new MemoryRouter();
  const [one, other] = connections(2, { router });
  await when_connected(one);
  await when_connected(other);
  await scenario(one.new_context(), other.new_context());
  assert.deepEqual([router.registrations, router.subscriptions], [[], []]);
  await Promise.all([one.close(), other.close()]);
  assert.equal(router.sessions.size, 0);
});

test("… with a router that matches no patterns", async () => {
  const router = new MemoryRouter();
  router.features = { dealer: { features: {} }, broker: { features: {} } };
  const [one, other] = connections(2, { router });
  await when_connected(one);
  await when_connected(other);
  await scenario(one.new_context(), other.new_context());
  assert.deepEqual([router.registrations, router.subscriptions], [[], []]);
});

test("… with contexts made for a test", () => scenario(gen_ctx(), gen_ctx()));

test("a tree is back in full when its connection is", async () => {
  const [one, other] = connections(2);
  await when_connected(one);
  await when_connected(other);
  const [first, second, third] = [new Node(), new Second(), new Third()];
  await first.node_bind("test.first", one.new_context());
  await third.node_bind("test.third", other.new_context());
  await first.node_add("second", second);
  const restored = new Promise((resolve) => other.on("restored", resolve));
  const back = other.cut({ away: true });
  assert.deepEqual([third.node_away, first.node_away], [true, false]);
  back();
  await restored;
  assert.equal(third.node_away, false);
  await second.remote(new Path("test.third")).rpc("again");
  await second.on_foo.notify("signal");
  assert.equal(third.something, "again");
});
