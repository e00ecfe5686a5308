/**
 * Time that stands still until a test lets it pass.
 *
 *     const clock = new Clock();
 *     clock.setTimeout(() => console.log("late"), 1000);
 *     await clock.advance(1000);            // "late"
 *
 * @module
 */

/** A `Clock` of the session port. */
export class Clock {
  #now = 0;
  #last = 0;
  /** @type {Map<number, {at: number, work: () => void}>} */ #timers = new Map();

  /** Milliseconds since it was made. */
  now() {
    return this.#now;
  }

  /** @param {() => void} work @param {number} [after] ms @returns {number} */
  setTimeout(work, after = 0) {
    this.#timers.set(++this.#last, { at: this.#now + Math.max(0, after), work });
    return this.#last;
  }

  /** @param {number | undefined} timer */
  clearTimeout(timer) {
    this.#timers.delete(/** @type {number} */ (timer));
  }

  /** How many timers wait. */
  get waiting() {
    return this.#timers.size;
  }

  /**
   * Lets *time* pass: what is due runs in its order, each at its moment, and what it leads to without further time has
   * happened before the next one.
   * @param {number} time ms
   */
  async advance(time) {
    const end = this.#now + time;
    await settled();
    for (let next = this.#next(end); next; next = this.#next(end)) {
      const [timer, { at, work }] = next;
      this.#timers.delete(timer);
      this.#now = at;
      work();
      await settled();
    }
    this.#now = end;
  }

  /** @param {number} end */
  #next(end) {
    const due = [...this.#timers].filter(([, { at }]) => at <= end);
    return due.sort(([a, { at: one }], [b, { at: other }]) => one - other || a - b)[0];
  }
}

/** All promises that wait for nothing have gone on: a task of its own comes after them. @returns {Promise<void>} */
const settled = () =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(0);
  });
