/**
 * Handlers: who is to be called, in the order in which they were connected; as Python's `limen.node.handlers`.
 *
 * A connection is an object of its own, so an undo undoes just what it came from, and a connection made while the
 * others are called is known to be a later one.
 *
 * @module
 */

/** @typedef {(...args: any[]) => unknown} Handler */
/** @typedef {() => void} Undo */
/**
 * @typedef {{ call: Handler | string, key?: unknown, object?: WeakRef<object>, home?: WeakRef<Handlers>, live: boolean
 *   }} Connection
 */
/** What is known of one round of calls: what was thrown, and what async handlers have still to do. */
/** @typedef {{ errors: unknown[], waiting: PromiseLike<unknown>[] }} Round */

/** Takes a connection away whose object is gone. */
const GONE = new FinalizationRegistry((/** @type {Connection} */ connection) => {
  connection.home?.deref()?.drop(connection);
});

export class Handlers {
  /** @type {Set<Connection>} */ #connections = new Set();
  /** The same, as it was when all were called last; null: it has changed since. @type {Connection[] | null} */
  #calling = null;
  /** @type {Map<unknown, Connection>} of those that are held, by the handler */ #held = new Map();
  /** @type {WeakMap<object, Map<Handler | string, Connection>>} of those that go with an object */ #weak = new WeakMap();

  get size() {
    return this.#connections.size;
  }

  /**
   * `connect(f)` holds the function *f*. `connect(object, f)` holds neither: *f*, a function or the name of a method,
   * is called with *object* as `this`, as long as that lives; *f* must not refer to it.
   * @param {object} what
   * @param {Handler | string} [method]
   * @param {Handler} [inPlace] what is called in the place of *what*; then both are held
   * @returns {Undo}
   */
  connect(what, method, inPlace) {
    const found = this.#find(what, method) ?? this.#add(what, method, inPlace);
    return () => this.drop(found);
  }

  /** False if it was not connected. @param {object} what @param {Handler | string} [method] */
  disconnect(what, method) {
    const found = this.#find(what, method);
    if (found) this.drop(found);
    return found !== undefined;
  }

  /** @param {object} what @param {Handler | string} [method] */
  has(what, method) {
    return this.#find(what, method) !== undefined;
  }

  /** @param {Connection} connection */
  drop(connection) {
    connection.live = false;
    this.#calling = null;
    this.#connections.delete(connection);
    if (this.#held.get(connection.key) === connection) this.#held.delete(connection.key);
  }

  /** Calls all. @param {readonly unknown[]} args @param {Round} round */
  call(args, round) {
    for (const connection of (this.#calling ??= [...this.#connections])) {
      if (!connection.live) continue; // disconnected by one of those before it
      const { call, object } = connection;
      const self = /** @type {any} */ (object?.deref());
      if (object && !self) this.drop(connection);
      else called(typeof call === "string" ? self[call] : call, self, args, round);
    }
  }

  /** @param {object} what @param {Handler | string} [method] */
  #find(what, method) {
    const found = method === undefined ? this.#held.get(what) : this.#weak.get(what)?.get(method);
    return found?.live ? found : undefined;
  }

  /**
   * @param {object} what
   * @param {Handler | string | undefined} method
   * @param {Handler | undefined} inPlace
   * @returns {Connection}
   */
  #add(what, method, inPlace) {
    checked(what, method);
    /** @type {Connection} */
    const made = { call: inPlace ?? method ?? /** @type {Handler} */ (what), live: true };
    this.#connections.add(made);
    this.#calling = null;
    if (method === undefined) {
      made.key = what;
      this.#held.set(what, made);
      return made;
    }
    if (!inPlace) {
      made.object = new WeakRef(what);
      made.home = new WeakRef(this);
      GONE.register(what, made);
    }
    const methods = this.#weak.get(what) ?? new Map();
    this.#weak.set(what, methods.set(method, made));
    return made;
  }
}

/** @param {any} what @param {unknown} method */
function checked(what, method) {
  if (method === undefined && typeof what !== "function")
    throw new TypeError(`A handler is a function, or an object and its method: connect(f), connect(object, "name").`);
  if (method === undefined || typeof method === "function") return;
  if (typeof what?.[/** @type {string} */ (method)] !== "function")
    throw new TypeError(`${what?.constructor?.name ?? what} has no method ${String(method)} that could be a handler.`);
}

/**
 * Calls one.
 * @param {Handler} handler
 * @param {unknown} self
 * @param {readonly unknown[]} args
 * @param {Round} round
 */
export function called(handler, self, args, round) {
  try {
    const result = /** @type {any} */ (handler.apply(self, /** @type {unknown[]} */ (args)));
    if (typeof result?.then === "function") round.waiting.push(result);
  } catch (error) {
    round.errors.push(error);
  }
}

/** Resolves when all that is waited for has ended. @param {Round} round */
export async function ended({ errors, waiting }) {
  for (const outcome of await Promise.allSettled(waiting))
    if (outcome.status === "rejected") errors.push(outcome.reason);
}
