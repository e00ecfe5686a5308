/**
 * Mirrors: the dictionary of a node, kept somewhere else.
 *
 *     const mirror = await node.remote("@cart").stream();
 *     effect(() => show(mirror.get("items")));
 *
 * On the wire it is a call with progressive results, which any WAMP client can make: `shop.cart.node_stream`.
 *
 *     ["snapshot", 1, {"items": ["milk"]}]              all there is
 *     ["changes", 2, [["items", ["milk", "bread"]]]]    each key that has another value: a batch is one message
 *     ["changes", 3, [["items"]]]                       a key alone is gone
 *
 * Numbers count the messages of one call; who misses one asks anew. The call ends when the node is unbound. What changes
 * while a reader is slow is merged, key by key, so that nobody waits and nothing grows.
 *
 * @module
 */
import { safely } from "../events.js";
import { LimenError } from "../exc.js";
import { ABSENT, batch, ReactiveDict, Value } from "../react.js";
import { equal, frozen } from "./frozen.js";

const SNAPSHOT = "snapshot";
const CHANGES = "changes";
/** ms before a mirror asks again for a node that cannot be found, or has failed: the first time, the second, … */
const PAUSES = [50, 200, 500, 1000, 2000];
/** After so many failures one after the other it says so. */
const OFTEN = 2;

/** The messages for one mirror: `take` gives the next one, if there is something to say. */
export class Sender {
  #data;
  #log;
  #number = 0;
  #ended = false;
  #wake = () => {};

  /** @param {ReactiveDict<any>} data */
  constructor(data) {
    this.#data = data;
    this.#log = data.log(() => this.#wake());
  }

