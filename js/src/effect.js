/**
 * Effects: signals-core's, and besides: an async one never overlaps itself, and a circle is told by its name.
 *
 * Its `_callback` (`c`) is written anew rather than called, and who is async has another function (`x`, `_fn`) while a run
 * is under way, so that an effect that is not costs what signals-core's costs. `S` starts a run and returns what ends it,
 * `j` is the clean-up, `d` disposes; as for the letters, see computed.js.
 *
 * @module
 */
import { Effect as Bare, signal } from "@preact/signals-core";
import { named } from "./computed.js";

const DISPOSED = 8;

/**
 * Runs *run* now, and again whenever what it read has changed, until what is returned is called. A function that it
 * returns is its clean-up: called before the next run and at the end.
 *
 * A *run* that returns a promise is async: a change aborts the signal that it was given, and the next run starts when
 * the promise has settled. *failed* is told its errors; without it, they are reported as uncaught ones are. (A *run* that
 * is no `async` function is given the signal if it names a parameter for it: to make one costs more than most effects.)
 * @param {(signal: AbortSignal) => unknown} run
 * @param {{ name?: string, failed?: (error: unknown) => void }} [options]
 * @returns {() => void}
 */
export function effect(run, options = {}) {
  const made = /** @type {any} */ (new Effect(run, options));
  try {
    made.c();
  } catch (error) {
    made.d();
    throw error;
  }
  return () => {
    made.d();
    made.runs?.abort();
  };
}

class Effect extends Bare {
  /** @param {(signal: AbortSignal) => unknown} run @param {{ name?: string, failed?: (error: unknown) => void }} options */
  constructor(run, { name = "", failed }) {
    super(/** @type {() => void} */ (run), { name: name || run.name || "effect" });
    this.failed = failed ?? uncaught;
    /** @type {Runs | null} of an async one */
    this.runs = null;
    if (run.length > 0 || run.constructor.name === "AsyncFunction") this.runs = new Runs(this, run);
  }

  c() {
    const self = /** @type {any} */ (this);
    const end = self.S();
    try {
      if (self.f & DISPOSED || self.x === undefined) return;
      const result = self.x();
      if (result !== undefined) this.returned(result);
    } catch (error) {
      throw named(error, [self.name, self.name]);
    } finally {
      end();
    }
  }

  /** @param {unknown} result */
  returned(result) {
    const self = /** @type {any} */ (this);
    if (typeof result === "function") self.j = result;
    else if (isPromise(result)) void (this.runs ??= new Runs(self, self.x)).follow(result);
  }
}

/** @param {unknown} error */
const uncaught = (error) => void Promise.reject(error);

/** @param {any} value @returns {value is PromiseLike<unknown>} */
const isPromise = (value) => typeof value?.then === "function";

/** The runs of an async effect, one after another. */
class Runs {
  #effect;
  #run;
  /** Counts those that had to begin again. */
  #again = signal(0);
  /** Of the run that was begun last. */
  #task = new AbortController();
  #pending = false;
  #waits = false;

  /** @param {any} effect @param {(signal: AbortSignal) => unknown} run */
  constructor(effect, run) {
    this.#effect = effect;
    this.#run = run;
    effect.x = this.#begin;
  }

  #begin = () => {
    this.#task = new AbortController();
    return this.#run(this.#task.signal);
  };

  /** What runs in its place while one is under way: it reads nothing else, for whatever changes, the next will see it. */
  #wait = () => {
    this.#waits = true;
    this.#again.value;
    this.#task.abort();
  };

  /** @param {PromiseLike<unknown>} promise */
  async follow(promise) {
    const effect = this.#effect;
    const { signal } = this.#task;
    this.#waits = false;
    this.#pending = true;
    effect.x = this.#wait;
    try {
      await promise;
    } catch (error) {
      if (!signal.aborted) effect.failed(error);
    }
    this.#pending = false;
    if (effect.x === undefined) return; // it has ended
    effect.x = this.#begin;
    if (this.#waits) this.#again.value = this.#again.peek() + 1;
  }

  /** Tells the run under way that it is called off. */
  abort() {
    if (this.#pending) this.#task.abort();
  }
}
