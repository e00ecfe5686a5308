import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { LimenError } from "../src/exc.js";
import { NodeContext } from "../src/node/context.js";
import { call, handler } from "../src/node/declared.js";
import { kwargs } from "../src/node/kwargs.js";
import { Node } from "../src/node/node.js";
import { NodeProxy } from "../src/node/proxy.js";
import { Signal } from "../src/node/signal.js";
import { Tree } from "../src/node/tree.js";
import { Path } from "../src/path.js";
import { connections } from "../src/testing.js";

const deferred = () => {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
};

/** Is asked: what it says of itself, and of the call. */
class Asked extends Node {
  static on_foo = new Signal();
  begun = deferred();
  aborted = deferred();
  ended = deferred();
  static all = call();
  all(...args) {
    return args.map((arg) => (arg?.constructor?.name === "Kwargs" ? { named: { ...arg } } : arg));
  }
  static hang = call();
  hang() {
    const { signal } = this.node_context.call;
    signal.addEventListener("abort", () => this.aborted.resolve(signal.reason.exc));
    this.begun.resolve();
    return new Promise(() => {});
  }
  static *#numbers() {
    for (let i = 0; ; i++) yield i;
  }
  static count = call();
  async *count() {
    try {
      yield* Asked.#numbers();
    } finally {
      this.ended.resolve("ended");
    }
  }
  static who = call();
  who() {
    const { uri, caller } = this.node_context.call;
    return [uri, caller === null];
  }
  static list = call();
  list() {
    return Object.freeze([this, this.node_path]);
  }
  static nothing = call();
  nothing() {}
}

/** Runs *work* with two nodes: near each other, and of a connection each. */
function near_and_far(name, work) {
  test(`${name}, near`, () => placed(new NodeContext({ tree: new Tree() }), undefined, work));
  test(`${name}, far`, () => {
    const [x, y] = connections(2);
    return placed(x.new_context(), y.new_context(), work);
  });
}
async function placed(here, there = here, work) {
  const [asks, asked] = [new Asked(), new Asked()];
  await asks.node_bind(new Path("test").add("asks"), here);
  await asked.node_bind(new Path("test").add("asked"), there);
  await work({ asks, asked, proxy: asks.remote("@asked"), near: here === there });
}

near_and_far("arguments by name come last", async ({ proxy }) => {
  assert.deepEqual(await proxy.all(1, kwargs({ two: 2 })), [1, { named: { two: 2 } }]);
  assert.deepEqual(await proxy.all(kwargs({})), []);
  assert.deepEqual(await proxy.node_call("all", [1], { two: [2] }), [1, { named: { two: [2] } }]);
  await assert.rejects(proxy.all(kwargs({ two: 2 }), 1), { exc: "InvalidValue" });
});

near_and_far("what is passed is a copy, so nobody changes what another holds", async ({ asked, proxy }) => {
  const list = [1, { two: [2] }];
  let kept;
  asked.all = (value) => ((kept = value), value);
  const back = await proxy.all(list);
  assert.deepEqual(back, list);
  kept[1].two.push(3);
  assert.deepEqual(
    [list, back],
    [
      [1, { two: [2] }],
      [1, { two: [2] }],
    ],
  );
});

near_and_far("what comes back may be nodes and paths, or nothing", async ({ proxy }) => {
  const [node, path] = await proxy.list();
  assert.ok(node instanceof NodeProxy);
  assert.deepEqual([String(node.node_path), path], ["test.asked", new Path("asked", "test")]);
  assert.equal(await proxy.nothing(), null);
  assert.deepEqual(await node.who(), await proxy.who());
});

near_and_far("a call ends with its time, and who runs it knows", async ({ asked, proxy }) => {
  const error = { exc: "Timeout" };
  await assert.rejects(proxy.node_call("hang", [], {}, { timeout: 0.01 }), error);
  assert.match(await asked.aborted.promise, /Timeout|Canceled/);
});