  /** The next message: first a snapshot, then what has changed since; undefined: nothing has. */
  take() {
    const changes = this.#log.take();
    if (!this.#number) return [SNAPSHOT, ++this.#number, this.#data.toJSON()];
    if (!changes.length) return undefined;
    return [CHANGES, ++this.#number, changes.map(({ key, new: now }) => (now === ABSENT ? [key] : [key, now]))];
  }

  /** How many keys wait to be told. */
  get waiting() {
    return this.#log.before.size;
  }

  /** Nothing comes after what has changed so far. */
  end() {
    this.#ended = true;
    this.#wake();
  }

  /** Lets go of the dictionary. */
  close() {
    this.#log.close();
  }

  /**
   * All of them, until *unbound* is told or *signal* aborted.
   * @param {{ connect(end: () => void): () => unknown }} unbound
   * @param {AbortSignal} [signal]
   */
  async *messages(unbound, signal) {
    const end = () => this.end();
    const undo = unbound.connect(end);
    signal?.addEventListener("abort", end);
    try {
      for (;;) {
        const more = new Promise((resolve) => (this.#wake = () => resolve(undefined)));
        const message = this.take();
        if (message) yield message;
        else if (this.#ended || signal?.aborted) return;
        else await more;
      }
    } finally {
      undo();
      signal?.removeEventListener("abort", end);
      this.close();
    }
  }
}

/** A message is missing, or is none: the mirror must ask anew. */
export class Gap extends Error {}

/**
 * The dictionary of a node elsewhere, read only; those who read it follow it. It keeps what it had while the connection is
 * lost, and changes by what is different then when it returns.
 *
 * `close()` ends it; it ends by itself when its node is unbound, or the one that it was made from.
 * @extends {ReactiveDict<any>}
 */
export class Mirror extends ReactiveDict {
  #path;
  #number = 0;
  #synced = new Value(false);
  #closed = new Value(false);
  #leave = () => {};

  /** @param {string} path */
  constructor(path) {
    super();
    this.#path = path;
  }

  /** It is what its node is, but for what is on its way; who reads this follows it, too. */
  get synced() {
    return this.#synced.value;
  }

  /** It does not change any more: its node is unbound, or `close` was called. It keeps what it had. */
  get closed() {
    return this.#closed.value;
  }

  /** Ends it, and the call behind it. */
  close() {
    this.#end();
    this.#leave();
  }

  /** The next message of a stream. @param {any} message @throws {Gap} where one before it is missing */
  take(message) {
    const [kind, number, what] = Array.isArray(message) ? message : [];
    if (kind === SNAPSHOT && typeof number === "number" && what && typeof what === "object") {
      const data = new Map(Object.entries(what).map(([key, value]) => [key, kept(value, key)]));
      this.#number = number;
      this.#replace(data);
    } else if (kind === CHANGES && this.#isNext(number) && Array.isArray(what) && what.every(isRow)) {
      const rows = what.map(([key, ...value]) => [key, value.length ? kept(value[0], key) : ABSENT]);
      this.#number = number;
      batch(() => rows.forEach(([key, value]) => this.#change(key, value)));
    } else {
      this.lost();
      throw new Gap();
    }
  }

  /** Nothing comes for now; the next message must be a snapshot. */
  lost() {
    this.#synced.value = false;
  }

  /** @param {unknown} number */
  #isNext(number) {
    return this.#synced.peek() && number === this.#number + 1;
  }

  /** @param {Map<string, unknown>} data */
  #replace(data) {
    batch(() => {
      for (const key of this.keys()) if (!data.has(key)) this.#change(key, ABSENT);
      for (const [key, value] of data) this.#change(key, value);
      this.#synced.value = true;
    });
  }

  /** @param {string} key @param {unknown} value */
  #change(key, value) {
    if (!equal(this.peek(key), value)) this._put(key, value);
  }

  #end() {
    batch(() => {
      this.#synced.value = false;
      this.#closed.value = true;
    });
  }

  /** @returns {never} */
  #refused() {
    throw new LimenError("InvalidCall", [`A mirror is read only; call what changes ${this.#path} there.`]);
  }

  /** @param {string} _key @param {unknown} _value @returns {this} @override */
  set(_key, _value) {
    return this.#refused();
  }

  /** @param {string} _key @returns {boolean} @override */
  delete(_key) {
    return this.#refused();
  }

  /** @param {unknown} _data @override */
  update(_data) {
    this.#refused();
  }

  /** @override */
  clear() {
    this.#refused();
  }

  // -- tied to the wire -------------------------------------------------------------------------------------------
  /**
   * Asks, and asks again when that ends before its time; resolves when the first snapshot is there, rejects with what
   * is said instead of one.
   * @param {(push: (message: unknown) => void, signal: AbortSignal) => Promise<unknown>} ask
   * @param {(work: () => void, after: number) => unknown} later
   * @returns {Promise<void>}
   */
  follow(ask, later) {
    return new Promise((resolve, reject) => {
      let begun = false;
      let failures = 0;
      const again = async () => {
        const control = new AbortController();
        this.#leave = () => control.abort();
        /** @param {unknown} message */
        const push = (message) => {
          if (control.signal.aborted) return;
          try {
            this.take(message);
          } catch (error) {
            if (error instanceof Gap) return control.abort();
            safely(() => {
              throw error; // of whoever follows the mirror
            });
          }
          failures = 0;
          begun = true;
          resolve();
        };
        try {
          await ask(push, control.signal);
          if (!control.signal.aborted) this.#end();
        } catch (error) {
          const lost = error instanceof LimenError && error.is("OutcomeUnknown"); // the connection, amid the question
          if (!begun && !lost) return reject(error);
          if (failures === OFTEN) console.warn(`Limen: the mirror of ${this.#path} is out of step, and asks again:`, error);
        }
        if (this.#closed.peek()) return resolve();
        this.lost();
        later(again, PAUSES[Math.min(failures++, PAUSES.length - 1)] ?? 0);
      };
      void again();
    });
  }
}

/** What no dictionary of a node holds no node has said. @param {unknown} value @param {string} key @throws {Gap} */
function kept(value, key) {
  try {
    return frozen(value, key);
  } catch (error) {
    throw new Gap(String(error));
  }
}

/** @param {unknown} row */
const isRow = (row) => Array.isArray(row) && (row.length === 1 || row.length === 2) && typeof row[0] === "string";
