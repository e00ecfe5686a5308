/**
 * The callee's half of a WAMP session, plain or sealed: procedures registered by a program, and the calls that come in.
 *
 * - A registration outlives connections: `renew` registers all anew. A router that still keeps the lost session's says
 *   procedure_already_exists; then it is tried again until that one is gone.
 * - A call ends once: by its answer, by INTERRUPT, or with its connection. What comes later is dropped.
 * @module
 */
import { errorOf, named } from "../payload.js";
import { lost } from "../connection.js";
import { LimenError } from "../exc.js";
import { ERROR, INTERRUPT, INVOCATION, REGISTER, UNREGISTER, UNREGISTERED, YIELD } from "../wamp.js";

/** @typedef {import("../node/port.js").Invoked} Invoked */
/** @typedef {import("../node/port.js").Undo} Undo */
/** @typedef {import("../wamp.js").Message} Message */
/**
 * What a callee needs of its session. *ask*: a request and who is told its answer, undefined: the connection was lost.
 * *buffered*: bytes that wait to leave. *tell*: of `revoked`.
 * @typedef {{
 *   ask(make: (request: number) => any[], answer: (reply?: Message) => void): void,
 *   send(message: any[]): void,
 *   write(value: unknown, path?: string): any,
 *   read: import("../payload.js").Read,
 *   clock: import("./clock.js").Clock,
 *   buffered(): number,
 *   tell(event: string, detail: any): void,
 * }} Wire
 */
/**
 * *id*: on this connection. *asked*: an answer is awaited. *stood*: it was registered on some. *gone*: undone; settled by
 * *leave* when the router knows.
 * @typedef {{uri: string, match: string, endpoint: import("../node/port.js").Endpoint, id: number | undefined, asked: boolean,
 *    stood: boolean, gone: Promise<void> | undefined, leave: () => void, settle: (error?: LimenError) => void}} Registration
 */

/** @param {{uri: string, match: string}} registration */
const key = ({ uri, match }) => `${match} ${uri}`;

const AGAIN = { first: 100, most: 5000 }; // ms between tries to register what the router still has from before
/** Bytes that may wait to leave before a stream waits, too; it looks again after as many ms. */
const FULL = 256 * 1024;
const LOOK = 20;
/** Values after which a stream that never waits lets others have their turn. */
const AT_ONCE = 32;
const TAKEN = "wamp.error.procedure_already_exists";

export class Callee {
  #wire;
  /** @type {Set<Registration>} */ #registrations = new Set();
  /** @type {Map<number, Registration>} */ #byId = new Map();
  /** Undone before they were answered: the next at that address waits for them. @type {Map<string, Registration>} */
  #leaving = new Map();
  /** @type {Map<number, AbortController>} */ #running = new Map();
  #era = 0; // which connection, counted

  /** @param {Wire} wire */
  constructor(wire) {
    this.#wire = wire;
  }

