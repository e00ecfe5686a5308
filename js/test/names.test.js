import assert from "node:assert/strict";
import { test } from "node:test";
import { domainName, passwordBytes, pathOf, uriOf, userName } from "../src/names.js";
import { bytes, vectors } from "./support.js";

const { domain, user, password } = vectors("names");
const show = (text) => JSON.stringify(text).slice(0, 50);

for (const [kind, cases, normal] of [
  ["domain", domain, domainName],
  ["user", user, userName],
]) {
  for (const { in: given, out, refused } of cases) {
    test(`the ${kind} ${show(given)} is ${refused ? "refused" : show(out)}`, () => {
      if (refused)
        assert.throws(() => normal(given), { exc: kind === "user" ? "InvalidCredential" : "InvalidAddress" });
      else assert.equal(normal(given), out);
    });
  }
}

for (const { in: given, utf8, refused } of password) {
  test(`the password ${show(given)} is ${refused ? "refused" : utf8.slice(0, 40)}`, () => {
    if (refused) assert.throws(() => passwordBytes(given), { exc: "InvalidCredential" });
    else assert.deepEqual(passwordBytes(given), bytes(utf8));
  });
}

test("an address has four spellings", () => {
  for (const spelling of ["todo.get_all", "/todo/get_all", "/todo/get_all.json", "todo/get_all.json"]) {
    assert.equal(uriOf(spelling), "todo.get_all");
    assert.equal(pathOf(spelling), "todo/get_all");
  }
  assert.equal(pathOf("/todo/list.txt"), "todo/list.txt");
  for (const none of ["", "/", "a..b", "a b", "a//b", ".a", "a#b", "/a/../b"])
    assert.throws(() => uriOf(none), { exc: "InvalidAddress" }, none);
  for (const none of ["", "/", "//evil.example/x", "/../x", "/a/..", "/a?b", "a\\b", "/a b"])
    assert.throws(() => pathOf(none), { exc: "InvalidAddress" }, none);
});