near_and_far("a time-out holds for all calls of a proxy", async ({ asks }) => {
  await assert.rejects(asks.remote("@asked", { timeout: 0.01 }).hang(), { exc: "Timeout" });
});

near_and_far("a call that is given up is given up on the other side", async ({ asks, asked }) => {
  const control = new AbortController();
  const hanging = asks.remote("@asked", { signal: control.signal }).hang();
  await asked.begun.promise;
  control.abort();
  await assert.rejects(hanging, { exc: "Canceled" });
  assert.equal(await asked.aborted.promise, "Canceled");
  await assert.rejects(asks.remote("@asked", { signal: control.signal }).nothing(), { exc: "Canceled" });
});

near_and_far("who leaves a stream ends it", async ({ asked, proxy }) => {
  const come = [];
  for await (const value of proxy.node_values("count")) {
    come.push(value);
    if (value === 2) break;
  }
  assert.deepEqual(come, [0, 1, 2]);
  assert.equal(await asked.ended.promise, "ended");
});

near_and_far("a stream that is given up ends", async ({ asked, proxy }) => {
  const control = new AbortController();
  const values = proxy.node_values("count", [], {}, { signal: control.signal });
  assert.equal((await values.next()).value, 0);
  control.abort();
  await assert.rejects(
    async () => {
      for await (const _ of values);
    },
    { exc: "Canceled" },
  );
  assert.equal(await asked.ended.promise, "ended");
});

near_and_far("a signal carries arguments by name, nodes and paths", async ({ asks, asked, proxy }) => {
  const [own, heard] = [deferred(), deferred()];
  asked.on_foo.connect((...args) => own.resolve(args));
  await proxy.on_foo.connect((...args) => heard.resolve(args));
  await asked.on_foo.notify(1, asked.node_path, kwargs({ by: asks }));
  for (const said of [own, heard]) {
    const [number, path, { by }] = await said.promise;
    assert.deepEqual([number, path, String(by.node_path)], [1, asked.node_path, "test.asks"]);
  }
  assert.ok((await heard.promise)[2].by instanceof NodeProxy);
});

near_and_far("wrappers stand round what goes out and what comes in", async ({ asks, asked, proxy, near }) => {
  const log = [];
  const wrap = (kind, who) => (next, uri, args, named) => {
    log.push(`${who} ${kind} ${uri}`);
    return next(uri, kind === "call" ? [...args, who] : args, named);
  };
  const context = asks.node_context.new({ wrap_call: wrap("call", "old") });
  const branch = context.new({
    wrap_call: wrap("call", "new"),
    wrap_publish: wrap("publish", "new"),
    wrap_subscribe: wrap("subscribe", "new"),
  });
  const child = new Asked();
  await child.node_bind("test.asks.child", branch, asks);
  assert.deepEqual(await child.remote("test.asked").all(1), [1, "old", "new"]);
  assert.deepEqual(await proxy.all(1), [1], "others are not wrapped");
  await child.remote("test.asked").on_foo.connect((...args) => log.push(args));
  await child.on_foo.notify("hello");
  assert.deepEqual(log, [
    "old call test.asked.all",
    "new call test.asked.all",
    "new subscribe test.asked.on_foo",
    "new publish test.asks.child.on_foo",
  ]);
  log.length = 0;
  const guarded = new Asked();
  const guard = async (next, uri, args, named) => {
    if (!guarded.node_context.call) throw new Error("the call in progress is known");
    if (args[0] === "secret") throw new LimenError("Forbidden", ["Not that."]);
    return ["guarded", await next(uri, args, named)];
  };
  await guarded.node_bind("test.guarded", asked.node_context.new({ wrap_invocation: guard }));
  assert.deepEqual(await asks.remote("@guarded").all(1), ["guarded", [1]]);
  await assert.rejects(asks.remote("@guarded").all("secret"), { exc: "Forbidden", message: "Not that." });
  if (near) return;
  const heard = deferred();
  const listens = new Asked();
  const event = (next, topic, args, named) => {
    heard.resolve([topic, listens.node_context.event.topic, args]);
    return next(topic, ["wrapped"], named);
  };
  await listens.node_bind("test.listens", asks.node_context.new({ wrap_event: event }));
  const said = deferred();
  await listens.remote("test.asked").on_foo.connect((...args) => said.resolve(args));
  await asked.on_foo.notify("plain");
  assert.deepEqual(await heard.promise, ["test.asked.on_foo", "test.asked.on_foo", ["plain"]]);
  assert.deepEqual(await said.promise, ["wrapped"]);
});

