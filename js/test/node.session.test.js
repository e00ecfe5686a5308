/** A plain session as a tree of nodes stands on it, by the router in memory. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LimenError } from "../src/exc.js";
import { when_connected } from "../src/node/connection.js";
import { Clock, MemoryRouter, connections } from "../src/testing.js";

/** Two open sessions of one router. */
async function pair(options) {
  const both = connections(2, options);
  await Promise.all(both.map(when_connected));
  return [...both.map(({ session }) => session), ...both];
}
const happening = (session, event) => new Promise((resolve) => session.on(event, resolve));
const gone = () => {
  let settle;
  const promise = new Promise((resolve) => (settle = resolve));
  return [promise, settle];
};

test("a call goes to the procedure, by exact name before the longest prefix before a wildcard", async () => {
  const [here, there] = await pair();
  for (const [uri, match] of [
    ["a.b", "exact"],
    ["a.", "prefix"],
    ["a.c.", "prefix"],
    [".x", "wildcard"],
  ])
    await there.register(uri, (invoked) => [uri, invoked.uri, ...invoked.args, invoked.kwargs], { match });
  assert.deepEqual(await here.apply("a.b", [1], { k: 2 }), ["a.b", "a.b", 1, { k: 2 }]);
  assert.deepEqual(await here.apply("a.c.d"), ["a.c.", "a.c.d", {}]);
  assert.deepEqual(await here.apply("a.q"), ["a.", "a.q", {}]);
  assert.deepEqual(await here.apply("z.x"), [".x", "z.x", {}]);
  await assert.rejects(here.apply("nobody"), { exc: "NotFound" });
});

test("a callee is told who calls", async () => {
  const [here, there] = await pair();
  await there.register("who", ({ caller, details }) => [caller, details.caller]);
  assert.deepEqual(await here.apply("who"), [here.id, here.id]);
});

test("an undone registration is gone, and its confirmation may be awaited", async () => {
  const [here, there] = await pair();
  const undo = await there.register("a", () => 1);
  await assert.rejects(here.register("a", () => 2), { uri: "wamp.error.procedure_already_exists" });
  await undo();
  await undo();
  await assert.rejects(here.apply("a"), { exc: "NotFound" });
  await here.register("a", () => 2);
  assert.equal(await there.apply("a"), 2);
});

test("errors come back by name; what is none of Limen's says nothing of the inside", async (t) => {
  t.mock.method(console, "error", () => {});
  const [here, there] = await pair();
  await there.register("named", () => Promise.reject(new LimenError("RecordVersionMismatch", ["Too late."], { vsn: 3 })));
  await there.register("broken", () => undefined.secret);
  await there.register("untravelling", () => () => {});
  await there.register("facts", () => {
    throw new LimenError("Forbidden", ["No."], { why: () => {} });
  });
  await assert.rejects(here.apply("named"), { exc: "RecordVersionMismatch", vsn: 3, message: "Too late." });
  await assert.rejects(here.apply("broken"), (error) => error.exc === "InternalError" && !/secret/.test(error.message));
  await assert.rejects(here.apply("untravelling"), { exc: "InvalidValue" });
  await assert.rejects(here.apply("facts"), { exc: "Forbidden", message: "No." });
  await assert.rejects(here.apply("named", [() => {}]), { exc: "InvalidValue" });
});

test("values travel as plain WAMP says them", async () => {
  const [here, there] = await pair();
  await there.register("echo", ({ args }) => args[0]);
  for (const [value, back = value] of [
    [{ $path: "test.third", $base: "test" }],
    [{ $path: "test" }],
    [Uint8Array.of(1, 2, 255)],
    [new Set([1, 2]), [1, 2]],
    [new Map([["a", 1]]), { a: 1 }],
    [null],
    ["text"],
    [[1, [2.5, true]]],
    [new Date(0), "1970-01-01T00:00:00.000Z"],
  ])
    assert.deepEqual(await here.apply("echo", [value]), back);
  for (const value of [NaN, 2n ** 60n, "\0text", () => {}])
    await assert.rejects(here.apply("echo", [[value]]), { exc: "InvalidValue" });
});

