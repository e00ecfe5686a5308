import assert from "node:assert/strict";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { Gap, Sender } from "../src/node/mirror.js";
import { LimenError, Mirror, Node, ReactiveDict, batch, effect } from "../src/node.js";
import { connections, gen_ctx } from "../src/testing.js";
import { vectors } from "./support.js";

// -- the sending side -------------------------------------------------------------------------------------------------
test("first a snapshot, then what changes", () => {
  const data = new ReactiveDict({ a: 1 });
  const sender = new Sender(data);
  assert.deepEqual(sender.take(), ["snapshot", 1, { a: 1 }]);
  assert.equal(sender.take(), undefined);
  data.set("b", 2);
  assert.deepEqual(sender.take(), ["changes", 2, [["b", 2]]]);
  batch(() => {
    data.set("a", 3);
    data.delete("b");
  });
  assert.deepEqual(sender.take(), ["changes", 3, [["a", 3], ["b"]]]);
});

test("what changes while nobody takes is merged and bounded", () => {
  const data = new ReactiveDict({ a: 0 });
  const sender = new Sender(data);
  sender.take();
  for (let number = 0; number < 1000; number++) {
    data.set("a", number);
    data.set(`passing ${number}`, 1);
    data.delete(`passing ${number}`);
  }
  assert.equal(sender.waiting, 1);
  assert.deepEqual(sender.take(), ["changes", 2, [["a", 999]]]);
  data.set("a", 5);
  data.set("a", 999);
  assert.equal(sender.take(), undefined);
  sender.close();
  data.set("a", 6);
  assert.equal(sender.waiting, 0);
});

// -- the receiving side -----------------------------------------------------------------------------------------------
for (const { name, steps } of vectors("mirror").scenarios) {
  test(name, () => {
    const mirror = new Mirror("test.a");
    const told = [];
    mirror.watch((changes) => told.push(changes.map(({ kind, key }) => [kind, key]).sort()));
    for (const step of steps) {
      if (step.gap) assert.throws(() => mirror.take(step.take), Gap);
      else if ("take" in step) mirror.take(step.take);
      else if ("lost" in step) mirror.lost();
      else if ("holds" in step) assert.deepEqual(mirror.toJSON(), step.holds);
      else if ("synced" in step) assert.equal(mirror.synced, step.synced);
      else if ("told" in step) assert.deepEqual(told.splice(0), step.told);
      else assert.fail(`What is ${JSON.stringify(step)}?`);
    }
  });
}

test("a mirror is read only", () => {
  const mirror = new Mirror("test.a");
  mirror.take(["snapshot", 1, { a: [1] }]);
  const refused = (error) => error instanceof LimenError && /call what changes test\.a there/.test(error.message);
  assert.throws(() => mirror.set("a", 1), refused);
  assert.throws(() => mirror.delete("a"), refused);
  assert.throws(() => mirror.update({}), refused);
  assert.throws(() => mirror.clear(), refused);
  assert.ok(Object.isFrozen(mirror.get("a")));
});

test("any changes, by a line that loses messages and breaks: in the end the mirror is as its source", () => {
  let seed = 7;
  const below = (n) => (seed = (seed * 48271) % 0x7fffffff) % n;
  for (let round = 0; round < 200; round++) {
    const data = new ReactiveDict();
    const mirror = new Mirror("test.a");
    const seen = {};
    mirror.watch((changes) => {
      for (const { key, kind, new: now } of changes) kind === "removed" ? delete seen[key] : (seen[key] = now);
    });
    let sender = new Sender(data);
    let line = [];
    const anew = () => {
      sender.close();
      sender = new Sender(data);
      line = [];
    };
    const come = () => {
      if (!line.length) return;
      try {
        mirror.take(line.shift());
      } catch (error) {
        assert.ok(error instanceof Gap);
        anew();
      }
    };
    const change = () => (below(3) ? data.set("abcd"[below(4)], below(3)) : data.delete("abcd"[below(4)]));
    const room = () => {
      const message = sender.take();
      if (message) line.push(message);
    };
    const broken = () => {
      mirror.lost();
      anew();
    };
    const several = () => batch(() => Array.from({ length: 4 }, change));
    const lost = () => line.splice(below(3), 1);
    const acts = [change, change, several, room, come, lost, broken];
    for (let step = 0; step < 60; step++) acts[below(acts.length)]();
    const agree = () => mirror.synced && isDeepStrictEqual(sorted(mirror), sorted(data));
    for (let tries = 0; tries < 4 && !agree(); tries++) {
      if (tries) broken();
      room();
      while (line.length) come();
    }
    assert.deepEqual(sorted(mirror), sorted(data));
    assert.deepEqual(seen, mirror.toJSON());
  }
});

const sorted = (dict) => [...dict].sort();

// -- tied together ----------------------------------------------------------------------------------------------------
async function two(work) {
  const [a, b] = connections(2);
  const source = new Node();
  const reader = new Node();
  source.update({ kept: 1, changed: 1, gone: { x: [1] } });
  await source.node_bind("test.source", a.new_context());
  await reader.node_bind("test.reader", b.new_context());
  await work({ a, b, source, reader });
  await Promise.all([source.node_unbind(), reader.node_unbind()]);
  await Promise.all([a.close(), b.close()]);
}

