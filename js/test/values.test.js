import assert from "node:assert/strict";
import { test } from "node:test";
import { LimenError } from "../src/exc.js";
import { Tagged, copied, decimal, tag, untag } from "../src/values.js";
import { vectors } from "./support.js";

const { rows, malformed } = vectors("values");

/** What JavaScript cannot tell apart, so that it goes back as something equal: row → the text it goes back as. */
const CHANGED = {
  "float integral": "1",
  "float negative zero": "0",
  UUID: '"0193493e-7c4b-7000-8000-0123456789ab"',
  "datetime UTC": '{"$datetime":"2026-11-21T11:48:00.000Z"}',
  "datetime with milliseconds": '{"$datetime":"2026-11-21T11:48:00.250Z"}',
  "dict with UUID and date keys": '{"$dict":[["0193493e-7c4b-7000-8000-0123456789ab",1],[{"$date":"2026-11-21"},2]]}',
};

for (const row of rows.filter((row) => typeof row.json.limen === "string")) {
  test(`${row.name} comes in and goes back unharmed`, () => {
    const back = JSON.stringify(tag(untag(JSON.parse(row.json.limen))));
    assert.equal(back, CHANGED[row.name] ?? JSON.stringify(JSON.parse(row.json.limen)));
  });
}

test("a copy for somebody near is what somebody far away would get", () => {
  for (const row of rows.filter((row) => typeof row.json.limen === "string")) {
    const value = untag(JSON.parse(row.json.limen));
    if (!/\$(file|upload)"/.test(row.json.limen)) assert.deepEqual(copied(value), untag(tag(value)), row.name);
  }
  const mine = { when: new Date(5), list: [undefined, Object.freeze([1])], none: undefined, said: { toJSON: () => [2n] } };
  assert.deepEqual(copied(mine), untag(tag(mine)));
  assert.deepEqual(copied(new Float64Array([1])), untag(tag(new Float64Array([1]))));
});

for (const tree of malformed) {
  test(`the malformed tree ${JSON.stringify(tree).slice(0, 60)} is refused with its path`, () => {
    assert.throws(
      () => untag(structuredClone(tree)),
      (error) => error instanceof LimenError && error.exc === "InvalidValue" && error.path.startsWith("$"),
    );
  });
}

test("every kind of JavaScript value has its tagged form", () => {
  const cases = [
    [undefined, null],
    [{ a: undefined, b: 1 }, { b: 1 }],
    [[undefined], [null]],
    [5n, 5],
    [2n ** 53n, { $int: "9007199254740992" }],
    [NaN, { $float: "nan" }],
    [-Infinity, { $float: "-inf" }],
    [new Date(0), { $datetime: "1970-01-01T00:00:00.000Z" }],
    [new Set(["a"]), { $set: ["a"] }],
    [new Map([[1, "one"]]), { $dict: [[1, "one"]] }],
    [Object.freeze([1]), { $tuple: [1] }],
    [Uint8Array.of(104, 105), { $bytes: "aGk=" }],
    [new Uint8Array([0, 104, 105, 0]).subarray(1, 3), { $bytes: "aGk=" }],
    [Uint8Array.of(104, 105).buffer, { $bytes: "aGk=" }],
    [decimal("1.50"), { $decimal: "1.50" }],
    [decimal("+1e3"), { $decimal: "1E3" }],
    [new LimenError("NotFound", ["Gone."], { id: 1 }), { $error: { exc: "NotFound", err: ["Gone."], id: 1 } }],
    [{ toJSON: () => ({ a: 1 }) }, { a: 1 }],
    [Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
    [{ $x: 1 }, { $$x: 1 }],
  ];
  for (const [value, tree] of cases) assert.deepEqual(tag(value), tree);
});

test("what cannot travel is refused with its path", () => {
  class Car {}
  const within = {};
  within.self = within;
  const cases = [
    [{ a: [1, () => 1] }, "$.a[1]"],
    [{ "a b": Symbol("x") }, "$['a b']"],
    [[new Car()], "$[0]"],
    [new Map([["k", new Car()]]), "$[0][1]"],
    ["\ud800", "$"],
    [{ "\ud800": 1 }, "$"],
    [new Date(NaN), "$"],
    [new Date(-1e14), "$"],
    [within, "$" + ".self".repeat(128)],
  ];
  for (const [value, path] of cases)
    assert.throws(
      () => tag(value),
      (error) => error.exc === "InvalidValue" && error.path === path,
      path,
    );
});

test("depth is counted in the tree that travels, as Python counts it", () => {
  const nest = (levels, inner) => Array.from({ length: levels }).reduce((value) => [value], inner);
  tag(nest(127, []));
  assert.throws(() => tag(nest(128, [])), { exc: "InvalidValue" });
  tag(nest(126, new Set()));
  assert.throws(() => tag(nest(127, new Set())), { exc: "InvalidValue" });
  untag(nest(127, []));
  assert.throws(() => untag(nest(128, [])), { exc: "InvalidValue" });
});

test("data cannot forge a tag nor a prototype", () => {
  const forged = JSON.parse('{"__proto__": {"$set": [1]}, "b": [{"constructor": 1}]}');
  const back = untag(tag(forged));
  assert.equal(Object.getPrototypeOf(back), Object.prototype);
  assert.deepEqual(Object.keys(back), ["__proto__", "b"]);
  for (const data of [{ $set: [1] }, { $$set: [1] }, { $: 1 }, { $__proto__: 1 }])
    assert.deepEqual(untag(tag(data)), data);
});

test("a Tagged shows its text and equals its like", () => {
  const price = new Tagged("decimal", "1.50");
  assert.equal(`${price}`, "1.50");
  assert.equal(JSON.stringify({ price }), '{"price":"1.50"}');
  assert.ok(price.equals(decimal("1.50")));
  assert.ok(!price.equals(decimal("1.5")));
  assert.throws(() => new Tagged("decimal", "1,50"), { exc: "InvalidValue" });
  assert.throws(() => new Tagged("date", "2026-02-30"), { exc: "InvalidValue" });
});
