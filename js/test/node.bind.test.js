import assert from "node:assert/strict";
import { test } from "node:test";
import { LimenError } from "../src/exc.js";
import { NodeContext } from "../src/node/context.js";
import { call, handler } from "../src/node/declared.js";
import { Node } from "../src/node/node.js";
import { Signal } from "../src/node/signal.js";
import { Tree } from "../src/node/tree.js";
import { effect } from "../src/react.js";
import { connections, MemoryRouter } from "../src/testing.js";
import { ERROR, REGISTER, SUBSCRIBE } from "../src/wamp.js";

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
const FORBIDDEN = "wamp.error.authorization_denied";

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
  for (const [router, nodes, messages] of [
    [new MemoryRouter(), 1000, 3],
    [exact(), 250, 1000],
  ]) {
    const [one] = connections(1, { router });
    await one.connected();
    const [root, context] = [await tree(nodes - 1), one.new_context()];
    const asked = [];
    const all = new Promise((resolve) => {
      router.heard = (...message) => asked.push(message) === messages && resolve();
    });
    const binding = root.node_bind("root", context);
    await all;
    delete router.heard;
    for (const message of asked) router.heard(...message);
    await binding;
    assert.equal(context.tree.size.nodes, nodes);
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
    await assert.rejects(second.node_bind("taken", context), {
      uri: "wamp.error.procedure_already_exists",
      message: /^Somebody else stands at 'taken(\.\w+)?' already: /,
    });
    assert.deepEqual(
      failures,
      ["taken", "child0"].map((name) => [name, "wamp.error.procedure_already_exists"]),
    );
    assert.deepEqual([held(router), context.tree.size, second.node_bound], [before, new Tree().size, false]);
    await second.node_bind("free", context);
    assert.equal(await second.remote("free.child0").one(), 1);
  }
});

