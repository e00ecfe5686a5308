/**
 * The sealed session of one page: login, logout, and coming back.
 *
 * What holds it together:
 * - Signed out, nothing leaves the page: `call` refuses by itself.
 * - `#uncertain`: AUTHENTICATE left and no WELCOME came, so the next `x_received` may speak of either connection and is
 *   taken for none.
 * - Every wait for the network belongs to an *era*; leaving the session (logout, taken over, expired) begins a new one,
 *   and what comes back late is dropped.
 * @module
 */
import { Call, ownCall } from "./calls.js";
import { greet, lost } from "./connection.js";
import { farewell, isVerdict } from "./endings.js";
import { Events } from "./events.js";
import { LimenError } from "./exc.js";
import { Outbox } from "./outbox.js";
import { Requests } from "./requests.js";
import { ClientResume } from "./seal/resume.js";
import { generate } from "./seal/noise.js";
import { LIMITS, NOBODY } from "./state.js";
import { Subscriptions } from "./subscriptions.js";
import { tag, untag } from "./values.js";
import * as wamp from "./wamp.js";

/** @typedef {import("./connection.js").Connection} Connection */
/** @typedef {import("./state.js").State} State */
/** @typedef {import("./state.js").Limits} Limits */
/** @typedef {import("./state.js").LoginOptions} LoginOptions */
/** @typedef {import("./state.js").Entered} Entered */
const SUBPROTOCOL = "limen.1.json";
/** An id that no subscription has: asking to end it is answered by every router, and changes nothing. */
const NO_SUBSCRIPTION = 2 ** 53 - 1;
const UNLOCKED = "A password cannot be kept safe on this page: open it over https, or on localhost.";

export class Session {
  events = new Events();
  /** @type {State} */ state;
  /** The session on this connection, and when its topics are heard again. @type {Entered | undefined} */ entered;
  /** Takes what is said to a callee (`client/sealed.js`). @type {(message: wamp.Message) => boolean} */ callee = () => false;
  /** What is done on a new connection before all else, by whoever has something. @type {() => Promise<any> | undefined} */
  first = () => undefined;
  #place;
  #slots;
  #tabs;
  #loadLogin;
  #loadLane;
  #limits;
  #era = new AbortController();
  #loggingIn = false;
  #passwordMin = 0; // characters of a new password; WELCOME says
  #suspended = false;
  #uncertain = false;
  #requests = new Requests(untag);
  #subscriptions = new Subscriptions(this.#requests, (...event) => this.events.emit(...event), untag);
  #outbox;
  #wake = () => {};
  /** @type {ReturnType<typeof setInterval> | undefined} */ #watch;
  #asked = 0;

  /**
   * @param {object} options
   * @param {string} options.url of the WebSocket
   * @param {string} [options.base] of the server's addresses
   * @param {string} [options.lane] "ws", or "http": without a WebSocket
   * @param {() => Promise<{greet: typeof greet}>} [options.loadLane]
   * @param {string} options.domain
   * @param {import("./state.js").SlotStore} options.slots
   * @param {import("./tabs.js").Tabs} [options.tabs] how further tabs come in; without it they don't
   * @param {() => Promise<import("./state.js").LoginPart>} options.loadLogin
   * @param {typeof globalThis.WebSocket} [options.WebSocket]
   * @param {Partial<Limits>} [options.limits]
   * @param {boolean} [options.secure]
   */
  constructor({
    url,
    base = url,
    lane = "ws",
    loadLane = () => Promise.reject(new Error("this build has none")),
    domain,
    slots,
    tabs,
    loadLogin,
    WebSocket = globalThis.WebSocket,
    limits = {},
    secure = Boolean(globalThis.crypto?.subtle),
  }) {
    this.#limits = { ...LIMITS, ...limits };
    this.#place = { url, base, lane, domain, subprotocol: SUBPROTOCOL, WebSocket, timeout: this.#limits.answer * 1000 };
    this.#loadLane = loadLane;
    this.#slots = slots;
    this.#tabs = tabs;
    this.#loadLogin = loadLogin;
    this.#outbox = new Outbox(this.#requests, this.#limits);
    this.state = Object.freeze({ status: "anonymous", secure, domain, ...NOBODY });
  }