  /** How many are registered, and how many calls are under way. */
  get size() {
    return { registrations: this.#registrations.size, calls: this.#running.size };
  }

  /**
   * @param {string} uri
   * @param {import("../node/port.js").Endpoint} endpoint
   * @param {string} match
   * @returns {Promise<Undo>} rejects with what the router says
   */
  async add(uri, endpoint, match) {
    for (let before = this.#leaving.get(key({ uri, match })); before; before = this.#leaving.get(key({ uri, match })))
      await before.gone;
    return new Promise((resolve, reject) => {
      /** @type {Registration["settle"]} */
      const settle = (error) => (error ? reject(error) : resolve(() => this.#remove(registration)));
      const state = { id: undefined, asked: false, stood: false, gone: undefined, leave: () => {} };
      /** @type {Registration} */
      const registration = { uri, match, endpoint, settle, ...state };
      this.#registrations.add(registration);
      void this.#register(registration);
    });
  }

  /**
   * @param {Registration} registration
   * @param {number} [pause] before the next try (ms)
   * @returns {Promise<void>} settled when it is registered, or never will be on this connection
   */
  #register(registration, pause = AGAIN.first) {
    const { uri, match, stood } = registration;
    const era = this.#era;
    const options = { disclose_caller: true, ...(match !== "exact" && { match }) };
    return new Promise((resolve) => {
      const again = () => {
        const wanted = !registration.gone && era === this.#era;
        resolve(wanted ? this.#register(registration, Math.min(2 * pause, AGAIN.most)) : undefined);
      };
      // known as soon as it is answered: the next message may be a call
      const answered = (/** @type {Message | undefined} */ reply) => {
        registration.asked = false;
        if (registration.gone && (!reply || reply.type === ERROR)) return resolve(this.#left(registration));
        if (!reply) return resolve(); // the next connection renews it
        if (reply.type !== ERROR) return resolve(this.#registered(registration, reply.registration));
        if (!stood || reply.uri !== TAKEN) return resolve(this.#refused(registration, errorOf(reply, this.#wire.read)));
        return this.#wire.clock.setTimeout(again, pause * (0.5 + Math.random()));
      };
      registration.asked = true;
      this.#wire.ask((request) => [REGISTER, request, options, uri], answered);
    });
  }

  /** @param {Registration} registration @param {number} id */
  #registered(registration, id) {
    registration.id = id;
    registration.stood = true;
    this.#byId.set(id, registration);
    registration.settle();
    if (registration.gone) this.#unregister(registration); // undone meanwhile
  }

  /** @param {Registration} registration @param {LimenError} error */
  #refused(registration, error) {
    if (registration.stood) this.#revoked(registration, error);
    this.#registrations.delete(registration);
    registration.settle(error);
  }

  /** It does not stand any more, and should. @param {Registration} registration @param {LimenError} error */
  #revoked(registration, error) {
    if (registration.id !== undefined) this.#byId.delete(registration.id);
    this.#registrations.delete(registration);
    registration.gone = Promise.resolve();
    const { uri, match } = registration;
    console.error(`Limen: ${uri} can't be called any more: ${error.message}`);
    this.#wire.tell("revoked", { uri, match, error });
  }

  /** UNREGISTERED that nobody asked for. @param {Message} message */
  #takenBack({ details }) {
    const registration = this.#byId.get(details?.registration);
    const why = details?.reason ?? "it did not say why";
    if (registration)
      this.#revoked(registration, new LimenError("NotFound", [`${registration.uri} was taken back by the router: ${why}`]));
  }

  /** @param {Registration} registration @returns {Promise<void>} */
  #remove(registration) {
    if (registration.gone) return registration.gone;
    registration.gone = new Promise((resolve) => (registration.leave = resolve));
    this.#registrations.delete(registration);
    if (registration.asked) this.#leaving.set(key(registration), registration);
    else if (registration.id !== undefined) this.#unregister(registration);
    else registration.leave();
    return registration.gone;
  }

  /** @param {Registration} registration */
  #unregister(registration) {
    const { id } = registration;
    this.#byId.delete(/** @type {number} */ (id));
    this.#wire.ask(
      (request) => [UNREGISTER, request, id],
      () => this.#left(registration),
    );
  }

  /** @param {Registration} registration */
  #left(registration) {
    if (this.#leaving.get(key(registration)) === registration) this.#leaving.delete(key(registration));
    registration.leave();
  }

