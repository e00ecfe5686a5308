/** What start_session refuses before it asks anybody, and whose session it is after losses; all else of sessions is
 * tested from Python, in pages. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { View, start_session } from "../src/application.js";
import { Connection, LimenError, Node, when_connected } from "../src/node.js";
import { MemoryRouter, connections } from "../src/testing.js";
import { setting } from "./page.js";

test("a view that is no class of View is refused, by the name that it has", async () => {
  const [connection] = connections(1);
  for (const made of [() => new View(), new View(), Node, undefined])
    await assert.rejects(start_session(connection, "shop", { views: { Desktop: made }, store: {} }), {
      exc: "InvalidCall",
      message: /views\.Desktop must be a class that extends View/,
    });
  await connection.close();
});

/**
 * A program with one session, `shop.first`, for whoever has its newest token, or the one that was shown for that. *amid*: called while a
 * page asks for it, before it is answered.
 */
async function application(connection, amid = () => {}) {
  let [number, before, newest] = [0, null, null];
  const ask = async ([address, token]) => {
    if (address && token !== before && token !== newest) throw new LimenError("UnknownSession");
    if (address) await amid();
    const fresh = `token ${(number += 1)}`;
    [before, newest] = [token, fresh];
    return { address: "shop.first", token: fresh, new: !address, server: connection.session.id };
  };
  await connection.session.register("shop.start_session", ({ args }) => ask(args));
  await connection.session.register("shop.first.contexts", () => {
    before = null; // the newest has arrived
    return [];
  });
}

/** A page that has that session, and what becomes of it. */
async function visiting(connection) {
  const kept = new Map();
  const store = {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => kept.set(key, value),
    removeItem: (key) => kept.delete(key),
  };
  const joined = await start_session(connection, "shop", { store });
  const ended = [];
  joined.on("ended", (why) => ended.push(why));
  return { joined, ended, started: () => new Promise((resolve) => joined.on("started", resolve)) };
}

test("a connection that is lost while the session begins leaves one session", async () => {
  for (let turns = 0; turns < 30; turns += 3) {
    const [server, page] = connections(2);
    await application(server);
    await when_connected(page);
    const visit = visiting(page);
    for (let turn = 0; turn < turns; turn++) await Promise.resolve();
    page.cut();
    const { joined, ended } = await visit;
    assert.deepEqual([joined.address, ended], ["shop.first", []]);
    assert.deepEqual(await joined.remote("#session").contexts(), []);
    await page.close();
    await server.close();
  }
});

test("a connection that is lost again while the session is being found again loses nothing", async () => {
  const [server, page] = connections(2);
  let losses = 3;
  await application(server, () => losses-- > 0 && page.cut());
  const { joined, ended, started } = await visiting(page);
  for (let times = 0; times < 2; times++) {
    const back = started();
    page.cut();
    await back;
    await when_connected(page);
    assert.deepEqual([joined.address, joined.new, ended], ["shop.first", false, []]);
  }
  assert.ok(losses < 0);
  await page.close();
  await server.close();
});

test("a session that was found again is not given up for an answer to an earlier question", async () => {
  const [server, page] = connections(2);
  let asked = 0;
  let answered;
  const later = new Promise((resolve) => (answered = resolve));
  await application(server, async () => {
    if (asked++) return;
    await later;
    throw new LimenError("UnknownSession");
  });
  const { joined, ended, started } = await visiting(page);
  const [resume] = page.session.first;
  const first = resume(); // of a connection that was lost, whose question is asked again
  await resume();
  answered();
  await first;
  const back = started();
  page.cut();
  await back;
  assert.deepEqual([joined.address, joined.new, ended], ["shop.first", false, []]);
  await page.close();
  await server.close();
});

test("a question that was lost on its way is not asked again after the next one", async () => {
  const place = await setting();
  const [program] = connections(1, { router: (place.server.router = new MemoryRouter()) });
  await when_connected(program);
  const page = Connection.over({ _session: place.session });
  await place.session.login("ada", "correct horse");
  await when_connected(page);
  await application(program);
  const { joined, ended, started } = await visiting(page);
  let swallows = true;
  page.session.first.unshift(async () => {
    if (!swallows) return;
    swallows = false;
    for (const connection of place.server.connections)
      Object.assign(connection, { deaf: true, onswallowed: () => queueMicrotask(() => place.server.cut()) });
  });
  for (let times = 0; times < 2; times++) {
    const back = started();
    place.server.cut();
    await back;
    await when_connected(page);
    assert.deepEqual([joined.address, joined.new, ended], ["shop.first", false, []]);
  }
  await page.close();
  await program.close();
});
