/** A plain session over real WebSockets. */
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { Connection, when_connected } from "../src/node/connection.js";
import { Clock, MemoryRouter } from "../src/testing.js";
import { until } from "./page.js";

const undo = [];
afterEach(async () => {
  for (const each of undo.splice(0)) await each();
});

/** A router behind WebSockets. `sockets`: the server's ends. */
async function served({ protocol = "wamp.2.json" } = {}) {
  const router = new MemoryRouter();
  const server = new WebSocketServer({ port: 0, handleProtocols: () => protocol });
  const sockets = [];
  server.on("connection", (socket) => {
    sockets.push(socket);
    const peer = router.join((message) => socket.send(JSON.stringify(message)));
    socket.on("message", (data) => peer.receive(JSON.parse(String(data))));
    socket.on("close", () => peer.leave());
    socket.on("error", () => {});
  });
  await new Promise((resolve) => server.on("listening", resolve));
  undo.push(() => (sockets.forEach((socket) => socket.terminate()), new Promise((resolve) => server.close(resolve))));
  const url = `ws://localhost:${server.address().port}/ws`;
  const connected = async (options) => {
    const connection = new Connection(url, "realm", { WebSocket, ...options });
    undo.unshift(() => connection.close());
    await when_connected(connection);
    return connection;
  };
  return { router, sockets, url, connected };
}
const happening = (session, event) => new Promise((resolve) => session.on(event, resolve));

test("it goes on over what is no message and over a socket that breaks", async () => {
  const { sockets, connected } = await served();
  const [here, there] = [await connected(), await connected()];
  await there.session.register("a", ({ args }) => args[0]);
  assert.deepEqual(await here.session.apply("a", [Uint8Array.of(7)]), Uint8Array.of(7));
  const disturbances = [
    (socket) => socket.send("[36, 1"),
    (socket) => socket.send("[1000]"),
    (socket) => socket.terminate(),
  ];
  for (const disturb of disturbances) {
    const restored = happening(there, "restored");
    disturb(sockets.filter((socket) => socket.readyState === 1).at(-1));
    await restored;
    assert.equal(await here.session.apply("a", [1]), 1);
  }
});

test("what speaks something else, or nothing, is ConnectionLost; it may be tried again", async () => {
  const { url } = await served({ protocol: false });
  const other = new Connection(url, "realm", { WebSocket });
  await assert.rejects(when_connected(other), { exc: "ConnectionLost" });
  const nobody = new Connection("ws://localhost:1/ws", "realm", { WebSocket });
  for (let tries = 0; tries < 2; tries++) await assert.rejects(when_connected(nobody), { exc: "ConnectionLost" });
  assert.equal(nobody.state, "offline");
  for (const url of ["ftp://localhost", "http://a b"])
    assert.throws(() => new Connection(url, "realm", { WebSocket }), { exc: "InvalidAddress" });
});

test("a stream that never waits hears that nobody wants it any more", async () => {
  const { connected } = await served();
  const [here, there] = [await connected(), await connected()];
  let ended = false;
  await there.session.register("forever", function* () {
    try {
      for (let i = 0; ; i++) yield i;
    } finally {
      ended = true;
    }
  });
  const control = new AbortController();
  const push = (value) => value === 100 && control.abort();
  await assert.rejects(here.session.apply("forever", [], {}, { push, signal: control.signal }), { exc: "Canceled" });
  await until(() => ended);
});

test("a stream waits where the network does", async () => {
  const { sockets, connected } = await served();
  const clock = new Clock();
  const [here, there] = [await connected(), await connected({ clock })];
  let [made, got, done] = [0, 0, false];
  await there.session.register("large", async function* () {
    for (; made < 400; made++) yield "x".repeat(100_000);
  });
  const timers = clock.waiting;
  const call = here.session.apply("large", [], {}, { push: () => got++ }).finally(() => (done = true));
  await until(() => made > 0);
  sockets.at(-1).pause(); // the router reads no more of what there says
  await until(() => clock.waiting > timers || made === 400);
  assert.ok(made < 400, "all was made for nobody");
  sockets.at(-1).resume();
  await until(() => (void clock.advance(20), done));
  await call;
  assert.deepEqual([made, got], [400, 400]);
});