test("a stream comes one by one where that is wanted, else as a list", async () => {
  const [here, there] = await pair();
  const pushes = [];
  await there.register("count", async function* ({ args: [n], push }) {
    pushes.push(Boolean(push));
    for (let i = 1; i <= n; i++) yield i;
  });
  await there.register("pushing", ({ push }) => {
    push("a");
    push("b");
    return "end";
  });
  const values = [];
  const push = (value) => values.push(value);
  assert.deepEqual([await here.apply("count", [3], {}, { push }), values], [null, [1, 2, 3]]);
  assert.deepEqual(await here.apply("count", [3]), [1, 2, 3]);
  assert.deepEqual(pushes, [true, false]);
  assert.equal(await here.apply("pushing", [], {}, { push }), "end");
  assert.deepEqual(values.splice(3), ["a", "b"]);
});

test("a canceled call and one whose time is over end the callee's", async () => {
  const clock = new Clock();
  const opening = pair({ clock });
  const [here, there] = await opening;
  const ended = [];
  let [begun, begin] = gone();
  await there.register("wait", ({ signal, args: [name] }) => {
    begin();
    return new Promise((resolve) => signal.addEventListener("abort", () => resolve(ended.push(name))));
  });
  const control = new AbortController();
  const call = here.apply("wait", ["one"], {}, { signal: control.signal });
  await begun;
  control.abort();
  await assert.rejects(call, { exc: "Canceled" });
  [begun, begin] = gone();
  const late = here.apply("wait", ["two"], {}, { timeout: 5 });
  await begun;
  await Promise.all([clock.advance(5000), assert.rejects(late, { exc: "Timeout" })]);
  assert.deepEqual(ended, ["one", "two"]);
  await assert.rejects(here.apply("wait", [], {}, { signal: AbortSignal.abort() }), { exc: "Canceled" });
});

test("a generator that is canceled is ended, where it stands", async () => {
  const [here, there] = await pair();
  const [ended, end] = gone();
  await there.register("forever", async function* () {
    try {
      for (let i = 0; ; i++) yield i;
    } finally {
      end();
    }
  });
  const control = new AbortController();
  const push = (value) => value === 3 && control.abort();
  await assert.rejects(here.apply("forever", [], {}, { push, signal: control.signal }), { exc: "Canceled" });
  await ended;
});

test("what fails when its caller is gone is told to the console", async (t) => {
  const said = t.mock.method(console, "error", () => {});
  const [here, there, , thence] = await pair();
  const [begun, begin] = gone();
  const [over, end] = gone();
  await there.register("wait", async ({ signal }) => {
    begin();
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    queueMicrotask(() => setImmediate(end));
    throw new Error("the file was not closed");
  });
  const call = here.apply("wait");
  await begun;
  thence.cut();
  await assert.rejects(call, LimenError);
  await over;
  assert.deepEqual(said.mock.calls.map(({ arguments: [, error] }) => error.message), ["the file was not closed"]);
});

test("why a router lets a session not come back is told to the console, once", async (t) => {
  const said = t.mock.method(console, "warn", () => {});
  class Closing extends MemoryRouter {
    refused = 0;
    heard(peer, message) {
      if (!this.refused || message[0] !== 1) return super.heard(peer, message);
      this.refused--;
      peer.send([3, { message: "Closed for today." }, "wamp.error.no_such_realm"]);
    }
  }
  const router = new Closing();
  const [session, , connection] = await pair({ router });
  router.refused = 3;
  const back = happening(session, "restored");
  connection.cut();
  await back;
  assert.equal(router.refused, 0);
  assert.equal(said.mock.callCount(), 1);
});

test("events come in the order of publication, to others only, with their topic", async () => {
  const [here, there] = await pair();
  const heard = [];
  await there.subscribe("a.", (...event) => heard.push(event.slice(0, 3)), { match: "prefix", topic: true });
  await there.subscribe("a.b.", (topic) => heard.push(topic), { match: "wildcard", topic: true });
  await here.subscribe("a.b.on_foo", () => heard.push("own"));
  const undo = await there.subscribe("a.b.on_foo", (...args) => heard.push(args));
  await here.publish("a.b.on_foo", [1], { k: 2 });
  await here.publish("a.x", [3]);
  assert.deepEqual(heard, [["a.b.on_foo", [1], { k: 2 }], "a.b.on_foo", [1, { k: 2 }], ["a.x", [3], {}]]);
  await undo();
  heard.length = 0;
  await here.publish("a.b.on_foo", [1]);
  assert.deepEqual(heard, [["a.b.on_foo", [1], {}], "a.b.on_foo"]);
});

