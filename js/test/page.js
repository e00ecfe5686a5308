/** A page's session with the small server, for the tests of both its halves. */
import assert from "node:assert/strict";
import { afterEach } from "node:test";
import { LimenError } from "../src/exc.js";
import { Session } from "../src/session.js";
import { MemorySlots, TestServer, loginPart } from "./server.js";

const LIMITS = { first: 0.01, most: 0.05, wait: 5, answer: 2 };

/** Pages to put away after each test: an open one watches its connection for ever. */
const open = [];
afterEach(() => open.splice(0).forEach((session) => session.suspend()));

/** A server with a user and services, and a page's session with it. */
export async function setting({ limits = {}, slots = new MemorySlots(), server = undefined } = {}) {
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
export async function loggedIn(options) {
  const place = await setting(options);
  await place.session.login("Ada", "correct horse");
  place.again = () => new Promise((resolve) => place.session.events.on("online", resolve));
  return place;
}
export const calling = (session, uri, ...args) => session.call(uri, args, {});
/** Time for what should not happen to happen. */
export const turn = () => new Promise((resolve) => setTimeout(resolve, 20));
/** Waits until something is so. */
export async function until(so, what = so.toString()) {
  for (const end = Date.now() + 10_000; !so(); await new Promise((resolve) => setTimeout(resolve, 1)))
    assert.ok(Date.now() < end, `never: ${what}`);
}
