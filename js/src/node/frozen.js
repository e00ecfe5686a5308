/**
 * What a node's dictionary holds: values that nobody can change behind the backs of those who follow them. What is put
 * in is copied and frozen, all of it; of bytes and dates, which cannot be frozen, the copy alone is kept.
 *
 * @module
 */
import { LimenError } from "../exc.js";
import { Path } from "../path.js";
import { isPlain, Tagged } from "../values.js";
import { ADDRESS, NodeProxy } from "./proxy.js";

/** Less than what is passed may have (passing.js): the messages of mirrors are put round it. */
const MOST_DEPTH = 60;
/** What `frozen` has made: it need not be copied again. @type {WeakSet<object>} */
const DONE = new WeakSet();

/**
 * *value*, to be kept under *key*.
 * @param {unknown} value
 * @param {string} key
 * @returns {any}
 * @throws {LimenError} InvalidValue, which says where and why, for what could be changed
 */
export const frozen = (value, key) => froze(value, key, []);

/** @param {unknown} value @param {string} key @param {unknown[]} way @returns {any} */
function froze(value, key, way) {
  if (value === undefined) return null; // as it arrives elsewhere
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "number") {
    if (Number.isFinite(value)) return value;
    throw refused(key, way, `cannot be ${value}: it does not travel.`);
  }
  if (typeof value === "bigint") return value;
  if (typeof value !== "object" && typeof value !== "function") throw unfit(value, key, way);
  if (DONE.has(value) || value instanceof Path || value instanceof NodeProxy || value instanceof Tagged) return value;
  if (way.length > MOST_DEPTH)
    throw refused(key, way.slice(0, 3), `… is deeper than ${MOST_DEPTH} levels, or contains itself.`);
  const made = copy(/** @type {object} */ (value), key, (each, step) => froze(each, key, [...way, step]), way);
  DONE.add(made);
  return made;
}

/**
 * @param {object} value
 * @param {string} key
 * @param {(each: unknown, step: unknown) => unknown} into
 * @param {unknown[]} way
 * @returns {object}
 */
function copy(value, key, into, way) {
  if (Array.isArray(value)) return Object.freeze(value.map((each, at) => into(each, at)));
  if (value instanceof Set) return shut(new Set([...value].map((each) => into(each, "…"))));
  if (value instanceof Map) return shut(new Map([...value].map(([name, each]) => [into(name, "…"), into(each, name)])));
  if (value instanceof Uint8Array) return value.slice();
  if (value instanceof Date) return new Date(value);
  if (ADDRESS in value)
    throw refused(key, way, "cannot be a node, which changes by itself: put its node_path, or add it by node_add.");
  if (!isPlain(value)) throw unfit(value, key, way);
  return Object.freeze(Object.fromEntries(Object.entries(value).map(([name, each]) => [name, into(each, name)])));
}

/** A set or map that cannot be changed. @template {object} T @param {T} made @returns {T} */
function shut(made) {
  for (const name of ["add", "set", "delete", "clear"])
    if (name in made) Object.defineProperty(made, name, { value: unchangeable });
  return Object.freeze(made);
}

function unchangeable() {
  throw new TypeError("It is frozen: what follows it would not be told. Put a new one in its place.");
}

/** @param {unknown} value @param {string} key @param {unknown[]} way */
function unfit(value, key, way) {
  const kind = typeof value === "object" ? (value?.constructor?.name ?? "object") : typeof value;
  const why = "it may be changed without anybody who follows being told, and does not travel";
  return refused(key, way, `cannot be a ${kind}: ${why}. Put texts, numbers, dates, lists, objects or sets there.`);
}

/** @param {string} key @param {unknown[]} way @param {string} why */
const refused = (key, way, why) =>
  new LimenError("InvalidValue", [
    `${[key, ...way].map((step) => `[${JSON.stringify(step)}]`).join("")} ${why}`,
  ]);

/**
 * Whether two values that are frozen are the same, whatever they are made of.
 * @param {any} one
 * @param {any} other
 * @returns {boolean}
 */
export function equal(one, other) {
  if (Object.is(one, other)) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false;
  if (one instanceof Path) return one.equals(other);
  if (one.constructor !== other.constructor || one instanceof NodeProxy) return false;
  if (one instanceof Set || one instanceof Map || one instanceof Uint8Array) return equal([...one], [...other]);
  if (one instanceof Date) return one.getTime() === other.getTime();
  if (one instanceof Tagged) return one.equals(other);
  const names = Object.keys(one); // of a list its places
  return (
    names.length === Object.keys(other).length && names.every((name) => name in other && equal(one[name], other[name]))
  );
}
