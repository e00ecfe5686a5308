import assert from "node:assert/strict";
import { test } from "node:test";
import { LimenError } from "../src/exc.js";
import { NodeContext } from "../src/node/context.js";
import { call, handler } from "../src/node/declared.js";
import { Node } from "../src/node/node.js";
import { Signal } from "../src/node/signal.js";
import { Tree } from "../src/node/tree.js";
import { connections, MemoryRouter } from "../src/testing.js";
import { REGISTER } from "../src/wamp.js";

class Offers extends Node {
  static on_foo = new Signal();
  static one = call();
  one() {
    return 1;
  }
  static two = call();
  two() {
    return 2;
  }
  static itself = call(".");
  itself() {
    return this.node_name;
  }
}

/** A router that knows no patterns. */
function exact() {
  const router = new MemoryRouter();
  router.features = { dealer: { features: {} }, broker: { features: {} } };
  return router;
}

const spelt = (entries) => entries.map(({ uri, match }) => `${match} ${uri}`).sort();
const held = ({ registrations, subscriptions }) => [spelt(registrations), spelt(subscriptions)];
const NOTHING = [[], []];

/** A tree of *width* children of a root. */
async function tree(width, Class = Offers) {
  const root = new Class();
  for (let i = 0; i < width; i++) await root.node_add(`child${i}`, new Class());
  return root;
}

test("a root is one registration and one subscription, whatever is added to it", async () => {
  const router = new MemoryRouter();
  const [one, other] = connections(2, { router });
  const [root, asks] = [await tree(3), new Node()];
  await root.node_bind("root", one.new_context());
  await root.node_add("late", new Offers());
  const all = [["exact root", "prefix root."], ["prefix root."]];
  assert.deepEqual(held(router), all);
  await asks.node_bind("asks", other.new_context());
  assert.deepEqual(held(router), all, "a node that offers nothing is nothing to its router");
  assert.deepEqual(await Promise.all(["root", "root.child2", "root.late"].map((at) => asks.remote(at)())), [
    "root",
    "child2",
    "late",
  ]);
  await root.node_remove("late");
  await assert.rejects(asks.remote("root.late")(), { exc: "NotFound" });
  assert.equal(await asks.remote("root.child0").two(), 2);
  await root.node_unbind();
  assert.deepEqual(held(router), NOTHING);
});

test("a router that knows no patterns is told of each", async () => {
  const router = exact();
  const [one, other] = connections(2, { router });
  const [root, asks] = [await tree(1), new Node()];
  await root.node_bind("root", one.new_context());
  await asks.node_bind("asks", other.new_context());
  const calls = ["", ".one", ".two"];
  const of = (at) => calls.map((name) => `exact root${at}${name}`);
  assert.deepEqual(held(router), [
    [...of(""), ...of(".child0")].sort(),
    ["exact root.child0.on_foo", "exact root.on_foo"],
  ]);
  await root.node_add("late", new Offers());
  assert.equal(await asks.remote("root.late").two(), 2);
  await root.node_remove("late");
  assert.equal(router.registrations.length, 6);
  await root.node_unbind();
  assert.deepEqual(held(router), NOTHING);
});

test("a thousand nodes are told in one go: all is asked before anything is answered", async () => {
  for (const [router, messages] of [
    [new MemoryRouter(), 3],
    [exact(), 4000],
  ]) {
    const [one] = connections(1, { router });
    await one.opened();
    const [root, context] = [await tree(999), one.new_context()];
    const asked = [];
    const all = new Promise((resolve) => {
      router.heard = (...message) => asked.push(message) === messages && resolve();
    });
    const binding = root.node_bind("root", context);
    await all;
    delete router.heard;
    for (const message of asked) router.heard(...message);
    await binding;
    assert.equal(context.tree.size.nodes, 1000);
    await root.node_unbind();
    assert.deepEqual([held(router), context.tree.size], [NOTHING, new Tree().size]);
  }
});

test("what the router refuses leaves nothing, and is told", async () => {
  for (const router of [new MemoryRouter(), exact()]) {
    const [one, other] = connections(2, { router });
    const failures = [];
    class Told extends Offers {
      static failed = handler("on_node_registration_failure");
      failed(error) {
        failures.push([this.node_name, error.uri]);
      }
      static hears = handler("@elsewhere");
      hears() {}
    }
    await new Offers().node_bind("taken", one.new_context());
    const before = held(router);
    const second = await tree(1, Told);
    const context = other.new_context();
    await assert.rejects(second.node_bind("taken", context), { uri: "wamp.error.procedure_already_exists" });
    assert.deepEqual(
      failures,
      ["taken", "child0"].map((name) => [name, "wamp.error.procedure_already_exists"]),
    );
    assert.deepEqual([held(router), context.tree.size, second.node_bound], [before, new Tree().size, false]);
    await second.node_bind("free", context);
    assert.equal(await second.remote("free.child0").one(), 1);
  }
});

test("what a node listened to in on_node_bind goes with a bind that fails", async () => {
  const router = new MemoryRouter();
  const [one] = connections(1, { router });
  class Eager extends Node {
    static bound_ = handler("on_node_bind");
    async bound_() {
      await this.remote("other").on_foo.connect(() => {});
      await this.node_add("child", new Offers());
      throw new LimenError("Forbidden");
    }
  }
  const [eager, context] = [new Eager(), one.new_context()];
  await assert.rejects(eager.node_bind("eager", context), AggregateError);
  assert.deepEqual([held(router), context.tree.size], [NOTHING, new Tree().size]);
});

