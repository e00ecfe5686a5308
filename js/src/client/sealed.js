/**
 * The sealed session of the page as a session port: `Connection.over(Limen)`. Calls, topics and the way back are
 * `../session`'s; here is the callee's half, and what outlives a logout:
 *
 *     nobody yet → online ⇄ offline            the connection is lost, and comes back
 *                  online → out → online       logged out, and in again as the same user: all is registered anew
 *                           out → closed       … as another: what was this user's is not theirs
 *
 * While nobody is logged in nothing leaves the page: calls reject with Unauthorized.
 * @module
 */
import { Events, inTurn } from "../events.js";
import { LimenError } from "../exc.js";
import { PUBLISH } from "../wamp.js";
import { Callee } from "./callee.js";
import { written } from "./calls.js";
import { CLOCK } from "./clock.js";

/** @typedef {import("../node/port.js").Session} Port */
/** @typedef {import("../wamp.js").Message} Message */
/** *undo*: while it stands. @typedef {{uri: string, handler: (...args: any[]) => void, how: string | undefined,
 *   topic: boolean, undo: (() => Promise<void>) | undefined}} Subscription */

/** @implements {Port} */
export class SealedSession {
  /** Whoever hears what it publishes is told who it is, where the router lets them. */
  discloses = false;
  /** Each awaited when the connection has returned, before all else. @type {(() => Promise<unknown>)[]} */ first = [];
  #core;
  #events = new Events();
  #callee;
  /** @type {Set<Subscription>} */ #subscriptions = new Set();
  /** @type {(() => void)[]} */ #undo;
  /** Whose it is, once somebody has logged in. @type {string | null} */ #user = null;
  #out = false;
  /** @type {LimenError | undefined} */ #over;