  // -- what the session says ----------------------------------------------------------------------------------------
  /** A connection is there: registers all, without waiting. Resolves when each is answered. */
  async renew() {
    await Promise.all([...this.#registrations].map((registration) => this.#register(registration)));
  }

  /** The connection is lost: nobody waits for what runs. */
  lost() {
    this.#era++;
    this.#byId.clear();
    for (const registration of this.#registrations) registration.id = undefined;
    const running = [...this.#running.values()];
    this.#running.clear();
    for (const call of running) call.abort(lost());
  }

  /** Takes all back, as their undos do. */
  async clear() {
    await Promise.all([...this.#registrations].map((registration) => this.#remove(registration)));
  }

  /** The session is over. @param {LimenError} error for those who wait */
  over(error) {
    this.lost();
    for (const registration of this.#registrations) {
      registration.gone ??= Promise.resolve();
      registration.settle(error);
    }
    this.#registrations.clear();
  }

  /**
   * INVOCATION, INTERRUPT, or UNREGISTERED that nobody asked for.
   * @param {Message} message
   * @returns {boolean} whether it was one of these
   */
  heard(message) {
    if (message.type === INVOCATION) void this.#invoked(message);
    else if (message.type === INTERRUPT) this.#interrupted(message.request);
    else if (message.type === UNREGISTERED && !message.request) this.#takenBack(message);
    else return false;
    return true;
  }

  /** @param {number} request */
  #interrupted(request) {
    const call = this.#running.get(request);
    if (!call) return; // it has just been answered
    const error = new LimenError("Canceled");
    this.#fail(request, error);
    call.abort(error);
  }

  /** @param {Message} invocation */
  async #invoked({ request, registration: id, details, args = [], kwargs }) {
    const registration = this.#byId.get(id);
    const control = new AbortController();
    this.#running.set(request, control);
    const live = () => this.#running.get(request) === control;
    try {
      if (!registration) throw new LimenError("NotFound");
      const { read } = this.#wire;
      const push = details.receive_progress
        ? (/** @type {any} */ value) => void (live() && this.#yield(request, value, { progress: true }))
        : null;
      const outcome = await registration.endpoint({
        uri: details.procedure ?? registration.uri,
        args: args.map((arg, i) => read(arg, `$[${i}]`, 1)),
        kwargs: named(kwargs, read),
        details,
        caller: details.caller ?? null,
        caller_authid: details.caller_authid ?? null,
        caller_authrole: details.caller_authrole ?? null,
        push,
        signal: control.signal,
      });
      const result = iterates(outcome) ? await drained(outcome, push, control.signal, () => this.#room()) : outcome;
      if (live()) this.#yield(request, result, {});
    } catch (error) {
      if (live()) this.#fail(request, error);
      else if (!(error instanceof LimenError || /** @type {any} */ (error)?.name === "AbortError")) failed(error);
    }
    if (live()) this.#running.delete(request);
  }

  /** Once less waits to leave: nothing grows where a network is slow. */
  async #room() {
    const { buffered, clock } = this.#wire;
    while (buffered() > FULL) await new Promise((resolve) => clock.setTimeout(() => resolve(undefined), LOOK));
  }

  /** @param {number} request @param {any} value @param {Record<string, any>} options */
  #yield(request, value, options) {
    // encoded first: what cannot travel is an error, and the call may still be answered by it
    const args = value === undefined ? [] : [[this.#wire.write(value, "$")]];
    this.#wire.send([YIELD, request, options, ...args]);
  }

  /** @param {number} request @param {unknown} problem what is no LimenError stays here @returns {void} */
  #fail(request, problem) {
    this.#running.delete(request);
    const error = problem instanceof LimenError ? problem : new LimenError("InternalError");
    if (error !== problem) failed(problem);
    try {
      const kwargs = /** @type {Record<string, any>} */ (error.toJSON());
      for (const key of Object.keys(kwargs)) kwargs[key] = this.#wire.write(kwargs[key], `$.${key}`);
      this.#wire.send([ERROR, INVOCATION, request, {}, error.uri, error.err, kwargs]);
    } catch {
      const { exc, err } = error; // its facts cannot travel
      this.#wire.send([ERROR, INVOCATION, request, {}, error.uri, err, { exc, err }]);
    }
  }
}

/** @param {unknown} problem of which no caller is told */
const failed = (problem) => console.error("Limen: a call that came in failed:", problem);

/** An iterator, which a list or a text is not. @param {any} value */
const iterates = (value) =>
  typeof value?.next === "function" &&
  (typeof value[Symbol.asyncIterator] === "function" || typeof value[Symbol.iterator] === "function");

/**
 * Runs an iterator to its end, or until nobody wants it any more.
 * @param {AsyncIterator<any> | Iterator<any>} iterator
 * @param {((value: any) => void) | null} push
 * @param {AbortSignal} signal
 * @param {() => Promise<void>} room waits where more values would only pile up
 * @returns {Promise<any>} what it returned; without *push* the list of its values
 */
async function drained(iterator, push, signal, room) {
  const stop = () => void Promise.resolve(iterator.return?.()).catch(() => {});
  signal.addEventListener("abort", stop); // ends it while it waits for its next value as well
  /** @type {any[]} */ const values = [];
  try {
    for (let n = 1; ; n++) {
      if (n % AT_ONCE === 0) await turn();
      if (push) await room();
      if (signal.aborted) return undefined;
      const { done, value } = await iterator.next();
      if (signal.aborted) return undefined;
      if (done) return push ? value : values;
      if (push) push(value);
      else values.push(value);
    }
  } catch (error) {
    stop();
    throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Others have their turn: what has come is heard. @returns {Promise<void>} */
const turn = () =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel(); // a timer would wait for milliseconds
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(0);
  });