test("a stream near by that waits for nothing lets others have their turn", async () => {
  const node = new Asked();
  await node.node_bind("test");
  const stops = new AbortController();
  setTimeout(() => stops.abort());
  await assert.rejects(node.remote("test").node_call("count", [], {}, { signal: stops.signal, push: () => {} }), {
    exc: "Canceled",
  });
  assert.equal(await node.ended.promise, "ended");
});

test("errors of handlers here come to who said it; those of others stay with them", async () => {
  const [x, y] = connections(2);
  class Fails extends Asked {
    static own = handler("on_foo");
    own() {
      throw new TypeError("own");
    }
    static others = handler("test.asked");
    others() {
      throw new TypeError("other");
    }
  }
  const [asked, fails, far] = [new Asked(), new Fails(), new Asked()];
  await asked.node_bind("test.asked", x.new_context());
  await fails.node_bind("test.fails", asked.node_context);
  await far.node_bind("test.far", y.new_context());
  const of = ({ errors }) => errors.map(({ message }) => message);
  await assert.rejects(fails.on_foo.notify(), (error) => assert.deepEqual(of(error), ["own"]) ?? true);
  await assert.rejects(asked.on_foo.notify(), (error) => assert.deepEqual(of(error), ["other"]) ?? true);
  await assert.rejects(
    asked.on_foo.notify(() => {}),
    { exc: "InvalidValue" },
  );
  const reported = deferred();
  const { error } = console;
  console.error = (...what) => reported.resolve(what);
  try {
    await far.remote("test.fails").on_foo.notify();
    assert.equal((await reported.promise)[0].errors[0].message, "own", "the page's own business, not the caller's");
  } finally {
    console.error = error;
  }
});

test("signals are heard in the order in which they were said", async () => {
  const [x, y] = connections(2);
  const [asked, asks] = [new Asked(), new Asked()];
  await asked.node_bind("test.asked", x.new_context());
  await asks.node_bind("test.asks", y.new_context());
  const [heard, all] = [[], deferred()];
  await asks.remote("test.asked").on_foo.connect((i) => heard.push(i) === 200 && all.resolve());
  await Promise.all(Array.from({ length: 200 }, (_, i) => asked.on_foo.notify(i)));
  await all.promise;
  assert.deepEqual(heard, [...heard.keys()]);
});

test("a proxy is itself whatever JavaScript asks of it", async () => {
  const node = new Asked();
  await node.node_bind("test");
  const proxy = node.remote("other.place");
  assert.equal(await proxy, proxy, "no promise");
  assert.equal(JSON.stringify({ proxy }), "{}");
  assert.equal(`${proxy}`, "Proxy(other.place)");
  assert.equal(proxy.toString(), "Proxy(other.place)");
  assert.match(inspect(proxy), /./);
  assert.equal(proxy instanceof NodeProxy, true);
  assert.equal(typeof proxy.name.length.call.bind, "function", "what functions have are names of nodes here");
  assert.equal(String(proxy.name.length.node_path), "other.place.name.length");
  assert.throws(() => new NodeProxy(), { exc: "InvalidCall" });
  assert.throws(() => proxy._private, { exc: "InvalidCall", message: /private/ });
  assert.throws(() => (proxy.title = 1), { exc: "InvalidCall", message: /call it/ });
  assert.throws(() => proxy.on_node_bind, { exc: "InvalidCall", message: /never leaves/ });
  assert.throws(() => proxy["a b"], { exc: "InvalidAddress" });
  assert.throws(() => node.remote("a..b"), { exc: "InvalidAddress" });
  assert.throws(() => node.remote("_x", {})._y, { exc: "InvalidCall" });
});

