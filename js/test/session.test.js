/** A session while all is well: in and out, calls, topics. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LimenError } from "../src/exc.js";
import { Session } from "../src/session.js";
import { calling, loggedIn, setting, turn, until } from "./page.js";
import { MemorySlots } from "./server.js";

// -- in and out ---------------------------------------------------------------------------------------------------
test("a login makes the page online, with user, roles and profile", async () => {
  const { session } = await setting();
  assert.equal(session.state.status, "anonymous");
  const done = [];
  const state = await session.login("Ada", "correct horse", { progress: (part) => done.push(part) });
  assert.deepEqual(
    [state.status, state.user, state.role, state.roles, state.profile, state.domain],
    ["online", "ada", "nurse", ["nurse"], { username: "ada" }, "localhost"],
  );
  assert.equal(done.at(-1), 1);
  assert.equal(state, session.state);
});

test("a wrong password and an unknown user are InvalidCredential; nothing is left behind", async () => {
  const { session, server, slots } = await setting();
  for (const [user, password] of [
    ["ada", "wrong"],
    ["nobody", "correct horse"],
    ["", ""],
    ["ada", "\ud800"],
  ]) {
    await assert.rejects(session.login(user, password), { exc: "InvalidCredential" });
    assert.equal(session.state.status, "anonymous");
  }
  await until(() => server.connections.size === 0);
  assert.equal(slots.mayResume, false);
  assert.equal((await session.login("ada", "correct horse")).status, "online");
});

test("what an ABORT says before CHALLENGE rejects the login; an unknown domain looks like a wrong password", async () => {
  const { session, server } = await setting();
  server.abortHello = ["limen.error.abusive", { message: "wait", exc: "Abusive", err: ["Wait."], retry_after: 60 }];
  await assert.rejects(
    session.login("ada", "correct horse"),
    (error) => error.exc === "Abusive" && error.retry_after === 60,
  );
  server.abortHello = ["wamp.error.no_such_realm", { message: "no such realm" }];
  await assert.rejects(session.login("ada", "correct horse"), { exc: "InvalidCredential" });
});

test("an unsealed ABORT after AUTHENTICATE is a lost connection, never a verdict", async () => {
  const { session, server } = await setting();
  server.unsealedAbort = true;
  await assert.rejects(session.login("ada", "correct horse"), { exc: "ConnectionLost" });
});

test("another subprotocol, no server and an insecure page are refused in words", async () => {
  const { session, server } = await setting();
  server.subprotocol = "wamp.2.json";
  await assert.rejects(
    session.login("ada", "correct horse"),
    (error) => error.exc === "ConnectionLost" && /limen\.1\.json/.test(error.message),
  );
  server.reachable = false;
  await assert.rejects(session.login("ada", "correct horse"), { exc: "ConnectionLost" });
  const insecure = new Session({
    url: "ws://a.example/ws",
    domain: "a.example",
    slots: new MemorySlots(),
    loadLogin: () => assert.fail(),
    secure: false,
  });
  assert.equal(insecure.state.secure, false);
  await assert.rejects(
    insecure.login("ada", "correct horse"),
    (error) => error.exc === "RequireSSL" && /https/.test(error.message),
  );
});

test("signed out, a call is refused here and nothing leaves the page", async () => {
  const { session, server } = await setting();
  await assert.rejects(calling(session, "add", 1, 2), { exc: "Unauthorized" });
  await assert.rejects(
    session.subscribe("topic", () => {}),
    { exc: "Unauthorized" },
  );
  assert.equal(server.opened, 0);
  await session.login("ada", "correct horse");
  await session.logout();
  await turn();
  const before = server.wire.length;
  await assert.rejects(calling(session, "add", 1, 2), { exc: "Unauthorized" });
  await turn();
  assert.deepEqual([server.opened, server.wire.length > before], [1, false]);
});

test("logout ends the slot on the server and says so once", async () => {
  const { session, server, slots, events } = await loggedIn();
  assert.equal(server.slots.size, 1);
  await session.logout();
  await until(() => server.connections.size === 0);
  assert.deepEqual(
    [server.slots.size, server.connections.size, slots.mayResume, session.state.status],
    [0, 0, false, "anonymous"],
  );
  assert.deepEqual(
    events.filter(([name]) => name === "signed_out").map(([, detail]) => detail.reason),
    ["logout"],
  );
  await session.logout();
});

test("without a connection logout ends it here", async () => {
  const { session, server, slots, heard } = await loggedIn();
  server.reachable = false;
  server.cut();
  await heard("offline");
  await session.logout();
  assert.deepEqual([session.state.status, slots.mayResume], ["anonymous", false]);
});

test("a second login at the same time is refused; one after the other replaces the session", async () => {
  const { session, server } = await setting();
  await server.addUser("bob", "other");
  const first = session.login("ada", "correct horse");
  await assert.rejects(session.login("ada", "correct horse"), { exc: "Busy" });
  await first;
  assert.equal((await session.login("bob", "other")).user, "bob");
  assert.equal(server.slots.size, 1);
});

test("a user with too many sessions is told so by the login", async () => {
  const { session, server } = await setting();
  server.refuseSlot = new LimenError("MaxActiveSessions");
  await assert.rejects(session.login("ada", "correct horse"), { exc: "MaxActiveSessions" });
  assert.equal(session.state.status, "anonymous");
});

test("user, procedure, arguments and results never show on the wire after AUTHENTICATE", async () => {
  const { session, server } = await loggedIn();
  await calling(session, "echo", { secret: "tell-no-one" });
  await assert.rejects(calling(session, "fail"));
  const after = server.wire.slice(
    server.wire.findIndex(([, data]) => typeof data === "string" && data.startsWith("[5")) + 1,
  );
  assert.ok(after.length >= 6);
  for (const [, data] of after) {
    assert.notEqual(typeof data, "string");
    const shown = Buffer.from(data).toString("latin1");
    for (const word of ["ada", "echo", "secret", "tell-no-one", "Mismatch", "limen"])
      assert.ok(!shown.includes(word), word);
  }
  assert.ok(!server.wire.some(([, data]) => String(data).includes("correct horse")));
});

// -- calls ---------------------------------------------------------------------------------------------------------
test("a call gives its result; values and errors cross with their types", async () => {
  const { session } = await loggedIn();
  assert.equal(await calling(session, "add", 1, 2), 3);
  assert.equal(await session.call("echo", [], {}), null);
  assert.deepEqual(await calling(session, "echo", new Set([new Date(0)])), new Set([new Date(0)]));
  assert.deepEqual(await session.call("echo", [], { a: 2n ** 60n }), { a: 2n ** 60n });
  await assert.rejects(
    calling(session, "fail"),
    (error) =>
      error instanceof LimenError &&
      error.exc === "RecordVersionMismatch" &&
      error.vsn === 3 &&
      error.message === "Someone was faster.",
  );
  await assert.rejects(calling(session, "nothing.here"), { exc: "NotFound" });
  assert.throws(() => calling(session, "echo", () => {}), { exc: "InvalidValue" });
});

test("a hundred calls at once are answered each by its own", async () => {
  const { session, server } = await loggedIn();
  const sums = await Promise.all(Array.from({ length: 100 }, (_, i) => calling(session, "add", i, i)));
  assert.deepEqual(
    sums,
    Array.from({ length: 100 }, (_, i) => 2 * i),
  );
  assert.deepEqual(
    server.ran.map(([, i]) => i),
    Array.from({ length: 100 }, (_, i) => i),
  );
});

test("a stream is iterated as it comes, by its progress handler too; otherwise it is a list", async () => {
  const { session } = await loggedIn();
  const seen = [];
  for await (const value of calling(session, "count", 3)) seen.push(value);
  assert.deepEqual(seen, [1, 2, 3]);
  const told = [];
  await session.call("count", [3], {}, { progress: (value) => told.push(value) });
  assert.deepEqual(told, [1, 2, 3]);
  assert.deepEqual(await calling(session, "count", 3), [1, 2, 3]);
  const late = calling(session, "count", 3);
  await late;
  const items = [];
  for await (const value of late) items.push(value);
  assert.deepEqual(items, [1, 2, 3]);
  const none = [];
  for await (const value of calling(session, "count", 0)) none.push(value);
  assert.deepEqual(none, []);
});

test("a stream's error comes out of the loop", async () => {
  const { session, server } = await loggedIn();
  server.services.breaks = async function* () {
    yield 1;
    throw new LimenError("StoreError", ["Disk."]);
  };
  const seen = [];
  await assert.rejects(
    async () => {
      for await (const value of calling(session, "breaks")) seen.push(value);
    },
    { exc: "StoreError" },
  );
  assert.deepEqual(seen, [1]);
});

test("leaving the loop, an AbortSignal and a time-out cancel the call on the server", async () => {
  const { session, server } = await loggedIn();
  for await (const value of calling(session, "forever")) if (value === 3) break;
  const controller = new AbortController();
  const aborted = session.call("slow", [1], {}, { signal: controller.signal });
  await until(() => server.ran.length === 2);
  controller.abort();
  await assert.rejects(aborted, { exc: "Canceled" });
  await assert.rejects(session.call("slow", [1], {}, { timeout: 0.02 }), { exc: "Timeout" });
  await assert.rejects(session.call("slow", [1], {}, { signal: AbortSignal.abort() }), { exc: "Canceled" });
  const [{ tab }] = server.connections;
  await until(() => [...tab.calls.values()].filter((call) => call.cancelled).length === 3);
});

// -- topics ---------------------------------------------------------------------------------------------------------
test("events reach their handlers until undone; one subscription for many handlers", async () => {
  const { session, server } = await loggedIn();
  const [a, b] = [[], []];
  const [undoA, undoB] = await Promise.all([
    session.subscribe("news", (...args) => a.push(args)),
    session.subscribe("news", (...args) => b.push(args)),
  ]);
  server.publish("news", 1, new Set([2]));
  await until(() => b.length === 1);
  undoA();
  server.publish("news", 3);
  await until(() => b.length === 2);
  assert.deepEqual([a, b], [[[1, new Set([2])]], [[1, new Set([2])], [3]]]);
  assert.equal([...server.connections][0].subscriptions.size, 1);
  undoB();
  undoB();
  server.publish("news", 4);
  await turn();
  assert.equal(b.length, 2);
});

test("an event that can't be read is missed, and ends nothing", async () => {
  const { session, server, events, heard } = await loggedIn();
  const seen = [];
  await session.subscribe("news", (value) => seen.push(value));
  server.publishTagged("news", { $set: [{ $float: "nan" }, { $float: "nan" }] });
  server.publishTagged("news", { $nosuch: 1 });
  await heard("missed");
  server.publish("news", "after");
  await until(() => seen.includes("after"));
  assert.deepEqual(events.find(([name]) => name === "missed")[1], { topics: ["news"] });
  assert.equal(server.connections.size, 1);
});

test("after a lost connection topics are renewed and the page is told that it may have missed something", async () => {
  const { session, server, again, events, heard } = await loggedIn();
  const seen = [];
  await session.subscribe("news", (value) => seen.push(value));
  const back = again();
  server.cut();
  await back;
  await heard("missed");
  await until(() => [...server.connections][0].subscriptions.size === 1);
  server.publish("news", "after");
  await until(() => seen.length);
  assert.deepEqual(seen, ["after"]);
  assert.deepEqual(events.find(([name]) => name === "missed")[1], { topics: ["news"] });
});