test("who may not register or listen is told what was refused, and the rule that lets it", async () => {
  const router = new MemoryRouter();
  const { heard } = router;
  router.heard = (peer, message) =>
    message[0] === REGISTER || (message[0] === SUBSCRIBE && message[3] !== "root.")
      ? peer.send([ERROR, message[0], message[1], {}, FORBIDDEN])
      : heard.call(router, peer, message);
  const [one] = connections(1, { router });
  const told = (action, address, matching = "") => ({
    exc: "Forbidden",
    message: new RegExp(`let this session ${action} '${address}': .* limen.realm_rule\\('${action}', '${address}'${matching}, `),
  });
  const context = one.new_context();
  await assert.rejects(new Offers().node_bind("root", context), told("register", "root\\.", ", match='prefix'"));
  const asks = new Node();
  await asks.node_bind("asks", context);
  await assert.rejects(asks.remote("root").on_foo.connect(() => {}), told("subscribe", "root\\.on_foo"));
  assert.deepEqual(held(router), NOTHING);
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
  const seen = [];
  const stop = effect(() => void seen.push(root.node_away));
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
  stop();
  assert.deepEqual(seen, [false, true, false], "it can be followed");
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

test("nodes are told what the router does not give back", async () => {
  const router = new MemoryRouter();
  const [one, other] = connections(2, { router });
  const failures = [];
  class Told extends Offers {
    static failed = handler("on_node_registration_failure");
    failed({ uri }) {
      failures.push([this.node_name, uri]);
    }
  }
  const [root, usurper] = [await tree(1, Told), new Offers()];
  await root.node_bind("root", one.new_context());
  const back = one.cut({ away: true });
  await usurper.node_bind("root", other.new_context());
  const told = deferred();
  root.child0.on_node_registration_failure.connect(told.resolve);
  const { heard } = router;
  router.heard = (peer, message) => {
    // what stood before is asked for again and again while another has it; a router may also say that it may not be
    if (message[0] === REGISTER && message[3] === "root.") peer.send([ERROR, REGISTER, message[1], {}, FORBIDDEN]);
    else heard.call(router, peer, message);
  };
  back();
  await told.promise;
  assert.deepEqual(failures, [
    ["root", FORBIDDEN],
    ["child0", FORBIDDEN],
  ]);
  await root.node_unbind();
  await usurper.node_unbind();
});

/** Its handler of *signal* waits until it may go on. */
function slow(signal) {
  const [begun, go] = [deferred(), deferred()];
  class Slow extends Offers {
    static wait = handler(signal);
    wait() {
      begun.resolve();
      return go.promise;
    }
  }
  return { node: new Slow(), begun: begun.promise, go: go.resolve };
}
const deferred = () => {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
};

for (const signal of ["on_node_bind", "on_node_register", "on_node_registration_success"])
  test(`what is unbound in ${signal} is bound no more`, async () => {
    const router = new MemoryRouter();
    const [one] = connections(1, { router });
    const [context, root, { node, begun, go }] = [one.new_context(), await tree(1), slow(signal)];
    await root.node_add("slow", node);
    const binding = assert.rejects(root.node_bind("root", context), {
      exc: "InvalidCall",
      message: /was unbound while it was being bound/,
    });
    await begun;
    const leaving = root.node_unbind();
    assert.deepEqual(context.tree.size.nodes, 0, "at once");
    go();
    await Promise.all([binding, leaving]);
    assert.deepEqual([held(router), context.tree.size, root.node_bound], [NOTHING, new Tree().size, false]);
    await root.node_bind("root", context);
    assert.equal(await root.remote("root.slow").one(), 1);
  });

test("what is unbound while its registration is on the way is bound no more, also when it never comes", async () => {
  const router = new MemoryRouter();
  const [one, other] = connections(2, { router });
  const [context, root] = [one.new_context(), await tree(1)];
  const lost = cutAtRegister(router, one);
  const binding = assert.rejects(root.node_bind("root", context), { exc: "InvalidCall" });
  const back = await lost;
  await root.node_unbind();
  await binding;
  assert.equal(root.node_bound, false);
  const restored = new Promise((resolve) => one.on("restored", resolve));
  back();
  await restored;
  await other.connected();
  await assert.rejects(other.session.apply("root.one"), { exc: "NotFound" });
});

test("a node that is leaving takes nothing up, and is bound again when it has left", async () => {
  const context = new NodeContext();
  const { node, begun, go } = slow("on_node_unbind");
  await node.node_bind("test", context);
  const leaving = node.node_unbind();
  await begun;
  await assert.rejects(node.node_add("child", new Node()), { exc: "InvalidCall", message: /is being unbound/ });
  await assert.rejects(
    node.remote("other").on_foo.connect(() => {}),
    { exc: "InvalidCall", message: /is leaving/ },
  );
  const again = node.node_bind("again", context);
  go();
  await leaving;
  await again;
  assert.equal(String(node.node_path), "again");
});

test("a handler of on_node_unbind may unbind, and waits for nobody", async () => {
  class Leaves extends Node {
    static leave = handler("on_node_unbind");
    async leave() {
      const again = assert.rejects(this.node_bind("again"), { exc: "InvalidCall", message: /by whoever asks/ });
      await Promise.all([this.node_unbind(), this.node_root.node_unbind(), again]);
    }
  }
  const [root, leaves] = [new Node(), new Leaves()];
  await root.node_bind("root");
  await root.node_add("leaves", leaves);
  await root.node_unbind();
  assert.equal(root.node_bound, false);
});

test("what on_node_bind adds leaves with its parent, and is added anew", async () => {
  const made = [];
  class Grows extends Node {
    static grow = handler("on_node_bind");
    async grow() {
      const guest = new Offers();
      made.push(guest);
      await this.node_add("guest", guest);
    }
  }
  const [grows, stays] = [new Grows(), new Offers()];
  await grows.node_add("stays", stays);
  for (const at of ["first", "second"]) {
    await grows.node_bind(at);
    assert.equal(String(grows.guest.node_path), `${at}.guest`);
    await grows.node_unbind();
    assert.deepEqual([...grows.node_children], [["stays", stays]]);
  }
  assert.equal(made.length, 2);
});

test("a tree whose connection is closed for good is away, says so, and can be unbound", async () => {
  const [one] = connections(1);
  const [root, context] = [await tree(1), one.new_context()];
  await root.node_bind("root", context);
  await root.remote("other").on_foo.connect(() => {});
  await one.close();
  assert.equal(root.node_away, true);
  assert.equal(await root.remote("root.child0").one(), 1);
  await assert.rejects(root.remote("elsewhere").one(), { exc: "ConnectionLost" });
  await assert.rejects(root.on_foo.notify(), ({ errors }) => errors[0].exc === "ConnectionLost");
  await root.node_unbind();
  assert.deepEqual(context.tree.size, new Tree().size);
  await root.node_bind("local");
  assert.equal(await root.remote("local.child0").one(), 1);
  await assert.rejects(new Offers().node_bind("again", context), { exc: "ConnectionLost" });
});