  /** What a callee, and a publisher, stand on. */
  get parts() {
    return { requests: this.#requests, subscriptions: this.#subscriptions, write: tag, read: untag };
  }

  /** By which lane the next login, or return, goes. @param {string} lane */
  set lane(lane) {
    this.#place.lane = lane;
  }

  /** @type {typeof greet} */
  async #greet(place, greeting, watch) {
    if (place.lane !== "http") return greet(place, greeting, watch);
    const part = await this.#loadLane().catch((error) => {
      throw lost(`The part for the HTTP lane did not load: ${error.message}.`);
    });
    return part.greet(place, greeting, watch);
  }

  // -- in and out -------------------------------------------------------------------------------------------------
  /** Comes back to the session that this tab had, if it had one. Resolves when the state is known; never rejects. */
  async resume() {
    const idle = () => this.state.secure && (this.#suspended || this.state.status === "anonymous");
    const mayAsk = () => this.#place.lane !== "http" && !this.#slots.stayOut && this.#tabs?.mayAsk();
    if (!idle() || !(this.#slots.mayResume || ((await mayAsk()) && idle()))) return;
    this.#suspended = false;
    const known = new Promise((resolve) => {
      const undo = this.events.on("state", ({ status }) => status !== "signing-in" && resolve(undo()));
    });
    this.#become({ status: "signing-in" });
    const era = this.#era.signal;
    let slot = await this.#slots.take().catch(() => undefined);
    if (!slot && (await mayAsk())) slot = await this.#tabs?.enter(this.#slots, era).catch(() => undefined);
    if (!era.aborted) {
      if (slot) void this.#comeBack(0);
      else this.#leave(new LimenError("Unauthorized"));
    }
    await known;
  }

  /** What this tab does for others that ask. @returns {import("./tabs.js").Host} */
  get #host() {
    return {
      willing: () =>
        this.#place.lane !== "http" &&
        this.state.status === "online" &&
        !this.state.impersonated_by &&
        Boolean(this.#slots.slot),
      letIn: (own) => ownCall(this.#requests, "limen.session.child", [own]),
      end: (id) => ownCall(this.#requests, "limen.session.end", [id]),
    };
  }

  /**
   * @param {string} user
   * @param {string} password
   * @param {LoginOptions} [options]
   * @returns {Promise<State>}
   */
  async login(user, password, { progress, force } = {}) {
    if (!this.state.secure) throw new LimenError("RequireSSL", [UNLOCKED]);
    if (this.#loggingIn) throw new LimenError("Busy", ["A login is under way already."]);
    this.#loggingIn = true;
    await this.logout();
    this.#become({ status: "signing-in" });
    const era = this.#era.signal;
    try {
      const part = await this.#loadLogin().catch((error) => {
        throw lost(`The login part did not load: ${error.message}.`);
      });
      const greeting = part.login({ user, password, progress, force }, this.#place);
      const own = generate().catch(() => undefined); // a browser without X25519 asks for the password after each reload
      const entered = await this.#greet(this.#place, greeting, { signal: era });
      this.#enter(entered);
      await this.#openSlot(await own, entered.welcome);
      era.throwIfAborted();
      this.#welcomed(entered.welcome, { resumed: false });
      return this.state;
    } catch (error) {
      if (era.aborted) throw new LimenError("Canceled", ["The login was given up."]);
      this.#requests.connection?.close([wamp.GOODBYE, {}, "wamp.close.normal"]);
      this.#leave(new LimenError("Unauthorized"));
      throw error;
    } finally {
      this.#loggingIn = false;
    }
  }

  /**
   * Makes the key that this tab comes back with.
   * @param {import("./seal/noise.js").KeyPair | undefined} own
   * @param {wamp.Message} welcome
   */
  async #openSlot(own, { details }) {
    if (!own) return;
    const { slot, key, epoch } = await ownCall(this.#requests, "limen.slot.open", [own.public]);
    await this.#slots.keep({
      handle: slot,
      key,
      epoch,
      own,
      user: details.authid,
      until: Date.now() + details.x_max_age * 1000,
    });
  }

  /**
   * Ends the session, here and on the server. Without a connection it ends here; the server's half runs out by itself.
   */
  async logout() {
    if (this.state.status === "anonymous") return;
    const { connection } = this.#requests;
    if (connection) {
      const patience = setTimeout(() => connection.giveUp(), (this.#limits.answer * 1000) / 3);
      await ownCall(this.#requests, "limen.session.logout", []).catch(() => {}); // gone, or going: it ends here all the same
      clearTimeout(patience);
      connection.close([wamp.GOODBYE, {}, "wamp.close.goodbye_and_out"]);
    }
    await this.#slots.drop();
    this.#slots.stayOut = true; // whoever leaves here is not let in again by another tab
    this.#leave(new LimenError("Unauthorized"), { reason: "logout" });
  }

  /**
   * Gives the session's user a new password; all their other sessions end.
   * @param {string} password
   * @param {LoginOptions} [options]
   */
  async changePassword(password, { progress } = {}) {
    const { user, domain } = this.state;
    if (this.state.status !== "online" || !user) throw new LimenError("Unauthorized");
    const part = (await this.#loadLogin()).newPassword({ user, password, domain, progress, least: this.#passwordMin });
    const response = await ownCall(this.#requests, "limen.password.begin", [part.request]);
    await ownCall(this.#requests, "limen.password.finish", [await part.finish(response)]);
  }

  /**
   * The result of one of Limen's own procedures, of a session that is there.
   * @param {string} uri
   * @param {any[]} args
   */
  async own(uri, ...args) {
    if (this.state.status === "anonymous") throw new LimenError("Unauthorized", ["You must log in first."]);
    return ownCall(this.#requests, uri, args);
  }

  /**
   * Becomes another, or oneself again: the server has the session come back as that.
   * @param {string} uri
   * @param {any[]} args
   * @returns {Promise<State>}
   */
  async become(uri, ...args) {
    /** @type {(() => void)[]} */ const undo = [];
    const back = new Promise((resolve, reject) => {
      undo.push(this.events.on("online", resolve));
      undo.push(this.events.on("signed_out", ({ error }) => reject(error ?? new LimenError("Unauthorized"))));
    });
    back.catch(() => {});
    try {
      await this.own(uri, ...args);
      return await back;
    } finally {
      for (const each of undo) each();
    }
  }

  /** Lets go of the network while the page is put away (back-forward cache); `resume` takes it up again. */
  suspend() {
    if (this.state.status !== "online" && this.state.status !== "offline") return;
    const { connection } = this.#requests;
    this.#interrupted();
    connection?.close();
    this.#tabs?.close();
    this.#slots.release();
    this.#newEra();
    this.#suspended = true;
    this.state = Object.freeze({ ...this.state, status: "offline" });
  }

  /**
   * The session is over; without an *event* nobody knew of it.
   * @param {LimenError} error for what waits
   * @param {{reason: string, error?: LimenError}} [event]
   */
  #leave(error, event) {
    this.#newEra();
    this.#interrupted();
    this.#outbox.over(error);
    this.#subscriptions.over(error);
    this.#suspended = this.#uncertain = false;
    this.#tabs?.close();
    this.#become({ status: "anonymous", ...NOBODY });
    if (event) this.events.emit("signed_out", event);
  }

  #newEra() {
    this.#era.abort();
    this.#era = new AbortController();
  }

  /** @param {Partial<State>} changes */
  #become(changes) {
    this.state = Object.freeze({ ...this.state, ...changes });
    this.events.emit("state", this.state);
  }

  // -- calls and topics -------------------------------------------------------------------------------------------
  /**
   * A sealed call. Signed out it is refused here, and nothing is sent.
   * @param {string} uri
   * @param {any[]} args
   * @param {Record<string, any>} kwargs
   * @param {import("./calls.js").Options} [options]
   * @returns {import("./calls.js").Stream}
   */
  call(uri, args, kwargs, options = {}) {
    const call = new Call(uri, args, kwargs, options);
    if (this.state.status === "anonymous") call.fail(new LimenError("Unauthorized", ["You must log in first."]));
    else this.#outbox.add(call);
    return call.stream(() => this.#outbox.cancel(call));
  }

  /**
   * @param {string} uri
   * @param {import("./subscriptions.js").Handler} handler
   * @param {{match?: string}} [options]
   * @returns {Promise<() => void>} undo
   */
  async subscribe(uri, handler, { match } = {}) {
    if (this.state.status === "anonymous") throw new LimenError("Unauthorized", ["You must log in first."]);
    return this.#subscriptions.add(uri, handler, match);
  }

  // -- the connection ---------------------------------------------------------------------------------------------
  /** @param {{connection: Connection, listen: () => void}} entered */
  #enter({ connection, listen }) {
    this.#requests.begin(connection);
    connection.onmessage = (message) => this.#heard(connection, message);
    connection.onclose = () => this.#requests.connection === connection && this.#dropped();
    listen();
    this.#watch = setInterval(() => this.#listenFor(connection), (this.#limits.quiet * 1000) / 2);
  }

  /**
   * @param {wamp.Message} welcome
   * @param {{resumed: boolean, received?: number | null}} how *received*: frames of the last connection that the server
   *   opened, if that is known
   */
  #welcomed({ session, details }, { resumed, received }) {
    this.#passwordMin = details.x_password_min ?? 0;
    this.#uncertain = false;
    const { authid = null, authrole = "user", x_roles = [authrole], x_profile = {} } = details;
    this.#tabs?.listen(this.#host);
    this.state = Object.freeze({
      ...this.state,
      status: "online",
      user: authid,
      role: authrole,
      roles: Object.freeze(x_roles),
      profile: Object.freeze(x_profile),
      impersonated_by: details.x_impersonated_by ?? null,
    });
    const { connection } = this.#requests;
    this.#outbox.returned(received); // of the last connection: now or never
    const begun = this.first();
    const goOn = () => this.#requests.connection === connection && this.#renew(session, details.roles, resumed);
    if (begun) {
      this.#outbox.begin(); // for what is asked first
      void begun.catch((error) => console.warn("Limen:", error)).then(goOn);
    } else goOn();
  }

  /** @param {number} session @param {Record<string, any>} roles @param {boolean} resumed */
  #renew(session, roles, resumed) {
    const topics = this.#subscriptions.names;
    const renewed = this.#subscriptions.renew(); // before all calls: what changes after their answers is heard of
    this.events.emit("entered", (this.entered = { session, roles, renewed }));
    this.#outbox.open();
    this.events.emit("state", this.state);
    this.events.emit("online", this.state);
    if (resumed && topics.length) this.events.emit("missed", { topics });
  }

  /** @param {Connection} connection @param {wamp.Message} message */
  #heard(connection, message) {
    if (this.#requests.connection !== connection) return;
    if (message.type === wamp.GOODBYE) this.#goodbye(connection, message);
    else if (message.type === wamp.EVENT) this.#subscriptions.deliver(message);
    else if (!this.callee(message)) this.#requests.answered(message);
  }

  /** @param {Connection} connection @param {wamp.Message} message */
  #goodbye(connection, { uri, details }) {
    connection.close([wamp.GOODBYE, {}, "wamp.close.goodbye_and_out"]);
    // it will be back, or wants us back: who we are, or what we may, is another now
    if (uri === "wamp.close.system_shutdown" || uri === "limen.close.changed") return this.#dropped();
    const reason = uri.replace(/^.*\./, "");
    const error = farewell(reason, details);
    void this.#slots.drop();
    this.#leave(error, { reason, error });
    if (reason === "taken_over") this.events.emit("taken_over", error);
    return undefined;
  }

  /**
   * Nothing was heard for a while: asks for a sign of life, and gives up if none comes.
   * @param {Connection} connection
   */
  #listenFor(connection) {
    const now = performance.now();
    const { quiet, answer } = this.#limits;
    // counted from the question: a page in the background is woken rarely
    if (this.#asked > connection.heard) return now - this.#asked > answer * 1000 && connection.giveUp();
    if (now - connection.heard > quiet * 1000) {
      this.#asked = now;
      this.#requests.ask((request) => [wamp.UNSUBSCRIBE, request, NO_SUBSCRIPTION]);
    }
    return undefined;
  }

  /** The network may be back, or the machine has woken: tries at once. */
  nudge() {
    this.#wake();
    if (this.#requests.connection) this.#listenFor(this.#requests.connection);
  }

  /** The connection is gone; open calls wait for the next one. */
  #interrupted() {
    clearInterval(this.#watch);
    this.#requests.end();
    this.#outbox.close();
  }

  #dropped() {
    if (this.state.status === "signing-in") return this.#leave(lost());
    this.#interrupted();
    if (!this.#slots.slot) {
      const error = new LimenError("UnknownSession", [
        "The connection was lost, and this browser keeps no key to come back with; log in again.",
      ]);
      return this.#leave(error, { reason: "no_key", error });
    }
    this.#become({ status: "offline" });
    this.events.emit("offline", this.state);
    return void this.#comeBack(Math.random() * this.#limits.first); // not all at once after a restart
  }

  /**
   * Tries until the session is back, or the server says that it is no more.
   * @param {number} delay before the first try (s)
   */
  async #comeBack(delay) {
    const era = this.#era.signal;
    for (let tries = 0; ; tries++) {
      if (delay) await this.#pause(delay, era);
      const slot = this.#slots.slot;
      if (era.aborted || !slot) return;
      const uncertain = this.#uncertain;
      try {
        const greeting = await ClientResume.start(slot, this.#place);
        const entered = await this.#greet(this.#place, greeting, {
          signal: era,
          authenticated: () => (this.#uncertain = true),
        });
        if (era.aborted) return void entered.connection.close();
        this.#enter(entered);
        return this.#welcomed(entered.welcome, {
          resumed: true,
          received: uncertain ? null : entered.welcome.details.x_received,
        });
      } catch (error) {
        if (era.aborted) return;
        const problem = error instanceof LimenError ? error : lost(String(error));
        if (isVerdict(problem)) {
          this.#slots.leave(); // nobody vouches for it: the key stays, the page asks for the password
          const unknown = problem.is("UnknownSession") ? problem : new LimenError("UnknownSession");
          return this.#leave(unknown, { reason: "unknown", error: unknown });
        }
        if (this.state.status === "signing-in") {
          this.#become({ status: "offline", user: slot.user });
          this.events.emit("offline", this.state);
        }
        const most = Math.min(this.#limits.most, this.#limits.first * 2 ** tries);
        delay = Math.max(problem.facts.retry_after ?? 0, most * (0.5 + Math.random() / 2));
      }
    }
  }

  /** @param {number} seconds @param {AbortSignal} era */
  async #pause(seconds, era) {
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, seconds * 1000);
      this.#wake = () => resolve(clearTimeout(timer));
      era.addEventListener("abort", this.#wake);
    });
    era.removeEventListener("abort", this.#wake);
    this.#wake = () => {};
  }
}
