import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { LimenError } from "../src/exc.js";
import { Session } from "../src/session.js";
import { MemorySlots, TestServer, loginPart } from "./server.js";

const LIMITS = { first: 0.01, most: 0.05, wait: 5, answer: 2 };

/** Pages to put away after each test: an open one watches its connection for ever. */
const open = [];
afterEach(() => open.splice(0).forEach((session) => session.suspend()));

/** A server with a user and services, and a page's session with it. */
async function setting({ limits = {}, slots = new MemorySlots(), server = undefined } = {}) {
  if (!server) {
    server = new TestServer();
    await server.addUser("ada", "correct horse");
    server.services = {
      add: (a, b) => a + b,
      echo: (value) => value,
      slow: (value) => new Promise((resolve) => (server.release = () => resolve(value))),
      fail: () => Promise.reject(new LimenError("RecordVersionMismatch", ["Someone was faster."], { vsn: 3 })),
      count: async function* (n) {
        for (let i = 1; i <= n; i++) yield i;
      },
      forever: async function* () {
        for (let i = 1; ; i++) {
          yield i;
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      },
    };
  }
  const session = new Session({
    url: "ws://localhost/ws",
    domain: "localhost",
    slots,
    loadLogin: async () => loginPart,
    WebSocket: server.WebSocket,
    limits: { ...LIMITS, ...limits },
  });
  open.push(session);
  const events = [];
  for (const name of ["online", "offline", "missed", "signed_out", "taken_over"])
    session.events.on(name, (detail) => events.push([name, detail]));
  const heard = (name) =>
    events.some(([event]) => event === name) || new Promise((resolve) => session.events.on(name, resolve));
  return { server, session, slots, events, heard, names: () => events.map(([name]) => name) };
}

/** The same, logged in. */
async function loggedIn(options) {
  const place = await setting(options);
  await place.session.login("Ada", "correct horse");
  place.again = () => new Promise((resolve) => place.session.events.on("online", resolve));
  return place;
}
const calling = (session, uri, ...args) => session.call(uri, args, {});
/** Time for what should not happen to happen. */
const turn = () => new Promise((resolve) => setTimeout(resolve, 20));
/** Waits until something is so. */
async function until(so, what = so.toString()) {
  for (const end = Date.now() + 10_000; !so(); await new Promise((resolve) => setTimeout(resolve, 1)))
    assert.ok(Date.now() < end, `never: ${what}`);
}

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

// -- coming back ----------------------------------------------------------------------------------------------------
test("a reload comes back without the password", async () => {
  const { server, slots, session } = await loggedIn();
  server.cut();
  session.suspend();
  const page = await setting({ server, slots });
  const ready = page.session.resume();
  assert.equal(page.session.state.status, "signing-in");
  const early = calling(page.session, "add", 1, 2); // made before it is known: it waits
  await ready;
  assert.deepEqual([page.session.state.status, page.session.state.user, page.names()], ["online", "ada", ["online"]]);
  assert.equal(await early, 3);
});

test("without a slot nothing is tried", async () => {
  const { session, server } = await setting();
  await session.resume();
  assert.deepEqual([session.state.status, server.opened], ["anonymous", 0]);
});

test("an unknown slot asks for the password, but the key stays for another try", async () => {
  const { server, slots, session } = await loggedIn();
  server.cut();
  session.suspend();
  const known = new Map(server.slots);
  server.slots.clear();
  const page = await setting({ server, slots });
  const ready = page.session.resume();
  const early = calling(page.session, "add", 1, 2);
  early.catch(() => {});
  await ready;
  await assert.rejects(early, { exc: "UnknownSession" });
  assert.deepEqual(
    [page.session.state.status, page.events.map(([name, detail]) => [name, detail.reason])],
    ["anonymous", [["signed_out", "unknown"]]],
  );
  server.slots = known; // the verdict was an attacker's
  const next = await setting({ server, slots });
  await next.session.resume();
  assert.equal(next.session.state.status, "online");
});

test("a reload while the server is away is offline, and comes back by itself", async () => {
  const { server, slots, session } = await loggedIn();
  server.reachable = false;
  server.cut();
  session.suspend();
  const page = await setting({ server, slots });
  await page.session.resume();
  assert.deepEqual([page.session.state.status, page.session.state.user], ["offline", "ada"]);
  server.reachable = true;
  await page.heard("online");
  assert.equal(await calling(page.session, "add", 2, 2), 4);
});

test("a call that was lost on its way is sent again and runs once", async () => {
  const { session, server, again } = await loggedIn();
  const [connection] = server.connections;
  connection.deaf = true; // the network swallows it
  const sum = calling(session, "add", 1, 2);
  await turn();
  const back = again();
  server.cut();
  await back;
  assert.equal(await sum, 3);
  assert.deepEqual(server.ran, [["add", 1, 2]]);
});

test("a call that was under way runs on, and its result comes after the resume", async () => {
  const { session, server, again } = await loggedIn();
  const answer = calling(session, "slow", "kept");
  await until(() => server.release);
  const back = again();
  server.cut();
  server.release();
  await back;
  assert.equal(await answer, "kept");
  assert.deepEqual(server.ran, [["slow", "kept"]]);
});

test("after a restart a call that may have run is OutcomeUnknown, one that was never sent runs", async () => {
  const { session, server, again } = await loggedIn();
  const sent = calling(session, "slow", 1);
  sent.catch(() => {});
  await until(() => server.release);
  server.reachable = false;
  server.restart();
  await new Promise((resolve) => session.events.on("offline", resolve));
  const unsent = calling(session, "add", 1, 2);
  const back = again();
  server.reachable = true;
  await back;
  await assert.rejects(sent, { exc: "OutcomeUnknown" });
  assert.equal(await unsent, 3);
  assert.deepEqual(server.ran, [
    ["slow", 1],
    ["add", 1, 2],
  ]);
});

test("when WELCOME was lost, x_received is taken for nothing: what may have run is not run again", async () => {
  const { session, server, again } = await loggedIn();
  const before = calling(session, "slow", 1);
  before.catch(() => {});
  await until(() => server.release);
  server.loseWelcome = true;
  const dropped = server.opened;
  server.cut();
  await until(() => server.opened >= dropped + 2);
  for (const slot of server.slots.values()) slot.tab.calls.clear(); // its answer is no longer kept
  server.loseWelcome = false;
  await again();
  await assert.rejects(before, { exc: "OutcomeUnknown" });
  assert.deepEqual(server.ran, [["slow", 1]]);
});

test("a stream that was cut in the middle is OutcomeUnknown, and says how much came", async () => {
  const { session, server } = await loggedIn();
  const seen = [];
  await assert.rejects(
    async () => {
      for await (const value of calling(session, "forever")) {
        seen.push(value);
        if (value === 3) server.cut();
      }
    },
    (error) => error.exc === "OutcomeUnknown" && error.received >= 3,
  );
});

test("calls that wait are bounded in time and number", async () => {
  const { session, server, heard } = await loggedIn({ limits: { wait: 0.05, queue: 2 } });
  const sent = calling(session, "slow", 1);
  sent.catch(() => {});
  await until(() => server.release);
  server.reachable = false;
  server.cut();
  await heard("offline");
  const waits = calling(session, "add", 1, 2);
  waits.catch(() => {});
  await assert.rejects(calling(session, "add", 1, 2), { exc: "Busy" });
  await assert.rejects(waits, { exc: "ConnectionLost" });
  await assert.rejects(sent, { exc: "OutcomeUnknown" });
  assert.deepEqual(server.ran, [["slow", 1]]);
});

test("a silent connection is asked for a sign, and given up without one", async () => {
  const { session, server, again } = await loggedIn({ limits: { quiet: 0.05, answer: 0.5 } });
  const asked = server.wire.length;
  await until(() => server.wire.length >= asked + 4); // twice asked, twice answered
  assert.equal(server.opened, 1);
  const back = again();
  [...server.connections][0].deaf = true;
  await back;
  assert.equal(server.opened, 2);
  await session.logout();
});

// -- ends -----------------------------------------------------------------------------------------------------------
const goodbye = (server, uri, details = {}) => [...server.connections][0].send([6, details, uri]);

test("taken over: the page is told when and from where, and does not come back by itself", async () => {
  const { session, server, slots, events, heard } = await loggedIn();
  const copy = new MemorySlots();
  copy.stored = slots.stored; // a copied profile
  const thief = await setting({ server, slots: copy });
  await thief.session.resume();
  assert.equal(thief.session.state.status, "online");
  await heard("taken_over");
  const [, error] = events.find(([name]) => name === "taken_over");
  assert.match(error.message, /192\.0\.2\.1/);
  assert.match(error.message, /2026-11-21T11:48:00Z/);
  await turn();
  assert.deepEqual([session.state.status, slots.mayResume, server.opened], ["anonymous", false, 2]);
  assert.equal(events.find(([name]) => name === "signed_out")[1].reason, "taken_over");
});

test("an expired session is ExpiredSession and asks for the password", async () => {
  const { session, server, events, heard } = await loggedIn();
  const open = calling(session, "slow", 1);
  open.catch(() => {});
  await until(() => server.release);
  await goodbye(server, "limen.close.expired");
  await heard("signed_out");
  const [, { reason, error }] = events.find(([name]) => name === "signed_out");
  assert.deepEqual([reason, error.exc, session.state.status], ["expired", "ExpiredSession", "anonymous"]);
  await assert.rejects(open, { exc: "OutcomeUnknown" });
});

test("a server that shuts down is waited for", async () => {
  const { server, again, names } = await loggedIn();
  const back = again();
  await goodbye(server, "wamp.close.system_shutdown");
  await back;
  assert.deepEqual(names(), ["online", "offline", "online"]);
});

test("a frame that does not open ends the connection, and the session comes back", async () => {
  const { session, server, again } = await loggedIn();
  const back = again();
  [...server.connections][0].socket.deliver(crypto.getRandomValues(new Uint8Array(40)));
  await back;
  const more = again();
  [...server.connections][0].socket.deliver('[6,{},"wamp.close.logout"]'); // unsealed: nobody's word
  await more;
  assert.equal(await calling(session, "add", 1, 1), 2);
});

test("a browser that keeps no key is signed out by a lost connection, in words", async () => {
  const slots = Object.assign(new MemorySlots(), { keep: async () => {} });
  const { server, heard, events, session } = await loggedIn({ slots });
  server.cut();
  await heard("signed_out");
  const [, { reason, error }] = events.find(([name]) => name === "signed_out");
  assert.deepEqual([reason, session.state.status], ["no_key", "anonymous"]);
  assert.match(error.message, /log in again/);
});

test("the back-forward cache: put away, the page lets go; shown again, it goes on", async () => {
  const { session, server, again } = await loggedIn();
  session.suspend();
  await until(() => server.connections.size === 0);
  const back = again();
  await session.resume();
  await back;
  assert.equal(await calling(session, "add", 1, 1), 2);
});
