/**
 * Time, as a connection and its tree know it: milliseconds. `testing.Clock` is one that stands still.
 * @typedef {{now(): number, setTimeout(work: () => void, after: number): any, clearTimeout(timer: any): void}} Clock
 */

/** The real one. @type {Clock} */
export const CLOCK = {
  now: () => performance.now(),
  setTimeout: (work, after) => setTimeout(work, after),
  clearTimeout: (timer) => clearTimeout(timer),
};
