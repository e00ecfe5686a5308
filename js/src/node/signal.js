/**
 * Signal: what an object says, for whoever listens.
 *
 *     class Second extends Node {
 *       static on_foo = new Signal();
 *       static when_foo = handler("on_foo");       // the method of the same name is called
 *       when_foo(text) {}
 *     }
 *     const undo = second.on_foo.connect((text) => …);
 *     await second.on_foo.notify("hello");
 *
 * @module
 */

/** @typedef {(...args: any[]) => unknown} Handler */
/**
 * What a signal asks the object it belongs to; one without these methods has signals all the same. `_signal_notified`
 * publishes: it is called first, and what it throws is thrown, and nothing has run. `_signal_listeners` says who else of
 * this connection listens.
 * @typedef {{
 *   _signal_notified?(name: string, args: unknown[]): Promise<unknown> | undefined,
 *   _signal_listeners?(name: string): Handler[],
 * }} Owner
 */

export class Signal {
  /**
   * @param {{ order?: "top-down" | "bottom-up" }} [options] whose handlers are called first: the base class's, or the
   *   subclass's
   */
  constructor({ order = "top-down" } = {}) {
    this.order = order;
  }
}

/** The signal *name* of one object. */
export class BoundSignal {
  /** @type {Handler[]} */ #handlers = [];
  #owner;
  #declared;

  /**
   * @param {string} name
   * @param {Owner & object} owner
   * @param {string[]} declared the owner's methods that handle it, in order
   */
  constructor(name, owner, declared) {
    this.name = name;
    this.#owner = owner;
    this.#declared = declared;
  }

  /** Calls *handler* from now on; gives the undo. @param {Handler} handler @returns {() => void} */
  connect(handler) {
    this.disconnect(handler);
    this.#handlers = [...this.#handlers, handler];
    return () => this.disconnect(handler);
  }

  /** @param {Handler} handler */
  disconnect(handler) {
    this.#handlers = this.#handlers.filter((each) => each !== handler);
  }

  /**
   * Says it. Handlers are called at once, one after the other, and awaited together.
   * @param {unknown[]} args
   * @returns {Promise<void>}
   * @throws {AggregateError} of what all of them threw
   */
  async notify(...args) {
    const owner = /** @type {any} */ (this.#owner);
    const here = !this.name.startsWith("on_node_");
    const sent = here ? owner._signal_notified?.(this.name, args) : undefined;
    const others = here ? (owner._signal_listeners?.(this.name) ?? []) : [];
    await run_handlers(this.name, [...this.#all, ...others], args, sent);
  }

  /**
   * Somebody else published: the signal's own handlers are called, now; nothing is published.
   * @param {unknown[]} args
   */
  async heard(args) {
    await run_handlers(this.name, this.#all, args);
  }

  /** @returns {Handler[]} */
  get #all() {
    const owner = /** @type {any} */ (this.#owner);
    if (!this.#declared.length) return this.#handlers;
    return [
      ...this.#declared.map(
        (name) =>
          (/** @type {any[]} */ ...args) =>
            owner[name](...args),
      ),
      ...this.#handlers,
    ];
  }
}

/**
 * Calls all *handlers*, then waits for them, and for *sent*.
 * @param {string} name
 * @param {Handler[]} handlers
 * @param {unknown[]} args
 * @param {Promise<unknown>} [sent]
 */
export async function run_handlers(name, handlers, args, sent) {
  /** @type {unknown[]} */ const failures = [];
  /** @type {PromiseLike<unknown>[]} */ const waits = sent ? [sent] : [];
  for (const handler of handlers) {
    try {
      const result = /** @type {any} */ (handler(...args));
      if (typeof result?.then === "function") waits.push(result);
    } catch (error) {
      failures.push(error);
    }
  }
  for (const outcome of waits.length ? await Promise.allSettled(waits) : [])
    if (outcome.status === "rejected") failures.push(outcome.reason);
  if (failures.length) throw new AggregateError(failures, `${failures.length} handlers of ${name} failed.`);
}