  /** @param {import("../session.js").Session} core @param {import("./clock.js").Clock} [clock] */
  constructor(core, clock = CLOCK) {
    this.#core = core;
    const { requests, write, read } = core.parts;
    this.#callee = new Callee({
      ask: (make, answer) => {
        if (requests.send(make, { answer, gone: () => answer() }) < 0) answer();
      },
      send: (message) => void requests.connection?.send(message),
      write,
      read,
      clock,
      buffered: () => requests.connection?.buffered ?? 0,
      tell: (event, detail) => this.#events.emit(event, detail),
    });
    core.first = () => (this.#over || this.#user === null || !this.first.length ? undefined : inTurn(this.first));
    core.callee = (message) => this.#callee.heard(message);
    this.#undo = [
      core.events.on("entered", (entered) => this.#entered(entered)),
      core.events.on("revoked", (detail) => this.#events.emit("revoked", detail)),
      core.events.on("offline", () => this.#lost()),
      core.events.on("signed_out", ({ error }) => this.#signedOut(error ?? new LimenError("Unauthorized"))),
    ];
    if (core.state.status === "online" && core.entered) this.#entered(core.entered);
  }

  /** @type {Port["state"]} */
  get state() {
    if (this.#over) return "closed";
    return this.#core.state.status === "online" ? "online" : "offline";
  }
  get features() {
    return this.#core.entered?.roles ?? {};
  }
  get id() {
    return this.#core.entered?.session ?? 0;
  }

  /** Resolves once somebody is logged in. @returns {Promise<void>} */
  open() {
    return new Promise((resolve, reject) => {
      if (this.#over) return reject(this.#over);
      if (this.state === "online") return resolve();
      const done = [
        this.on("online", () => settle(resolve)),
        this.on("signed_out", () => this.#over && settle(reject)),
      ];
      const settle = (/** @type {(error?: any) => void} */ how) => {
        for (const undo of done) undo();
        how(this.#over);
      };
      return undefined;
    });
  }

  /** Takes everything back that was registered or subscribed here. The page stays logged in. */
  async close() {
    if (this.#over) return;
    const undone = [this.#callee.clear(), ...[...this.#subscriptions].map(({ undo }) => undo?.())];
    this.#end(new LimenError("ConnectionLost", ["The connection was closed."]));
    await Promise.all(undone);
  }

  /** @type {Port["on"]} */
  on(event, handler) {
    return this.#events.on(event, handler);
  }

  /** @type {Port["apply"]} */
  async apply(uri, args = [], kwargs = {}, { timeout, push, signal } = {}) {
    if (this.#over) throw this.#over;
    return this.#core.call(uri, args, kwargs, {
      ...(timeout !== undefined && { timeout }),
      ...(push && { progress: push }),
      ...(signal && { signal }),
    });
  }

  /** @type {Port["publish"]} */
  async publish(uri, args = [], kwargs = {}) {
    this.#mayAsk();
    const { requests, write } = this.#core.parts;
    if (!requests.connection) throw new LimenError("ConnectionLost");
    const payload = written(args, kwargs, write);
    /** @type {LimenError | undefined} */ let error = new LimenError("OutcomeUnknown");
    const options = { acknowledge: true, ...(this.discloses && { disclose_me: true }) };
    const make = (/** @type {number} */ request) => [PUBLISH, request, options, uri, ...payload];
    await requests.ask(make, (refused) => (error = refused));
    if (error) throw error;
  }

  /** @type {Port["register"]} */
  async register(uri, endpoint, { match = "exact" } = {}) {
    this.#mayAsk();
    return this.#callee.add(uri, endpoint, match);
  }

  /** @type {Port["subscribe"]} */
  async subscribe(uri, handler, { match = "exact", topic = false } = {}) {
    this.#mayAsk();
    /** @type {Subscription} */
    const subscription = { uri, handler, how: match === "exact" ? undefined : match, topic, undo: undefined };
    this.#subscriptions.add(subscription);
    try {
      await this.#subscribe(subscription);
    } catch (error) {
      this.#subscriptions.delete(subscription);
      throw error;
    }
    return async () => {
      this.#subscriptions.delete(subscription);
      await subscription.undo?.();
    };
  }

  #mayAsk() {
    if (this.#over) throw this.#over;
    if (this.#core.state.status === "anonymous") throw new LimenError("Unauthorized", ["You must log in first."]);
  }

  /** @param {Subscription} subscription */
  async #subscribe(subscription) {
    const { uri, handler, how, topic } = subscription;
    const { subscriptions } = this.#core.parts;
    const undo = /** @type {() => Promise<void>} */ (await subscriptions[topic ? "whole" : "add"](uri, handler, how));
    if (!this.#subscriptions.has(subscription)) return undo(); // undone meanwhile
    subscription.undo = undo;
    return undefined;
  }

  // -- what the page's session says -----------------------------------------------------------------------------------
  /** @param {import("../state.js").Entered} entered */
  #entered({ session, renewed }) {
    const { user } = this.#core.state;
    const known = this.#user !== null;
    if (this.#out && user !== this.#user)
      return this.#end(new LimenError("Unauthorized", ["Somebody else has logged in."]));
    // topics of the page's session end with a logout
    const again = this.#out ? [...this.#subscriptions].map((each) => this.#subscribe(each)) : [];
    this.#out = false;
    this.#user = user;
    this.#callee.lost(); // put away and taken up again, nobody said that the connection was lost
    const restored = Promise.allSettled([renewed, this.#callee.renew(), ...again]);
    this.#events.emit("online");
    if (known)
      void restored.then(() => this.id === session && this.state === "online" && this.#events.emit("restored"));
    return undefined;
  }

  #lost() {
    this.#callee.lost();
    this.#events.emit("offline");
  }

  /** @param {LimenError} error */
  #signedOut(error) {
    this.#out = this.#user !== null;
    for (const subscription of this.#subscriptions) subscription.undo = undefined;
    this.#lost();
    this.#events.emit("signed_out", error);
  }

  /** @param {LimenError} error */
  #end(error) {
    this.#over = error;
    for (const undo of this.#undo) undo();
    this.#callee.over(error);
    this.#subscriptions.clear();
    this.#events.emit("signed_out", error);
  }
}
