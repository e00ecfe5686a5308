import assert from "node:assert/strict";
import { test } from "node:test";
import { LimenError, Node, Path, batch, effect } from "../src/node.js";
import { gen_ctx } from "../src/testing.js";
import { vectors } from "./support.js";

/** @param {Node} node */
const held = (node) => Object.fromEntries(node.keys().map((key) => [key, node.get(key)]));

function take(node, step, told) {
  if ("set" in step) node.set(step.set, step.to);
  else if ("delete" in step) node.delete(step.delete);
  else if ("update" in step) node.update(step.update);
  else if ("clear" in step) node.clear();
  else if ("batch" in step) batch(() => step.batch.forEach((inner) => take(node, inner, told)));
  else if ("holds" in step) assert.deepEqual(held(node), step.holds);
  else if ("told" in step) assert.deepEqual(told.splice(0), step.told);
  else assert.fail(`What is ${JSON.stringify(step)}?`);
}

for (const { name, steps } of vectors("state").scenarios) {
  test(name, () => {
    const node = new Node();
    const told = [];
    node.watch((changes) => told.push(changes.map(({ kind, key }) => [kind, key]).sort()));
    for (const step of steps) take(node, step, told);
  });
}

test("nothing is made of a node's state until somebody asks", () => assert.equal(new Node()._state, undefined));

test("who reads a node follows it also before it holds anything", () => {
  const node = new Node();
  const saw = [];
  const stop = effect(() => void saw.push(node.get("a")));
  node.set("a", 1);
  batch(() => node.set("a", 2).set("a", 3));
  stop();
  node.set("a", 4);
  assert.deepEqual(saw, [undefined, 1, 3]);
});

test("what is put in is copied and frozen, all of it, once", () => {
  const node = new Node();
  const given = { list: [1, [2]], set: new Set([[3]]), map: new Map([["x", [4]]]), path: new Path("a.b") };
  node.set("it", given);
  given.list.push(5);
  const it = node.get("it");
  assert.deepEqual(it.list, [1, [2]]);
  for (const part of [it, it.list, it.list[1], [...it.set][0], it.map.get("x")]) assert.ok(Object.isFrozen(part));
  for (const change of [() => it.set.add(1), () => it.map.set(1, 2), () => it.map.clear(), () => it.list.push(1)])
    assert.throws(change, TypeError);
  node.set("again", { ...it, list: [] });
  assert.equal(node.get("again").map, it.map);
});

test("what could change is refused with its place", () => {
  class Cup {}
  const loop = [];
  loop.push(loop);
  for (const [value, why] of [
    [new Cup(), /^\["cart"\] cannot be a Cup: it may be changed without anybody .*Put texts/],
    [[1, { cup: new Cup() }], /^\["cart"\]\[1\]\["cup"\] cannot be a Cup/],
    [() => {}, /^\["cart"\] cannot be a function/],
    [NaN, /^\["cart"\] cannot be NaN/],
    [new Node(), /^\["cart"\] cannot be a node, which changes by itself: put its node_path/],
    [loop, /^\["cart"\]\[0\]\[0\]\[0\] … is deeper than 60 levels, or contains itself/],
  ]) {
    const node = new Node();
    assert.throws(() => node.set("cart", value), (error) => error instanceof LimenError && why.test(error.message));
    assert.deepEqual(node.keys(), []);
  }
});

test("whatever a node holds can be mirrored: one value would end the mirrors of all else", async () => {
  const context = await gen_ctx();
  const [reader, node] = [new Node(), new Node()];
  let deepest = 0;
  for (let level = 1, deep = 1; level < 70; deepest = level++)
    try {
      node.set("deep", (deep = [deep]));
    } catch {
      break;
    }
  assert.ok(deepest > 50);
  await reader.node_bind("test.reader", context);
  await node.node_bind("test.held", context);
  const mirror = await reader.remote("test.held").stream();
  assert.deepEqual(mirror.toJSON(), { deep: node.get("deep") });
});
