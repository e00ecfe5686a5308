/**
 * Signal: an object says that something happened, and whoever is connected hears it, here and elsewhere; as Python's
 * `limen.node.signal`, `vectors/signals.json` decides.
 *
 *     class Door extends Node {
 *       static on_open = new Signal();
 *       static lamp = handler("on_open");              // the method of the same name
 *       lamp(who) {}
 *     }
 *     const undo = door.on_open.connect((who) => console.log("hello", who));
 *     await door.on_open.notify("Ada");
 *
 * What `notify` does, before it returns its promise:
 *
 * 1. The arguments are checked, where the signal was made by `signal()`. What does not fit rejects, and nothing has
 *    run.
 * 2. The owner publishes them, where it stands in the tree of nodes (`_signal_notified`, see `Owner`).
 * 3. Each handler is called, in this order: those of the class along its hierarchy, those that are connected in the
 *    order in which they were, those of the connection that listen to the address. Nothing comes between: whoever hears
 *    two signals hears them in the order in which they were notified.
 *
 * The promise is kept when async handlers have ended and the router has it. Handlers of the class are one object's own
 * work: after an async one the next waits for its end. Connected ones do not know each other: they run together. All
 * have run when it rejects, with one AggregateError of what they threw.
 *
 * A handler that is connected while `notify` runs is not called in that one; one that is disconnected is not called any
 * more. What handlers return is not looked at.
 *
 * @module
 */
import { LimenError } from "../exc.js";
import { called, ended, Handlers } from "./handlers.js";

/** @typedef {import("./handlers.js").Handler} Handler */
/** @typedef {import("./handlers.js").Round} Round */
/** @typedef {import("./handlers.js").Undo} Undo */
/**
 * What a signal asks the object it belongs to, though not for `on_node_…`; one without these methods has signals all
 * the same. `_signal_notified` publishes: it is called first, and what it throws is thrown, and nothing has run.
 * `_signal_listeners` says who else of this connection listens.
 * @typedef {{
 *   _signal_notified?(name: string, args: unknown[]): Promise<unknown> | undefined,
 *   _signal_listeners?(name: string): Handler[],
 * }} Owner
 */
/**
 * *order*: of the handlers that the class declares, "top-down": those of the base class first. *notifying*: stands
 * round every notification, here and from elsewhere: it awaits `notify(...args)`, with other arguments, or not at all.
 * *connecting*: stands round every `connect`: it calls `connect(handler)`, or connects another function in its place,
 * or nothing. Both have the object as `this`.
 * @typedef {{ order?: "top-down" | "bottom-up",
 *    notifying?: ((notify: (...args: any[]) => Promise<void>, ...args: any[]) => Promise<unknown>) | undefined,
 *    connecting?: ((connect: (handler: Handler) => Undo, handler: Handler) => Undo | void) | undefined }} Options
 */

/** Signals whose names begin so never leave the process. */
const LOCAL = "on_node_";

/**
 * A signal: a static member of a class, whose name begins with `on_`; its instances have a `BoundSignal` of that name.
 */
export class Signal {
  /** Its arguments are looked at by the method of the same name, which may throw. */
  hasBody = false;

  /** @param {Options} [options] */
  constructor({ order = "top-down", notifying, connecting } = {}) {
    if (order !== "top-down" && order !== "bottom-up")
      throw new TypeError(`The order of a signal is "top-down" or "bottom-up", not ${JSON.stringify(order)}.`);
    this.order = order;
    this.notifying = notifying;
    this.connecting = connecting;
  }
}

/**
 * A method as a signal: it says how many arguments are needed, and its body may throw to refuse them, before anything
 * runs.
 *
 *     static on_moved = signal();
 *     on_moved(x, y) { if (x < 0) throw new LimenError("InvalidCall", ["x is on the board."]); }
 *
 * @param {Options} [options]
 */
export function signal(options) {
  const made = new Signal(options);
  made.hasBody = true;
  return made;
}

/** The signal *name* of one object. */
export class BoundSignal {
  /** @type {Owner & Record<string, any>} */ #owner;
  /** @type {Signal} */ #signal;
  /** @type {Handler | undefined} */ #body;
  /** @type {readonly string[]} */ #own;
  /** @type {Handlers | undefined} */ #handlers;

  /**
   * @param {Owner} owner
   * @param {string} name
   * @param {Signal} signal
   * @param {Handler | undefined} body
   * @param {readonly string[]} own the owner's methods that handle it, in order
   */
  constructor(owner, name, signal, body, own) {
    this.name = name;
    this.#owner = owner;
    this.#signal = signal;
    this.#body = body;
    this.#own = own;
  }

  /** How many are connected; those of the class do not count. */
  get size() {
    return this.#handlers?.size ?? 0;
  }

