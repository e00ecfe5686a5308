import assert from "node:assert/strict";
import { test } from "node:test";
import { MAX_PATH, Path } from "../src/path.js";
import { vectors } from "./support.js";

const { made, added, leads } = vectors("paths");

for (const [verb, rows, run] of [
  ["made", made, (row) => new Path(row.path, row.from)],
  ["added", added, (row) => new Path(row.path, row.from).add(row.more)],
  ["leads", leads, (row) => new Path(row.path, row.from).resolve(row.to, ...resolvers(row.roles))],
]) {
  for (const row of rows) {
    const { refused, whole, base, why: _, ...given } = row;
    test(`${verb}: ${JSON.stringify(given)}`, () => {
      if (refused) assert.throws(() => run(row), { exc: "InvalidAddress", message: refused });
      else assert.deepEqual([String(run(row)), String(run(row).base)], [whole, base]);
    });
  }
}

function resolvers(roles = []) {
  return roles.map((known) => (role) => known[role]);
}

test("a path reads like a sequence of its parts", () => {
  const path = new Path("a.b.c", "a");
  assert.deepEqual([path.length, path.at(0), path.at(-1), ...path], [3, "a", "c", "a", "b", "c"]);
  assert.equal(path.name, "c");
  assert.equal(path.parent, new Path("a.b", "a"));
  assert.equal(new Path("a").parent, null);
  assert.equal(JSON.stringify({ path }), '{"path":"a.b.c"}');
});

test("the same address with the same base is the same object", () => {
  const path = new Path("first", "test");
  assert.ok(path instanceof Path);
  assert.equal(path, new Path("test").add("first"));
  assert.notEqual(path, new Path("test.first"));
  assert.equal(path.absolute, new Path("test.first"));
  assert.ok(path.equals(new Path("test.first")));
  assert.ok(!path.equals(new Path("test.second")) && !path.equals("test.first"));
});

test("a path does not change", () => {
  const path = new Path("a.b");
  assert.throws(() => (path.parts = ["c"]), TypeError);
  assert.throws(() => path.parts.push("c"), TypeError);
});

test("a longer address is refused", () => {
  assert.equal(String(new Path("a".repeat(MAX_PATH))).length, MAX_PATH);
  assert.throws(() => new Path("a".repeat(MAX_PATH + 1)), { exc: "InvalidAddress", message: /longer than 1024/ });
  assert.throws(() => new Path("a".repeat(MAX_PATH - 1)).add("b"), { message: /longer than 1024/ });
});
