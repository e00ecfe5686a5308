/**
 * State: a node is a reactive dictionary (`react.js`), which is made when somebody first asks.
 *
 *     node.set("total", 3);
 *     effect(() => show(node.get("total")));
 *
 * @module
 */
import { ReactiveDict } from "../react.js";

export class State {
  /** @type {ReactiveDict<any> | undefined} */ _state = undefined;

  /** There was a key: the state can be mirrored. */
  _stateful = false;

  /** The first key is there. */
  _state_began() {}

  #began() {
    if (this._stateful) return;
    this._stateful = true;
    this._state_began();
  }

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

  /** @param {string} key @param {unknown} value */
  set(key, value) {
    this._dict.set(key, value);
    this.#began();
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
    this._dict.update(data);
    this.#began();
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
}