  /**
   * `connect(f)`: the function is called with the arguments of each `notify`; it may be async. `connect(object, f)`:
   * the method, or its name, is called on *object*, as long as that lives. What is returned undoes it. What is
   * connected already stays where it is, and is called once.
   * @param {object} what
   * @param {Handler | string} [method]
   * @returns {Undo}
   */
  connect(what, method) {
    const handlers = (this.#handlers ??= new Handlers());
    const { connecting } = this.#signal;
    if (!connecting || handlers.has(what, method)) return handlers.connect(what, method);
    const handler = method === undefined ? /** @type {Handler} */ (what) : bind(what, method);
    const connect = (/** @type {Handler} */ f) => handlers.connect(what, method, f === handler ? undefined : f);
    return connecting.call(this.#owner, connect, handler) ?? (() => void handlers.disconnect(what, method));
  }

  /** False if it was not connected. @param {object} what @param {Handler | string} [method] */
  disconnect(what, method) {
    return this.#handlers?.disconnect(what, method) ?? false;
  }

  /** @param {object} what @param {Handler | string} [method] */
  is_connected(what, method) {
    return this.#handlers?.has(what, method) ?? false;
  }

  /**
   * Tells all handlers, here and elsewhere; resolves when those here have ended, and the router has it for the others.
   * @param {unknown[]} args
   * @returns {Promise<void>}
   * @throws {LimenError} InvalidCall where there are too few arguments, and what the body throws
   * @throws {AggregateError} of what handlers threw, when all have run
   */
  async notify(...args) {
    this.check(args);
    await this.#around(args, true);
  }

  /**
   * Somebody else published: the signal's own handlers are called, now; nothing is published.
   * @param {unknown[]} args
   */
  async heard(args) {
    this.check(args);
    await this.#around(args, false);
  }

  /** Throws what `notify` throws for arguments that do not fit. @param {unknown[]} args */
  check(args) {
    if (!this.#body) return;
    const needed = this.#body.length;
    if (args.length < needed)
      throw new LimenError("InvalidCall", [`${this.name} needs ${needed} arguments; ${args.length} came.`]);
    this.#body.apply(this.#owner, args);
  }

  /** @param {unknown[]} args @param {boolean} here it was notified in this place */
  #around(args, here) {
    const { notifying } = this.#signal;
    if (!notifying) return this.#run(args, here);
    return notifying.call(this.#owner, async (...changed) => this.#run(changed, here), ...args);
  }

  /** @param {unknown[]} args @param {boolean} here so it is published, and others in this place are told */
  #run(args, here) {
    const owner = this.#owner;
    here &&= !this.name.startsWith(LOCAL);
    const sent = here ? owner._signal_notified?.(this.name, args) : undefined;
    /** @type {Round} */
    const round = { errors: [], waiting: sent ? [sent] : [] };
    this.#inTurn(0, args, round);
    this.#handlers?.call(args, round);
    for (const handler of (here && owner._signal_listeners?.(this.name)) || []) called(handler, undefined, args, round);
    return finish(round, `${owner.constructor.name}.${this.name}`);
  }

  /**
   * The class's own from the one at *at*: the next one waits for the end of an async one.
   * @param {number} at
   * @param {unknown[]} args
   * @param {Round} round
   */
  #inTurn(at, args, round) {
    const { waiting, errors } = round;
    const before = waiting.length;
    for (; at < this.#own.length && waiting.length === before; at++) {
      const handler = this.#owner[/** @type {string} */ (this.#own[at])];
      called(handler, this.#owner, args, round);
    }
    if (at < this.#own.length) waiting.push(this.#rest(at, args, errors, waiting.pop()));
  }

  /**
   * @param {number} at
   * @param {unknown[]} args
   * @param {unknown[]} errors
   * @param {PromiseLike<unknown> | undefined} begun
   */
  async #rest(at, args, errors, begun) {
    /** @type {Round} */
    const round = { errors, waiting: begun ? [begun] : [] };
    await ended(round);
    round.waiting = [];
    this.#inTurn(at, args, round);
    await ended(round);
  }
}

/** @param {any} object @param {Handler | string} method @returns {Handler} */
const bind =
  (object, method) =>
  (...args) =>
    (typeof method === "string" ? object[method] : method).apply(object, args);

/**
 * Calls all *handlers*, then waits for them, and for *sent*.
 * @param {string} name of what failed, in the error
 * @param {Handler[]} handlers
 * @param {unknown[]} args
 * @param {Promise<unknown>} [sent]
 * @param {unknown[]} [errors] what has failed already, or will by then
 */
export async function run_handlers(name, handlers, args, sent, errors = []) {
  /** @type {Round} */
  const round = { errors, waiting: sent ? [sent] : [] };
  for (const handler of handlers) called(handler, undefined, args, round);
  await finish(round, name);
}

/** @param {Round} round @param {string} name */
async function finish(round, name) {
  if (round.waiting.length) await ended(round);
  if (round.errors.length) throw new AggregateError(round.errors, `${name}: handlers failed.`);
}
