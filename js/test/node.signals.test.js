/**
 * Signals of nodes: who hears them, when, and what; as Python's tests/node/test_signals_of_nodes.py. Each test is run with
 * the node that says something and the one that listens in a tree without any connection, by one, and by two.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { call, handler, kwargs, Node, NodeContext, Path, Signal, signal } from "../src/node.js";
import { connections } from "../src/testing.js";

class Speaker extends Node {
  static on_foo = new Signal();
  static on_bar = new Signal();
  static own_foo = handler("on_foo");
  own = [];
  own_foo(...args) {
    this.own.push(args);
  }
}

class Listener extends Node {
  heard = [];
  came = () => {};
  note(...what) {
    this.heard.push(what);
    this.came();
  }
  async until(done) {
    while (!done(this.heard)) await new Promise((came) => (this.came = came));
    return this.heard.splice(0);
  }
}

class All extends Listener {
  static of_second = handler("@first.second");
  of_second(...args) {
    this.note("second", ...args);
  }
  static of_mark = handler("@mark");
  of_mark() {
    this.note("mark");
  }
}

class Bell extends Node {
  static on_marked = new Signal();
}

/** What *listener* heard, when all that was said before has come: *mark* says one thing more. */
async function settled(listener, mark) {
  await mark.on_marked.notify();
  const heard = await listener.until((all) => all.some(([kind]) => kind === "mark"));
  assert.deepEqual(heard.pop(), ["mark"]);
  return heard;
}

const base = new Path("test");

async function stage({ here, there }, listener) {
  const [first, second, mark] = [new Node(), new Speaker(), new Bell()];
  await first.node_bind(base.add("first"), here);
  await first.node_add("second", second);
  await mark.node_bind(base.add("mark"), here);
  await listener.node_bind(base.add("listener"), there);
  return { first, second, listener, mark };
}

function everywhere(name, run) {
  test(`${name} [no connection]`, async () => {
    const here = new NodeContext();
    await run({ here, there: here, far: false });
  });
  for (const n of [1, 2])
    test(`${name} [${n} connection${n > 1 ? "s" : ""}]`, async () => {
      const opened = connections(n);
      try {
        await run({ here: opened[0].new_context(), there: opened.at(-1).new_context(), far: n > 1 });
      } finally {
        await Promise.all(opened.map((one) => one.close()));
      }
    });
}

everywhere("every signal of exactly that node", async (places) => {
  const { first, second, listener, mark } = await stage(places, new All());
  const [similar, child] = [new Speaker(), new Speaker()];
  await first.node_add("second2", similar);
  await second.node_add("second", child);
  for (const [number, node] of [similar, child, second].entries()) {
    await node.on_foo.notify(number);
    await node.on_bar.notify(number);
  }
  await second.on_node_bind.notify();
  assert.deepEqual(await settled(listener, mark), [
    ["second", 2],
    ["second", 2],
  ]);
});

everywhere("it is heard once however it is subscribed", async (places) => {
  class Thrice extends All {
    static foo = handler("@first.second.on_foo");
    foo(...args) {
      this.note("foo", ...args);
    }
  }
  const { second, listener, mark } = await stage(places, new Thrice());
  const near = new Thrice();
  await near.node_bind(base.add("near"), places.here);
  const remote = listener.remote("@first.second").on_foo;
  const undo = await remote.connect((...args) => listener.note("connected", ...args));
  await remote.notify(1);
  await second.on_foo.notify(2);
  const expected = (kinds) => kinds.flatMap((kind) => [1, 2].map((number) => `${kind},${number}`));
  const heard = await settled(listener, mark);
  assert.deepEqual(heard.map(String).sort(), expected(["connected", "foo", "second"]));
  assert.deepEqual(second.own, [[1], [2]]);
  const others = (await settled(near, mark)).map(String).filter((each) => each !== "mark");
  assert.deepEqual(others.sort(), expected(["foo", "second"]));
  await undo();
});

everywhere("nothing is heard any more once a listener is unbound", async (places) => {
  const { second, listener } = await stage(places, new All());
  const saying = Array.from({ length: 100 }, (_, number) => second.on_foo.notify(number));
  await listener.until((all) => all.length);
  await listener.node_unbind();
  listener.heard.length = 0;
  await Promise.all(saying);
  await second.on_foo.notify("late");
  for (let turn = 0; turn < 10; turn++) await second.on_bar.notify();
  assert.deepEqual(listener.heard, []);
});

everywhere("nothing is heard by a node that is unbound", async (places) => {
  const { first, second, listener } = await stage(places, new All());
  const there = listener.remote("@first.second").on_foo;
  const saying = Array.from({ length: 100 }, (_, number) => there.notify(number));
  await first.node_remove("second");
  second.own.length = 0;
  await Promise.all(saying);
  await there.notify("late");
  assert.deepEqual(second.own, []);
});

everywhere("they are heard in the order in which they were said", async (places) => {
  const { second, listener, mark } = await stage(places, new All());
  second.on_foo.connect(async () => {
    await null;
  });
  const numbers = Array.from({ length: 100 }, (_, number) => number);
  await Promise.all(numbers.flatMap((number) => [second.on_foo.notify(number), second.on_bar.notify(number)]));
  const heard = await settled(listener, mark);
  assert.deepEqual(
    heard.map(([, number]) => number),
    numbers.flatMap((number) => [number, number]),
  );
});