test("a lost connection comes back, and everything with it; calls wait for that", async () => {
  const [here, there, , connection] = await pair();
  const heard = [];
  await there.register("a", () => "a");
  await there.subscribe("t", (...args) => heard.push(...args));
  const [running, aborted] = gone();
  await there.register("b", ({ signal }) => ((signal.onabort = aborted), running));
  const lostCall = here.apply("b");
  const ownCall = there.apply("b");
  await here.apply("a");
  const back = connection.cut({ away: true });
  assert.equal(there.state, "offline");
  await running;
  await assert.rejects(lostCall, { exc: "Canceled" });
  await assert.rejects(ownCall, { exc: "OutcomeUnknown" });
  await assert.rejects(here.apply("a"), { exc: "NotFound" });
  await assert.rejects(there.publish("x"), { exc: "ConnectionLost" });
  const waiting = there.apply("a"); // sent when it is registered again
  const later = there.register("c", () => "c");
  const restored = happening(there, "restored");
  back();
  assert.equal(await waiting, "a");
  await restored;
  await (await later)();
  assert.equal(await here.apply("a"), "a");
  await here.publish("t", [1]);
  assert.deepEqual(heard, [1]);
});

test("what the router still has from the lost connection is registered when that is gone", async () => {
  const clock = new Clock();
  const router = new MemoryRouter();
  const [here, there, , connection] = await pair({ clock, router });
  await there.register("a", () => "there");
  const back = connection.cut({ away: true });
  const undo = await here.register("a", () => "here"); // stands in its way
  const online = happening(there, "online");
  back();
  await clock.advance(100);
  await online;
  let restored = false;
  there.on("restored", () => (restored = true));
  await clock.advance(500);
  assert.deepEqual([restored, await here.apply("a")], [false, "here"]);
  await undo();
  await clock.advance(10_000);
  assert.deepEqual([restored, await here.apply("a")], [true, "there"]);
});

test("pauses between attempts grow, and there are always more", async () => {
  const clock = new Clock();
  const [session, , connection] = await pair({ clock });
  assert.equal(session.state, "online");
  const back = connection.cut({ away: true });
  await clock.advance(24 * 3600 * 1000);
  assert.equal(session.state, "offline");
  const online = happening(session, "online");
  back();
  await clock.advance(10_000);
  await online;
});

test("silence is asked about; without an answer the connection is lost", async () => {
  const clock = new Clock();
  const router = new MemoryRouter();
  const [session] = await pair({ clock, router });
  const events = [];
  session.on("offline", () => events.push("offline"));
  await clock.advance(600_000);
  assert.deepEqual(events, []);
  router.heard = () => {}; // it is there, and says nothing
  await clock.advance(60_000);
  assert.deepEqual([events, session.state], [["offline"], "offline"]);
});

test("a closed session rejects what waits, and everything after", async () => {
  const [here, there, connection] = await pair();
  await there.register("never", () => new Promise(() => {}));
  const call = here.apply("never");
  const out = happening(here, "signed_out");
  await Promise.all([connection.close(), assert.rejects(call, { exc: "OutcomeUnknown" })]);
  await out;
  assert.equal(connection.state, "closed");
  await assert.rejects(here.apply("never"), { exc: "ConnectionLost" });
  await assert.rejects(here.register("x", () => 1), { exc: "ConnectionLost" });
  await connection.close();
});

test("whoever hears what a session publishes is told who it is, if it discloses that", async () => {
  const [here, there] = await pair();
  const heard = [];
  await there.subscribe("t", (topic, args, kwargs, details) => heard.push(details.publisher), { topic: true });
  await here.publish("t");
  here.discloses = true;
  await here.publish("t");
  assert.deepEqual(heard, [undefined, here.id]);
});