/** Resolves when *what()* is true; what it reads is followed. */
function until(what) {
  return new Promise((resolve) => {
    const stop = effect(() => {
      if (what()) queueMicrotask(() => (stop(), resolve()));
    });
  });
}

test("a mirror follows its node, and ends with it", () =>
  two(async ({ source, reader }) => {
    const mirror = await reader.remote("test.source").stream();
    assert.deepEqual(mirror.toJSON(), { kept: 1, changed: 1, gone: { x: [1] } });
    assert.deepEqual([mirror.synced, mirror.closed], [true, false]);
    const told = [];
    mirror.watch((changes) => told.push(changes.map(({ key }) => key)));
    batch(() => {
      source.set("changed", 2);
      source.delete("gone");
    });
    await until(() => !mirror.has("gone"));
    assert.deepEqual(told, [["changed", "gone"]]);
    source.set("last", "word");
    await source.node_unbind();
    await until(() => mirror.closed);
    assert.deepEqual(mirror.toJSON(), { kept: 1, changed: 2, last: "word" });
    assert.equal(mirror.synced, false);
  }));

test("a mirror of a node in the same process", async () => {
  const context = await gen_ctx();
  const source = new Node();
  const reader = new Node();
  source.set("a", 1);
  await source.node_bind("test.source", context);
  await reader.node_bind("test.reader", context);
  const mirror = await reader.remote("test.source").stream();
  source.set("a", { x: [1] });
  await until(() => mirror.get("a")?.x);
  assert.deepEqual(mirror.get("a"), { x: [1] });
  await reader.node_unbind();
  assert.ok(mirror.closed);
  await source.node_unbind();
});

test("a mirror ends by close, and the node that is mirrored lets go of it", () =>
  two(async ({ source, reader }) => {
    const mirror = await reader.remote("test.source").stream();
    mirror.close();
    mirror.close();
    assert.deepEqual([mirror.closed, mirror.synced], [true, false]);
    source.set("changed", 5);
    assert.equal(mirror.get("changed"), 1);
  }));

test("what is not there has no mirror", () =>
  two(async ({ reader }) => {
    await assert.rejects(reader.remote("test.nobody").stream(), (error) => error.exc === "NotFound");
  }));

for (const whose of ["b", "a"])
  test(`after a break (${whose}) a mirror is in step again by what is different`, () =>
    two(async (all) => {
      const { source, reader } = all;
      const mirror = await reader.remote("test.source").stream();
      const told = [];
      mirror.watch((changes) => told.push(changes.map(({ kind, key }) => `${kind} ${key}`).sort()));
      all[whose].cut({ away: true });
      await until(() => !mirror.synced);
      assert.deepEqual(mirror.toJSON(), { kept: 1, changed: 1, gone: { x: [1] } });
      source.update({ changed: 2, new: 1 });
      source.delete("gone");
      all[whose].come_back();
      await until(() => mirror.synced);
      assert.deepEqual(mirror.toJSON(), { kept: 1, changed: 2, new: 1 });
      assert.deepEqual(told, [["added new", "changed changed", "removed gone"]]);
    }));

test("a break before the first snapshot is waited out", () =>
  two(async ({ reader, b }) => {
    const begins = reader.remote("test.source").stream();
    b.cut();
    assert.equal((await begins).get("kept"), 1);
  }));

test("what no node can hold is taken for a gap, and changes nothing", () => {
  const mirror = new Mirror("test.a");
  let deep = 1;
  for (let level = 0; level < 70; level++) deep = [deep];
  for (const value of [NaN, [Infinity], deep]) {
    assert.throws(() => mirror.take(["snapshot", 1, { a: 1, b: value }]), Gap);
    assert.deepEqual([mirror.toJSON(), mirror.synced], [{}, false]);
  }
  mirror.take(["snapshot", 1, { a: 1 }]);
  assert.throws(() => mirror.take(["changes", 2, [["a", 2], ["b", NaN]]]), Gap);
  assert.deepEqual(mirror.toJSON(), { a: 1 });
});

test("a mirror that may not follow any more says so, once, and goes on asking", async (t) => {
  const said = t.mock.method(console, "warn", () => {});
  const mirror = new Mirror("test.source");
  const rounds = [];
  let asked = 0;
  const ask = async (push) => {
    if (asked++ === 0 || asked === 6) push(["snapshot", 1, { a: asked }]);
    throw new LimenError("Forbidden", ["No longer."]);
  };
  await mirror.follow(ask, (again) => rounds.push(again));
  for (let round = 0; round < 5; round++) {
    await new Promise(setImmediate);
    rounds[round]();
  }
  await new Promise(setImmediate);
  assert.equal(mirror.get("a"), 6);
  assert.deepEqual(said.mock.calls.map(({ arguments: [, error] }) => error.message), ["No longer."]);
  mirror.close();
});
