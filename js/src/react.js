/**
 * Reactive state, a thin layer on @preact/signals-core with the names of Python's `limen.core.react`:
 *
 *     const price = new Value(3), count = new Value(2);
 *     const total = new Computed(() => price.value * count.value);
 *     const stop = effect(() => show(total.value));
 *     batch(() => ((price.value = 4), (count.value = 5)));   // shows once
 *
 * vectors/react.json holds both to the same behaviour. What differs: of an async effect only what it reads before its
 * first `await` counts; a call cannot be cancelled, so its function is given an AbortSignal.
 *
 * @module
 */
import { batch, effect as bareEffect, Signal, signal } from "@preact/signals-core";
import { Computed, Cycle, untracked } from "./computed.js";
import { effect } from "./effect.js";

export { batch, Computed, Cycle, effect, untracked };

/** A value that is set from outside. Setting the same one is no change. @template T @extends {Signal<T>} */
export class Value extends Signal {
  /** @param {T} value @param {{ name?: string }} [options] name: how errors call it */
  constructor(value, options = {}) {
    super(value, { name: options.name || "Value" });
  }
}

/** No value: what `old` is of a key that was added, and `new` of one that was removed. */
export const ABSENT = Symbol("ABSENT");

/**
 * One key that has another value now.
 * @typedef {{ key: string, old: unknown, new: unknown, kind: "added" | "removed" | "changed" }} Change
 */

/**
 * A dictionary. Reading a key inside a computed value or an effect follows that key alone, one that is absent too; its
 * size and its keys are followed as one.
 * @template V
 */
export class ReactiveDict {
  /** @type {Map<string, V>} */
  #data;
  /** What is followed, held by those who follow it. @type {Map<string, WeakRef<Signal<V | typeof ABSENT>>>} */
  #cells = new Map();
  #gone = new FinalizationRegistry((/** @type {string} */ key) => {
    if (!this.#cells.get(key)?.deref()) this.#cells.delete(key);
  });
  #shape = signal(0);
  #revision = signal(0);
  /** @type {Log[]} */ #logs = [];

  /** @param {Record<string, V> | Iterable<[string, V]>} [data] */
  constructor(data = {}) {
    this.#data = new Map(Symbol.iterator in data ? /** @type {any} */ (data) : Object.entries(data));
  }

  /** The value of *key*; undefined where there is none. @param {string} key @returns {V | undefined} */
  get(key) {
    const found = this.#cell(key).value;
    return found === ABSENT ? undefined : /** @type {V} */ (found);
  }

  /** @param {string} key */
  has(key) {
    return this.#cell(key).value !== ABSENT;
  }

  /** @param {string} key @param {V} value */
  set(key, value) {
    this._put(key, value);
    return this;
  }

  /** Whether there was one. @param {string} key */
  delete(key) {
    const had = this.#data.has(key);
    this._put(key, ABSENT);
    return had;
  }

  /** Sets several; one change for those who follow. @param {Record<string, V> | Iterable<[string, V]>} data */
  update(data) {
    const rows = /** @type {Iterable<[string, V]>} */ (Symbol.iterator in data ? data : Object.entries(data));
    batch(() => {
      for (const [key, value] of rows) this._put(key, value);
    });
  }

  /** Removes every key; one change for those who follow. */
  clear() {
    batch(() => {
      for (const key of [...this.#data.keys()]) this._put(key, ABSENT);
    });
  }

  get size() {
    this.#shape.value;
    return this.#data.size;
  }

  keys() {
    this.#shape.value;
    return [...this.#data.keys()];
  }

  /** @returns {Iterator<[string, V]>} */
  *[Symbol.iterator]() {
    for (const key of this.keys()) yield [key, /** @type {V} */ (this.get(key))];
  }

  toJSON() {
    return Object.fromEntries(this);
  }

  /**
   * Tells *listener* the changes of each batch: one for each key that has another value at the end of it. What is
   * returned ends it when it is called. The order of keys is not told.
   * @param {(changes: Change[]) => void} listener
   * @returns {() => void}
   */
  watch(listener) {
    const log = this.log(() => {
      const told = log.take();
      if (told.length) listener(told);
    });
    return () => log.close();
  }

  /**
   * What changes from now on, for who asks for it in his own time. *due* is called at the end of each batch in which
   * something may have changed.
   * @param {() => void} due
   */
  log(due) {
    const log = new Log(
      (key) => this.peek(key),
      () => (this.#logs = this.#logs.filter((other) => other !== log)),
    );
    this.#logs = [...this.#logs, log];
    log.stop = bareEffect(() => {
      this.#revision.value;
      if (log.before.size) untracked(due);
    });
    return log;
  }

  /**
   * The value of *key*, without following it; ABSENT where there is none.
   * @param {string} key
   * @returns {V | typeof ABSENT}
   */
  peek(key) {
    return this.#data.has(key) ? /** @type {V} */ (this.#data.get(key)) : ABSENT;
  }

  /** @param {string} key @param {V | typeof ABSENT} value */
  _put(key, value) {
    const old = this.peek(key);
    if (old === value) return;
    batch(() => {
      for (const log of this.#logs) log.note(key, old, value);
      if (value === ABSENT) this.#data.delete(key);
      else this.#data.set(key, value);
      const cell = this.#cells.get(key)?.deref();
      if (cell) cell.value = value;
      this.#revision.value = this.#revision.peek() + 1;
      if (old === ABSENT || value === ABSENT) this.#shape.value = this.#shape.peek() + 1;
    });
  }

  /** @param {string} key @returns {Signal<V | typeof ABSENT>} */
  #cell(key) {
    const found = this.#cells.get(key)?.deref();
    if (found) return found;
    const made = signal(this.peek(key));
    this.#cells.set(key, new WeakRef(made));
    this.#gone.register(made, key);
    return made;
  }
}

/**
 * What has changed in a dictionary since it was asked last: one change for each key that has another value now, however
 * often it has changed, so it grows no larger than what was there and what is there.
 */
export class Log {
  /** @type {Map<string, unknown>} */ before = new Map();
  stop = () => {};
  #now;
  #forget;

  /** @param {(key: string) => unknown} now @param {() => void} forget */
  constructor(now, forget) {
    this.#now = now;
    this.#forget = forget;
  }

  /** *key* was *old* and becomes *value*. @param {string} key @param {unknown} old @param {unknown} value */
  note(key, old, value) {
    if (!this.before.has(key)) this.before.set(key, old);
    else if (value === ABSENT && this.before.get(key) === ABSENT) this.before.delete(key); // it came and went between
  }

  /** The changes, in no order that is told. */
  take() {
    const { before } = this;
    this.before = new Map();
    return [...before].flatMap(([key, old]) => change(key, old, this.#now(key)));
  }

  /** Ends it. */
  close() {
    this.stop();
    this.#forget();
  }
}

/** @param {string} key @param {unknown} old @param {unknown} now @returns {Change[]} */
function change(key, old, now) {
  if (old === now) return [];
  return [{ key, old, new: now, kind: old === ABSENT ? "added" : now === ABSENT ? "removed" : "changed" }];
}
