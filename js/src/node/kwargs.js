/**
 * Arguments by name are the last argument of a call or a signal, and come in the same way:
 *
 *     await third.rpc("hello", kwargs({ loud: true }));
 *     rpc(text, { loud = false } = {}) {}
 *
 * @module
 */

/** @typedef {Record<string, unknown>} Named */

/** Arguments by name. */
export class Kwargs {
  /** @param {Named} named */
  constructor(named) {
    for (const [name, value] of Object.entries(named)) // "__proto__" from a stranger is a name as any
      Object.defineProperty(this, name, { value, enumerable: true, writable: true, configurable: true });
  }
}

/** Arguments by name, as the last argument of a call or a signal. @param {Named} named */
export const kwargs = (named) => new Kwargs(named);

/** @type {Named} */
const NONE = Object.freeze({});

/**
 * Arguments as they are written, by place and by name.
 * @param {unknown[]} written
 * @returns {[args: unknown[], kwargs: Named]}
 */
export function split(written) {
  const last = written.at(-1);
  return last instanceof Kwargs ? [written.slice(0, -1), { ...last }] : [written, NONE];
}

/** Arguments as they are written. @param {unknown[]} args @param {Named | undefined} named */
export function joined(args, named) {
  for (const _ in named) return [...args, new Kwargs(named)];
  return args;
}
