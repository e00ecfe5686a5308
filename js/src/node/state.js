/**
 * State: a node is a dictionary whose readers follow it.
 *
 *     node.set("items", ["milk"]);
 *     const stop = effect(() => show(node.get("items")));     // runs again when that key has another value
 *     const undo = node.watch((changes) => …);                // is told what has changed, once a batch
 *     const mirror = await other.remote("@cart").stream();    // the same dictionary, wherever the cart is (mirror.js)
 *
 * Values are immutable: what is put in is copied and frozen (`frozen`), so that each change is one that all are told of.
 * The dictionary is made when somebody first asks.
 *
 * @module
 */
import { batch, ReactiveDict } from "../react.js";
import { call, OWN } from "./declared.js";
import { equal, frozen } from "./frozen.js";
import { Mirror, Sender } from "./mirror.js";
import { STREAM } from "./wiring.js";

export class State {
  static [OWN] = true;
  static stream = call(STREAM);

  /** @type {ReactiveDict<any> | undefined} */ _state = undefined;

  /** There was a key: the state can be mirrored. */
  _stateful = false;

  /** The node is about to hold its first key. */
  _state_began() {}

  get _dict() {
    return (this._state ??= new ReactiveDict());
  }

  /** @param {string} key @returns {any} */
  get(key) {
    return this._dict.get(key);
  }

  /** @param {string} key */
  has(key) {
    return this._dict.has(key);
  }

  /**
   * @param {string} key
   * @param {unknown} value
   * @throws {import("../exc.js").LimenError} InvalidValue for what could be changed without anybody being told
   */
  set(key, value) {
    const now = frozen(value, key);
    if (!this._stateful) {
      this._stateful = true;
      this._state_began();
    }
    if (!equal(this._dict.peek(key), now)) this._dict.set(key, now);
    return this;
  }

  /** Whether there was one. @param {string} key */
  delete(key) {
    return this._dict.delete(key);
  }

  /**
   * Sets several; one change for those who follow.
   * @param {Record<string, unknown> | Iterable<[string, unknown]>} data
   */
  update(data) {
    const rows = /** @type {Iterable<[string, unknown]>} */ (Symbol.iterator in data ? data : Object.entries(data));
    batch(() => {
      for (const [key, value] of rows) this.set(key, value);
    });
  }

  /** Removes every key; one change for those who follow. */
  clear() {
    this._dict.clear();
  }

  keys() {
    return this._dict.keys();
  }

  /**
   * Tells *listener* the changes of each batch; gives the undo.
   * @param {(changes: import("../react.js").Change[]) => void} listener
   */
  watch(listener) {
    return this._dict.watch(listener);
  }

  /**
   * The mirror of the node at *address*, as this one sees it; it ends with this one, too.
   * @param {string} address
   * @param {import("./calling.js").CallOptions} options
   */
  async _mirrored(address, options) {
    const self = /** @type {import("./node.js").Node & Record<string, any>} */ (/** @type {unknown} */ (this));
    const mirror = new Mirror(address);
    const clock = self.node_context.get("clock", globalThis);
    const undo = self.on_node_unbind.connect(() => mirror.close());
    try {
      await mirror.follow(
        (push, signal) => self._call_from(`${address}.${STREAM}`, [], {}, { ...options, push, signal }),
        (work, after) => clock.setTimeout(() => !mirror.closed && work(), after),
      );
    } catch (error) {
      undo();
      throw error;
    }
    return mirror;
  }

  /**
   * What the dictionary holds, then what changes, until the node is unbound: what mirrors are made of.
   * @returns {AsyncGenerator<unknown[]>}
   */
  stream() {
    const { on_node_unbind: unbound, _context: context } = /** @type {any} */ (this);
    return new Sender(this._dict).messages(unbound, context?.call?.signal);
  }
}
