/**
 * A plain WAMP v2 session that comes back by itself: caller, callee, publisher and subscriber, with any router.
 *
 *     const session = new PlainSession(webSocket("ws://localhost:9000/ws", WebSocket), "localhost");
 *     await session.open();
 *     const undo = await session.register("todo.add", ({ args }) => add(...args));
 *
 * Reading order: this file · `line` (the connection, and its return) · `calls` · `callee` · `../subscriptions`.
 * @module
 */
import { errorOf } from "../payload.js";
import { lost } from "../connection.js";
import { Events, inTurn } from "../events.js";
import { LimenError } from "../exc.js";
import { Requests } from "../requests.js";
import { Subscriptions } from "../subscriptions.js";
import { ERROR, EVENT, PUBLISH } from "../wamp.js";
import { Callee } from "./callee.js";
import { Calls, written } from "./calls.js";
import { Line } from "./line.js";
import { natural, read } from "./plain.js";
import { CLOCK } from "./clock.js";

/** @typedef {import("../wamp.js").Message} Message */
/** @typedef {import("../node/port.js").Session} Session */

/** @implements {Session} */
export class PlainSession {
  /** @type {Record<string, any>} */ features = {};
  id = 0;
  /** Whoever hears what it publishes is told who it is, where the router lets them. */
  discloses = false;
  /** Each awaited when the connection has returned, before all else. @type {(() => Promise<unknown>)[]} */ first = [];
  #events = new Events();
  #requests = new Requests(read);
  #line;
  #wire;
  #calls;
  #callee;
  #subscriptions;
  #known = false;

  /**
   * @param {import("./line.js").Dial} dial
   * @param {string} realm
   * @param {import("./clock.js").Clock} [clock]
   */
  constructor(dial, realm, clock = CLOCK) {
    this.#line = new Line(dial, realm, this, clock);
    this.#wire = {
      ask: this.ask.bind(this),
      send: (/** @type {any[]} */ message) => this.#line.send(message),
      write: natural,
      read,
      clock,
      buffered: () => this.#line.link?.buffered() ?? 0,
      tell: (/** @type {string} */ event, /** @type {any} */ detail) => this.#events.emit(event, detail),
    };
    this.#calls = new Calls(this.#requests, this.#wire);
    this.#callee = new Callee(this.#wire);
    this.#subscriptions = new Subscriptions(this.#requests, this.#wire.tell, read);
  }

  /** @type {Session["state"]} */
  get state() {
    return this.#line.over ? "closed" : this.#line.link ? "online" : "offline";
  }

  /** The first connection. Rejects with what the router says, or with ConnectionLost; then it may be tried again. */
  open() {
    return this.#line.open();
  }

  /** Ends the session: all that waits rejects, all that is registered or subscribed ends. */
  close() {
    return this.#line.close();
  }

  /** @type {Session["on"]} */
  on(event, handler) {
    return this.#events.on(event, handler);
  }

  /** @type {Session["apply"]} */
  async apply(uri, args = [], kwargs = {}, options = {}) {
    this.#live();
    return this.#calls.apply(uri, args, kwargs, options);
  }

  /** @type {Session["publish"]} */
  async publish(uri, args = [], kwargs = {}) {
    this.#live();
    if (!this.#line.link) throw lost();
    const payload = written(args, kwargs, natural);
    const options = { acknowledge: true, ...(this.discloses && { disclose_me: true }) };
    const make = (/** @type {number} */ request) => [PUBLISH, request, options, uri, ...payload];
    const reply = await new Promise((/** @type {(reply?: Message) => void} */ answer) => this.ask(make, answer));
    if (!reply) throw new LimenError("OutcomeUnknown");
    if (reply.type === ERROR) throw errorOf(reply, read);
  }

  /** @type {Session["register"]} */
  async register(uri, endpoint, { match = "exact" } = {}) {
    this.#live();
    return this.#callee.add(uri, endpoint, match);
  }

  /** @type {Session["subscribe"]} */
  async subscribe(uri, handler, { match = "exact", topic = false } = {}) {
    this.#live();
    const how = match === "exact" ? undefined : match;
    if (topic) return this.#subscriptions.whole(uri, handler, how);
    return /** @type {any} */ (this.#subscriptions.add(uri, handler, how));
  }

  #live() {
    if (this.#line.over) throw this.#line.over;
  }

  /**
   * A request, and who is told its answer; undefined: the connection was lost before.
   * @param {(request: number) => any[]} make
   * @param {(reply?: Message) => void} [answer]
   */
  ask(make, answer = () => {}) {
    if (this.#requests.send(make, { answer, gone: () => answer() }) < 0) answer();
  }

  // -- what the line says ---------------------------------------------------------------------------------------------
  /** @param {Message} welcome */
  entered({ session, details }) {
    this.id = session;
    this.features = details.roles ?? {};
    this.#requests.begin(/** @type {any} */ ({ send: (/** @type {any[]} */ message) => (this.#line.send(message), 0) }));
    const goOn = () => this.id === session && this.#line.link && this.#renew(session);
    if (this.#known && this.first.length) void inTurn(this.first).then(goOn);
    else goOn();
  }

  /** @param {number} session */
  #renew(session) {
    const again = [this.#callee.renew(), this.#subscriptions.renew()]; // before all calls: what they lead to is heard of
    this.#calls.open();
    const known = this.#known;
    this.#known = true;
    this.#events.emit("online");
    const here = () => this.id === session && this.state === "online";
    if (known) void Promise.all(again).then(() => here() && this.#events.emit("restored"));
  }

  /** @param {Message} message */
  received(message) {
    if (message.type === EVENT) this.#subscriptions.deliver(message);
    else if (!this.#callee.heard(message)) this.#requests.answered(message);
  }

  lost() {
    this.#requests.end();
    this.#callee.lost();
    this.#calls.lost();
    this.#events.emit("offline");
  }

  /** @param {LimenError} error */
  ended(error) {
    this.#requests.end();
    this.#callee.over(error);
    this.#calls.over(error);
    this.#subscriptions.over(error);
    this.#events.emit("signed_out", error);
  }
}