test("the same arguments near and far", async () => {
  const came = [];
  class Noting extends Listener {
    static foo = handler("@first.second.on_foo");
    foo(...args) {
      came.push(args);
      this.note("foo");
    }
  }
  const args = [null, true, -1, 2 ** 40, 1.5, "text", [1, [2, []]], { a: { b: null } }, new Uint8Array([1, 2])];
  const [one, other] = connections(2);
  const alone = new NodeContext();
  const places = [
    [alone, alone],
    [one.new_context(), one.new_context()],
    [one.new_context(), other.new_context()],
  ];
  for (const [here, there] of places) {
    const { first, second, listener, mark } = await stage({ here, there }, new Noting());
    await second.on_foo.notify(...args, kwargs({ named: args }));
    await listener.until((all) => all.length);
    await Promise.all([first, listener, mark].map((node) => node.node_unbind()));
  }
  assert.deepEqual(came[0], came[2]);
  assert.deepEqual(came[1], came[2]);
  await Promise.all([one, other].map((each) => each.close()));
});

everywhere("what a listener does to an argument nobody else sees", async (places) => {
  class Spoiling extends Listener {
    static foo = handler("@first.second.on_foo");
    foo(items) {
      items.push("spoilt");
      this.note(...items);
    }
  }
  const { second, listener } = await stage(places, new Spoiling());
  const items = [];
  await second.on_foo.notify(items);
  assert.deepEqual(await listener.until((all) => all.length), [["spoilt"]]);
  assert.deepEqual(items, []);
});

everywhere("what can not travel is refused, and nothing has run", async (places) => {
  const { second, listener, mark } = await stage(places, new All());
  await assert.rejects(second.on_foo.notify(() => {}), { exc: "InvalidValue" });
  await assert.rejects(second.on_foo.notify(kwargs({ named: [Symbol("no")] })), { exc: "InvalidValue" });
  assert.deepEqual(second.own, []);
  assert.deepEqual(await settled(listener, mark), []);
});

everywhere("a node as an argument is a proxy near and far", async (places) => {
  class Asking extends Listener {
    static foo = handler("@first.second.on_foo");
    async foo(node) {
      this.note(await node.told("by the listener"));
    }
  }
  class Answering extends Speaker {
    static told = call();
    told(what) {
      return `told ${what}`;
    }
  }
  const { first, listener } = await stage(places, new Asking());
  await first.node_remove("second");
  const second = new Answering();
  await first.node_add("second", second);
  await second.on_foo.notify(second);
  assert.deepEqual(await listener.until((all) => all.length), [["told by the listener"]]);
});

everywhere("handlers of this process are awaited, those elsewhere are not", async (places) => {
  let go_on = () => {};
  class Slow extends Listener {
    static foo = handler("@first.second.on_foo");
    async foo() {
      this.note("began");
      await new Promise((done) => (go_on = done));
      this.note("ended");
    }
  }
  const { second, listener } = await stage(places, new Slow());
  let done = false;
  const saying = second.on_foo.notify().then(() => (done = true));
  await listener.until((all) => all.length);
  if (places.far) await saying;
  await new Promise((turn) => setImmediate(turn));
  assert.equal(done, places.far);
  go_on();
  await saying;
  assert.deepEqual(await listener.until((all) => all.length), [["ended"]]);
});

everywhere("what does not fit does not run, wherever it comes from", async (places) => {
  class Strict extends Speaker {
    static on_moved = signal();
    on_moved(x) {
      if (x < 0) throw new RangeError("x is on the board.");
    }
    static moved = handler("on_moved");
    moved(x) {
      this.own.push(x);
      this.came?.();
    }
  }
  const [strict, listener] = [new Strict(), new Listener()];
  await strict.node_bind("strict", places.here);
  await listener.node_bind("listener", places.there);
  const remote = listener.remote("strict").on_moved;
  if (places.far) await remote.notify();
  else {
    await assert.rejects(remote.notify(), { exc: "InvalidCall" });
    await assert.rejects(remote.notify(-1), RangeError);
  }
  const came = new Promise((done) => (strict.came = done));
  await remote.notify(5);
  await came;
  assert.deepEqual(strict.own, [5]);
});

everywhere("a handler that is connected twice is called once, and gone with one undo", async (places) => {
  const { second, listener, mark } = await stage(places, new All());
  const foo = listener.remote("@first.second").on_foo;
  const note = (...args) => listener.note("connected", ...args);
  await foo.connect(note);
  const undo = await foo.connect(note);
  await second.on_foo.notify(1);
  assert.equal((await settled(listener, mark)).filter(([kind]) => kind === "connected").length, 1);
  await undo();
  await second.on_foo.notify(2);
  assert.equal((await settled(listener, mark)).filter(([kind]) => kind === "connected").length, 0);
});

test("an undo undoes what a wrapper has made of the address", async () => {
  const context = new NodeContext();
  const [bell, listener, heard] = [new Bell(), new Node(), []];
  const renaming = (next, uri, ...rest) => next(uri.replace("alias", "bell"), ...rest);
  await bell.node_bind("test.bell", context);
  await listener.node_bind("test.listener", context.new({ tree: bell.node_context.tree, wrap_subscribe: renaming }));
  const undo = await listener.remote("test.alias").on_marked.connect((what) => heard.push(what));
  await bell.on_marked.notify(1);
  await undo();
  await bell.on_marked.notify(2);
  assert.deepEqual(heard, [1]);
});