test("what is added in on_node_bind is bound with its parent", async () => {
  class Grows extends Node {
    static grow = handler("on_node_bind");
    async grow() {
      await this.node_add("child", new Offers());
    }
  }
  const [one, other] = connections(2);
  const [grows, asks] = [new Grows(), new Node()];
  await grows.node_bind("grows", one.new_context());
  await asks.node_bind("asks", other.new_context());
  assert.equal(await asks.remote("grows.child").one(), 1);
});

/** The router loses *connection* as soon as it has heard REGISTER; gives what lets it return. */
const cutAtRegister = (router, connection) =>
  new Promise((resolve) => {
    router.heard = function (peer, message) {
      if (message[0] !== REGISTER) return MemoryRouter.prototype.heard.call(this, peer, message);
      delete router.heard;
      return resolve(connection.cut({ away: true }));
    };
  });

test("a connection that is lost in the middle of a bind brings it to its end when it is back", async () => {
  const router = new MemoryRouter();
  const [one, other] = connections(2, { router });
  const [root, asks] = [await tree(2), new Node()];
  const lost = cutAtRegister(router, one);
  const binding = root.node_bind("root", one.new_context());
  const back = await lost;
  assert.deepEqual([root.node_away, root.child1.node_away, root.node_bound], [true, true, true]);
  back();
  await binding;
  assert.equal(root.node_away, false);
  await asks.node_bind("asks", other.new_context());
  assert.equal(await asks.remote("root.child1").two(), 2);
  await root.node_unbind();
  assert.deepEqual(held(router), NOTHING);
});

test("a connection that is closed in the middle of a bind leaves nothing bound", async () => {
  const router = new MemoryRouter();
  const [one] = connections(1, { router });
  const [root, context] = [await tree(2), one.new_context()];
  const lost = cutAtRegister(router, one);
  const binding = assert.rejects(root.node_bind("root", context), { exc: "ConnectionLost" });
  await lost;
  await one.close();
  await binding;
  assert.deepEqual([root.node_bound, context.tree.size], [false, new Tree().size]);
});

test("a tree whose connection is lost stays, is away, and is back in full", async () => {
  const router = new MemoryRouter();
  const [one, other] = connections(2, { router });
  const [root, asks] = [await tree(2), new Node()];
  await root.node_bind("root", one.new_context());
  await asks.node_bind("asks", other.new_context());
  const heard = [];
  await asks.remote("root.child0").on_foo.connect((what) => heard.push(what));
  const all = held(router);
  const back = one.cut({ away: true });
  assert.deepEqual([root.node_away, asks.node_away, root.child1.node_bound], [true, false, true]);
  assert.equal(await root.remote("root.child1").one(), 1, "what is here can be called all the while");
  const waits = root.remote("elsewhere").hello();
  await assert.rejects(root.remote("elsewhere", { offline: "fail" }).hello(), { exc: "ConnectionLost" });
  await assert.rejects(root.remote("elsewhere", { timeout: 0.01 }).hello(), { exc: "Timeout" });
  const restored = new Promise((resolve) => one.on("restored", resolve));
  back();
  await restored;
  await assert.rejects(waits, { exc: "NotFound" });
  assert.deepEqual([root.node_away, held(router)], [false, all]);
  assert.equal(await asks.remote("root.child1").two(), 2);
  await root.child0.on_foo.notify("back");
  assert.equal(await asks.remote("root.child0").one(), 1);
  assert.deepEqual(heard, ["back"]);
});

test("the state of a node that offers nothing else is told to the router when there is one", async () => {
  for (const [router, registration] of [
    [new MemoryRouter(), "prefix root."],
    [exact(), "exact root.child.node_stream"],
  ]) {
    const [one, other] = connections(2, { router });
    const [root, child, asks] = [new Node(), new Node(), new Node()];
    await root.node_bind("root", one.new_context());
    await root.node_add("child", child);
    assert.deepEqual(held(router), NOTHING);
    child.set("title", "A");
    child.update({ more: 1 });
    await asks.node_bind("asks", other.new_context());
    await assert.rejects(asks.remote("root").nothing(), { exc: "NotFound" }); // by now the router knows
    const mirror = await asks.remote("root.child").stream();
    assert.deepEqual(mirror.toJSON(), { title: "A", more: 1 });
    assert.deepEqual(spelt(router.registrations), [registration]);
    await root.node_unbind();
    assert.deepEqual(held(router), NOTHING);
  }
});

test("a branch may stand on another connection than its parent", async () => {
  const router = new MemoryRouter();
  const [one, other, third] = connections(3, { router });
  const [root, branch, asks] = [new Offers(), await tree(1), new Node()];
  const contexts = [one.new_context(), other.new_context()];
  await root.node_bind("root", contexts[0]);
  await branch.node_bind("root.branch", contexts[1], root);
  await asks.node_bind("asks", third.new_context());
  assert.equal(root.branch, branch);
  assert.equal(await asks.remote("root.branch.child0").one(), 1);
  assert.equal(await root.remote("root.branch.child0").one(), 1);
  await root.node_unbind();
  assert.deepEqual(
    [held(router), contexts.map(({ tree }) => tree.size)],
    [NOTHING, [new Tree().size, new Tree().size]],
  );
});

test("bound() unbinds at the end, whatever happened", async () => {
  const context = new NodeContext();
  const node = new Offers();
  assert.equal(await node.bound("test", context, (self) => self.node_name), "test");
  await assert.rejects(
    node.bound("test", context, () => {
      throw new Error("out");
    }),
    { message: "out" },
  );
  assert.equal(node.node_bound, false);
});