test("what is to be done first is done before anything stands again, and before calls that waited", async () => {
  const router = new MemoryRouter();
  const [session, other, connection] = await pair({ router });
  const said = [];
  await other.register("enter", () => void said.push("enter"));
  await session.register("mine", () => said.push("called"));
  await session.subscribe("topic", () => {});
  session.first.push(() => session.apply("enter"));
  const { heard } = router;
  router.heard = (peer, message) => {
    if (peer.id === session.id && [32, 48, 64].includes(message[0])) said.push(message.at(message[0] === 48 ? 3 : -1));
    heard.call(router, peer, message);
  };
  const restored = happening(session, "restored");
  connection.cut();
  const waiting = session.apply("mine");
  await Promise.all([restored, waiting]);
  assert.deepEqual(said, ["enter", "enter", "mine", "topic", "mine", "called"]);
  session.first.unshift(() => Promise.reject(new LimenError("NotFound"))); // keeps what comes next not back
  const again = happening(session, "restored");
  connection.cut();
  await again;
});

test("what is undone while it is being registered again may be registered anew", async () => {
  const [here, there, , connection] = await pair();
  const undo = await there.register("a", () => "old");
  const online = happening(there, "online");
  connection.cut();
  await online;
  const undone = undo(); // its REGISTER is under way
  await there.register("a", () => "new");
  await undone;
  assert.equal(await here.apply("a"), "new");
});

test("a registration that the router takes back, or does not take again, is revoked", async (t) => {
  t.mock.method(console, "error", () => {});
  const router = new MemoryRouter();
  const [here, there, , connection] = await pair({ router });
  await there.register("a", () => 1);
  await there.subscribe("t", () => {}, { match: "prefix" });
  const revoked = [];
  there.on("revoked", ({ uri, match, error }) => revoked.push([uri, match, error.exc]));
  const [{ owner, id }] = router.registrations;
  router.registrations = [];
  owner.send([67, 0, { registration: id, reason: "an administrator did" }]);
  await there.publish("after"); // what comes behind it
  assert.deepEqual(revoked.splice(0), [["a", "exact", "NotFound"]]);
  await there.register("b", () => 1);
  const { heard } = router;
  router.heard = (peer, message) =>
    message[0] === 64 || message[0] === 32
      ? peer.send([8, message[0], message[1], {}, "wamp.error.not_authorized"])
      : heard.call(router, peer, message);
  const restored = happening(there, "restored");
  connection.cut();
  await restored;
  assert.deepEqual(revoked, [
    ["b", "exact", "Unauthorized"],
    ["t", "prefix", "Unauthorized"],
  ]);
  await assert.rejects(here.apply("b"), { exc: "NotFound" });
});

test("10,000 calls, publications and returns: every one ends once", async () => {
  const [here, there, one, other] = await pair();
  let ran = 0;
  await there.register("count", ({ args: [n] }) => (ran++, n));
  const heard = [];
  await there.subscribe("tick", (n) => heard.push(n));
  const ends = { done: 0, unknown: 0, lost: 0, gone: 0 };
  const ended = (promise) =>
    promise.then(
      () => ends.done++,
      ({ exc }) => ends[{ OutcomeUnknown: "unknown", ConnectionLost: "lost", NotFound: "gone", Canceled: "gone" }[exc]]++,
    );
  const work = [];
  for (let n = 0; n < 10_000; n++) {
    work.push(ended(n % 2 ? here.apply("count", [n]) : here.publish("tick", [n])));
    if (n === 3000 || n === 6000) one.cut();
    if (n === 5000) other.cut();
    if (n % 100 === 0) await null;
    if (n === 4000 || n === 7000) await happening(here, "restored");
  }
  await Promise.all(work);
  assert.equal(ends.done + ends.unknown + ends.lost + ends.gone, 10_000);
  assert.ok(ran <= 5000 && heard.length <= 5000);
  assert.deepEqual(heard, [...new Set(heard)].sort((a, b) => a - b));
  assert.equal(await here.apply("count", [1]).catch(({ exc }) => (exc === "NotFound" ? 1 : exc)), 1);
});
