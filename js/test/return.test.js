/** A session that is lost, comes back, or is ended by the server. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { calling, loggedIn, setting, turn, until } from "./page.js";
import { MemorySlots } from "./server.js";

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

test("lost again while something is done first: what may have run on the connection before is not run again", async () => {
  const { session, server, again } = await loggedIn();
  for (let n = 0; n < 5; n++) await calling(session, "add", n, n); // so its frame is one that the next never comes to
  const before = calling(session, "slow", 1);
  let over = false;
  before.catch(() => (over = true));
  await until(() => server.release);
  let losses = 1;
  session.first = () => {
    if (!losses--) return undefined;
    for (const slot of server.slots.values()) slot.tab.calls.clear(); // as of a callee's calls: nobody keeps the answer
    server.cut();
    return new Promise(() => {});
  };
  const back = again();
  server.cut();
  await back;
  await until(() => over || server.ran.filter(([name]) => name === "slow").length > 1);
  server.release();
  await assert.rejects(before, { exc: "OutcomeUnknown" });
  assert.equal(server.ran.filter(([name]) => name === "slow").length, 1);
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