test("names that JavaScript knows are names as any", async () => {
  const [x, y] = await connections(2);
  class Odd extends Node {
    static named = call();
    named(options = {}) {
      return [Object.keys(options), options.admin ?? null];
    }
  }
  await new Odd().node_bind("test.odd", x.new_context());
  await y.connected();
  const evil = JSON.parse('{"__proto__": {"admin": true}, "constructor": 1}');
  assert.deepEqual(await y.session.apply("test.odd.named", [], evil), [["__proto__", "constructor"], null]);
  for (const name of ["__proto__", "constructor", "toString", "then", "hasOwnProperty"])
    await assert.rejects(y.session.apply(`test.odd.${name}`), { exc: "NotFound" });
});

test("odd addresses among the arguments are refused, and nothing happens", async () => {
  const [x, y] = connections(2);
  const asked = new Asked();
  await asked.node_bind("test.asked", x.new_context());
  await y.connected();
  const ask = (arg) => y.session.apply("test.asked.all", [arg]);
  await assert.rejects(ask({ $path: 5 }), {
    exc: "InvalidValue",
    message: /\$path of an address must be a text, not number/,
  });
  await assert.rejects(ask({ $path: null }), { exc: "InvalidValue" });
  await assert.rejects(ask({ $path: "a", $base: [] }), { exc: "InvalidValue" });
  await assert.rejects(ask({ $path: "a..b" }), { exc: "InvalidAddress" });
  await assert.rejects(ask({ $path: "" }), { exc: "InvalidAddress" });
  for (const $path of ["wamp.session.kill_all", "limen.x", "wamp"])
    await assert.rejects(ask({ $path }), { exc: "InvalidAddress", message: /router's own/ });
  assert.deepEqual(await ask({ $path: "a", other: 1 }), [{ $path: "a", other: 1 }], "more than an address is none");
  let deep = 1;
  for (let i = 0; i < 100; i++) deep = [deep];
  await assert.rejects(ask(deep), { exc: "InvalidValue", message: /deeper than 64/ });
  const around = [];
  around.push(around);
  await assert.rejects(asked.remote("test.asked").all(around), { exc: "InvalidValue" });
});

for (const uri of [
  "test.asked._private",
  "test.asked.constructor",
  "test.asked.hasOwnProperty",
  "test.asked.on_foo",
  "test.asked.node_unbind",
  "test.asked.__proto__",
  "test.asked.all.all",
  "test.asked.",
  "test.asked..",
  "test.asked.nobody",
])
  test(`a call of ${uri} finds nothing`, async () => {
    const [x, y] = connections(2);
    const asked = new Asked();
    await asked.node_bind("test.asked", x.new_context());
    await y.connected();
    await assert.rejects(y.session.apply(uri), { exc: "NotFound" });
  });

test("what a proxy says goes by the notifier's wrapper, and reaches a node that is near as if it were far", async () => {
  class Says extends Node {
    static on_foo = new Signal();
    static hear = handler("on_foo");
    hear(list) {
      this.heard = list;
      list.push("mine");
      if (list[0] === "bad") throw new TypeError("not that");
    }
  }
  const context = new NodeContext({ tree: new Tree() });
  const [says, asks] = [new Says(), new Node()];
  const said = [];
  await says.node_bind("test.says", context);
  await asks.node_bind(
    new Path("test").add("asks"),
    context.new({ wrap_publish: (next, topic, args, named) => (said.push(topic), next(topic, args, named)) }),
  );
  const list = ["good"];
  await asks.remote("@says").on_foo.notify(list);
  assert.deepEqual([said, says.heard, list], [["test.says.on_foo"], ["good", "mine"], ["good"]]);
  await assert.rejects(asks.remote("@says").on_foo.notify(["bad"]), (error) => {
    assert.deepEqual([error.constructor, error.errors.map(String)], [AggregateError, ["TypeError: not that"]]);
    return true;
  });
});
