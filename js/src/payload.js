/** What messages bring, of Limen peers and of plain ones: who reads it, says so. @module */
import { fromWire } from "./exc.js";

/** @typedef {import("./wamp.js").Message} Message */

/**
 * Reads what came: `untag`, or for a plain peer what a value is anyway.
 * @typedef {(tree: unknown, path?: string, depth?: number) => any} Read
 */

/** @param {Record<string, any> | undefined} kwargs @param {Read} read @returns {Record<string, any>} */
export const named = (kwargs, read) =>
  Object.fromEntries(Object.entries(kwargs ?? {}).map(([name, value]) => [name, read(value, `$.${name}`, 1)]));

/**
 * The value that a RESULT brings: of a Limen service its one positional result. Another peer's may have several: then
 * an array of them;
 * named ones come as an object.
 * @param {Message} result
 * @param {Read} read
 * @throws {LimenError} InvalidValue
 */
export function resultOf({ args = [], kwargs }, read) {
  const values = args.map((value, i) => read(value, `$[${i}]`, 1));
  if (!kwargs || !Object.keys(kwargs).length) return values.length > 1 ? values : (values[0] ?? null);
  return values.length ? { args: values, kwargs: named(kwargs, read) } : named(kwargs, read);
}

/** @param {Message} error @param {Read} read */
export function errorOf({ uri, args, kwargs }, read) {
  try {
    return fromWire(uri, named(kwargs, read), args);
  } catch {
    return fromWire(uri, undefined, args);
  }
}
