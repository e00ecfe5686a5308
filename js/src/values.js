/**
 * Values on their way through JSON between Limen peers (docs/values.md): what JSON has no word for travels as an object
 * with one key that begins with "$"; an object of the user's that looks so gets one "$" more, so nobody can forge a
 * type.
 *
 *     tag(new Set([1]))           → {"$set": [1]}
 *     tag({ $set: [1] })          → {"$$set": [1]}
 *     untag({ $decimal: "1.50" }) → Tagged("decimal", "1.50")
 *
 * @module
 */
import { base64, unbase64 } from "./bytes.js";
import { LimenError, fromWire } from "./exc.js";
import { LimenFile, Sent, TRAVELS } from "./files.js";

const MAX_DEPTH = 128;
const SAFE = BigInt(Number.MAX_SAFE_INTEGER);
const LONE_SURROGATE = /\p{Cs}/u;

/** @typedef {"decimal" | "date" | "time" | "datetime" | "timedelta"} Kind */

const CLOCK = String.raw`([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?`;
const ZONE = String.raw`(Z|[+-]\d\d:\d\d(:\d\d(\.\d{6})?)?)?`;

/** The texts each kind admits; the same as Python's `limen.base.values` reads. @type {Record<Kind, RegExp>} */
const FORMS = {
  decimal: /^(-?(\d+(\.\d*)?|\.\d+)(E[+-]?\d{1,7})?|-?Infinity|-?NaN\d*)$/,
  date: /^\d{4}-\d\d-\d\d$/,
  time: new RegExp(`^${CLOCK}${ZONE}$`),
  datetime: new RegExp(`^\\d{4}-\\d\\d-\\d\\dT${CLOCK}${ZONE}$`),
  timedelta: /^-?\d{1,14}(\.\d{1,6})?$/,
};

const MAX_EXPONENT = 6144; // decimal128's
const MAX_DIGITS = 4300;
const MAX_SECONDS = 86400 * 1e9; // Python's timedelta

/** The exponent of a decimal's first digit. @param {string} text */
function exponent(text) {
  const [, whole = "", part = "", power = "0"] = /^-?(\d*)\.?(\d*)(?:E(.*))?$/.exec(text) ?? [];
  const leading = (whole + part).search(/[1-9]/);
  return Number(power) + (leading < 0 ? -part.length : whole.length - 1 - leading);
}

/** @param {Kind} kind @param {unknown} text */
function admits(kind, text) {
  if (typeof text !== "string" || !Object.hasOwn(FORMS, kind) || !FORMS[kind].test(text)) return false;
  if (kind === "decimal") return !(Math.abs(exponent(text)) > MAX_EXPONENT) && text.length <= MAX_DIGITS;
  if (kind === "timedelta") return Math.abs(Number(text)) < MAX_SECONDS;
  if (kind === "time") return true;
  const day = new Date(text.slice(0, 10)); // 31 April rolls over, or is invalid
  return (
    !text.startsWith("0000") && !Number.isNaN(day.getTime()) && day.toISOString().slice(0, 10) === text.slice(0, 10)
  );
}

/**
 * A value of Python's that JavaScript has no type for, as its text: a decimal, a date, a time, a datetime without a
 * zone
 * or finer than a millisecond, a timedelta (seconds). It goes back as what it was: nothing is rounded on the way.
 *
 *     new Limen.Tagged("decimal", "1.50")     Limen.decimal("1.50")
 */
export class Tagged {
  /**
   * @param {Kind} kind
   * @param {string} text
   * @throws {LimenError} InvalidValue for a text that the kind does not admit
   */
  constructor(kind, text) {
    if (!admits(kind, text)) {
      throw new LimenError("InvalidValue", [`${JSON.stringify(text)} is no ${kind}.`]);
    }
    this.kind = kind;
    this.text = text;
    Object.freeze(this);
  }
  get [TRAVELS]() {
    return { ["$" + this.kind]: this.text };
  }
  toString() {
    return this.text;
  }
  toJSON() {
    return this.text;
  }
  /** Same kind, same text ("1.5" and "1.50" differ, as their precision does). @param {unknown} other */
  equals(other) {
    return other instanceof Tagged && other.kind === this.kind && other.text === this.text;
  }
}

/** A Decimal for the server: exact, where a number is not. @param {string | number | bigint} value */
export const decimal = (value) => new Tagged("decimal", String(value).trim().replace(/^\+/, "").replace("e", "E"));

/** @param {unknown} value */
export function isPlain(value) {
  if (value === null || typeof value !== "object") return false;
  const prototype = Object.getPrototypeOf(value);
  // an object of another frame has another Object.prototype: it is plain if its prototype has none above it
  return (
    prototype === null ||
    prototype === Object.prototype ||
    (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "isPrototypeOf"))
  );
}

/** @param {string} path @param {string} why @returns {never} */
function refuse(path, why) {
  throw new LimenError("InvalidValue", [`${why} At: ${path}`], { path });
}

/** @param {string} path @param {string} key */
const below = (path, key) => path + (/^[\p{L}_][\p{L}\p{N}_]*$/u.test(key) ? `.${key}` : `['${key.slice(0, 64)}']`);

/** @param {string} string @param {string} path */
function wellFormed(string, path) {
  return LONE_SURROGATE.test(string) ? refuse(path, "A text holds a lone surrogate.") : string;
}

/**
 * The tree that JSON carries for a value.
 *
 * undefined is left out of objects and null elsewhere; a frozen array is a tuple; a typed array or ArrayBuffer is
 * bytes; a Map is a dict
 * with keys of any type; a Date is a datetime in UTC; an object with toJSON() is what that gives.
 * @param {unknown} value
 * @param {string} [path] where the value stands, for the words of an error
 * @param {number} [depth]
 * @returns {any}
 * @throws {LimenError} InvalidValue, with the path
 */
export function tag(value, path = "$", depth = 0) {
  switch (typeof value) {
    case "string":
      return wellFormed(value, path);
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) ? value : { $float: Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf" };
    case "bigint":
      return value > SAFE || value < -SAFE ? { $int: String(value) } : Number(value);
    case "undefined":
      return null;
    case "object":
      return value === null ? null : tagObject(value, path, depth);
    default:
      return refuse(path, `A ${typeof value} cannot travel.`);
  }
}

/** @param {object} value @param {string} path @param {number} depth @returns {any} */
function tagObject(value, path, depth) {
  if (Array.isArray(value))
    return Object.isFrozen(value) ? { $tuple: list(value, path, depth + 1) } : list(value, path, depth);
  const own = /** @type {any} */ (value)[TRAVELS];
  if (own) return own;
  if (value instanceof Date) return { $datetime: isoText(value, path) };
  if (value instanceof Set) return { [Object.isFrozen(value) ? "$frozenset" : "$set"]: list(value, path, depth + 1) };
  if (value instanceof Map) return { $dict: list(value, path, depth + 1) };
  if (ArrayBuffer.isView(value))
    return { $bytes: base64(new Uint8Array(value.buffer, value.byteOffset, value.byteLength)) };
  if (value instanceof ArrayBuffer) return { $bytes: base64(new Uint8Array(value)) };
  if (value instanceof LimenError)
    return { $error: dict({ exc: value.exc, err: value.err, ...value.facts }, path, depth + 1) };
  if (typeof (/** @type {any} */ (value).toJSON) === "function") {
    if (depth >= MAX_DEPTH) tooDeep(path);
    return tag(/** @type {any} */ (value).toJSON(), path, depth + 1);
  }
  if (!isPlain(value)) return refuse(path, `A ${value.constructor?.name || "nameless class"} cannot travel.`);
  const tree = dict(value, path, depth);
  const keys = Object.keys(tree);
  return keys.length === 1 && keys[0]?.startsWith("$") ? { ["$" + keys[0]]: tree[keys[0]] } : tree;
}

/** @param {string} path @returns {never} */
const tooDeep = (path) => refuse(path, `Values nest at most ${MAX_DEPTH} deep.`);

/** @param {Iterable<unknown>} items @param {string} path @param {number} depth @returns {any[]} */
function list(items, path, depth) {
  if (depth >= MAX_DEPTH) tooDeep(path);
  return Array.from(items, (item, i) => tag(item, `${path}[${i}]`, depth + 1));
}

/** @param {object} value @param {string} path @param {number} depth @returns {Record<string, any>} */
function dict(value, path, depth) {
  if (depth >= MAX_DEPTH) tooDeep(path);
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(
    entries.map(([key, item]) => [wellFormed(key, path), tag(item, below(path, key), depth + 1)]),
  );
}

/** @param {Date} date @param {string} path */
function isoText(date, path) {
  const time = date.getTime();
  // the years that Python's datetime knows, 1 to 9999
  return time >= -62135596800000 && time < 253402300800000
    ? date.toISOString()
    : refuse(path, "A Date outside the years 1 to 9999 cannot travel.");
}

/**
 * What `untag(tag(value))` gives, of a value that can travel: a copy, as who is far away would get it.
 * @param {any} value
 * @returns {any}
 */
export function copied(value) {
  if (value === undefined) return null;
  if (typeof value === "bigint") return value > SAFE || value < -SAFE ? value : Number(value);
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return like(value, value.map(copied));
  if (value instanceof Set) return like(value, new Set([...value].map(copied)));
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [copied(key), copied(item)]));
  if (value instanceof Date) return new Date(value);
  if (value instanceof ArrayBuffer) return new Uint8Array(value.slice(0));
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength).slice();
  if (value[TRAVELS] || value instanceof LimenError) return value;
  if (typeof value.toJSON === "function") return copied(value.toJSON());
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(entries.map(([key, item]) => [key, copied(item)]));
}

/** @template T @param {object} old @param {T} made @returns {T} frozen where the old one is */
const like = (old, made) => (Object.isFrozen(old) ? Object.freeze(made) : made);

/** @param {unknown} condition @param {string} path @param {string} kind */
function must(condition, path, kind) {
  if (!condition) refuse(path, `This is no ${kind}.`);
}

/** @param {unknown} inner @param {string} path @param {string} kind @param {RegExp} form @returns {string} */
function texts(inner, path, kind, form) {
  must(typeof inner === "string" && form.test(inner), path, kind);
  return /** @type {string} */ (inner);
}

/** @param {Kind} kind @returns {(inner: unknown, path: string) => Tagged} */
const tagged = (kind) => (inner, path) => {
  must(admits(kind, inner), path, `$${kind}`);
  return new Tagged(kind, /** @type {string} */ (inner));
};

/** What Python can hold in a set. @param {any} value @returns {boolean} */
function hashable(value) {
  if (value === null || typeof value !== "object") return true;
  if (Array.isArray(value)) return Object.isFrozen(value) && value.every(hashable);
  return value instanceof Set ? Object.isFrozen(value) : !(isPlain(value) || value instanceof Map);
}

/**
 * @template {Set<any> | Map<any, any>} T
 * @param {string} kind
 * @param {unknown} inner
 * @param {string} path
 * @param {(items: any[]) => T} make
 */
function distinct(kind, inner, path, make) {
  must(Array.isArray(inner), path, kind);
  const value = make(/** @type {any[]} */ (inner));
  must(value.size === /** @type {any[]} */ (inner).length && [...value.keys()].every(hashable), path, kind);
  return value;
}

const FILE_ID = /^[0-9a-f]{32}$/;

/** Reads what stands under each tag; a bundle that reads none is without it. @type {Record<string, (inner: any, path: string) => unknown>} */
const READERS = {
  $decimal: /* @__PURE__ */ tagged("decimal"),
  $date: /* @__PURE__ */ tagged("date"),
  $time: /* @__PURE__ */ tagged("time"),
  $timedelta: /* @__PURE__ */ tagged("timedelta"),
  $datetime: (inner, path) => {
    const value = tagged("datetime")(inner, path);
    // a Date holds milliseconds in UTC: only a text that it gives back whole becomes one
    return /T\d\d:\d\d:\d\d(\.\d{3}(000)?)?(Z|\+00:00)$/.test(value.text) ? new Date(value.text) : value;
  },
  $uuid: (inner, path) => texts(inner, path, "$uuid", /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
  $int: (inner, path) => BigInt(texts(inner, path, "$int", /^-?\d{1,4300}$/)),
  $float: (inner, path) =>
    ({ nan: NaN, inf: Infinity, "-inf": -Infinity })[texts(inner, path, "$float", /^(nan|-?inf)$/)],
  $bytes: (inner, path) => {
    try {
      return unbase64(texts(inner, path, "$bytes", /^[A-Za-z0-9+/]*={0,2}$/));
    } catch {
      return refuse(path, "This is no $bytes.");
    }
  },
  $tuple: (inner, path) => {
    must(Array.isArray(inner), path, "$tuple");
    return Object.freeze(inner);
  },
  $set: (inner, path) => distinct("$set", inner, path, (items) => new Set(items)),
  $frozenset: (inner, path) => Object.freeze(distinct("$frozenset", inner, path, (items) => new Set(items))),
  $dict: (inner, path) => {
    must(
      Array.isArray(inner) &&
        inner.every((pair) => Array.isArray(pair) && pair.length === 2 && !(pair[0] instanceof Uint8Array)),
      path,
      "$dict",
    );
    return distinct("$dict", inner, path, (pairs) => new Map(pairs));
  },
  $upload: (inner, path) => new Sent(texts(inner, path, "$upload", FILE_ID)),
  $file: (inner, path) => {
    const { id, filename, content_type: type, size, ...rest } = inner ?? {};
    const fits = FILE_ID.test(id) && [filename, type].every((text) => typeof text === "string") && size >= 0;
    must(fits && Number.isSafeInteger(size) && !Object.keys(rest).length, path, "$file");
    return new LimenFile(inner);
  },
  $error: (inner, path) => {
    must(inner !== null && typeof inner === "object" && !Array.isArray(inner), path, "$error");
    return fromWire("", inner);
  },
};

/**
 * The value that a tagged tree stands for. The tree is used up: it may become part of the value.
 * @param {any} tree
 * @param {string} [path]
 * @param {number} [depth]
 * @returns {any}
 * @throws {LimenError} InvalidValue for an unknown or malformed tag, with the path
 */
export function untag(tree, path = "$", depth = 0) {
  if (tree === null || typeof tree !== "object") return tree;
  if (depth >= MAX_DEPTH) return tooDeep(path);
  if (Array.isArray(tree)) {
    for (let i = 0; i < tree.length; i++) {
      if (typeof tree[i] === "object") tree[i] = untag(tree[i], `${path}[${i}]`, depth + 1);
    }
    return tree;
  }
  const keys = Object.keys(tree);
  const only = keys.length === 1 ? keys[0] : undefined;
  if (only?.startsWith("$$")) return { [only.slice(1)]: untag(tree[only], below(path, only.slice(1)), depth + 1) };
  if (only?.startsWith("$")) {
    const read = Object.hasOwn(READERS, only) ? READERS[only] : undefined;
    if (!read) return refuse(path, `There is no tag '${only.slice(0, 32)}'.`);
    const inner = tree[only];
    // an error's own dict is no tag, even if it has one key
    return read(only === "$error" ? fields(inner, path, depth + 1) : untag(inner, path, depth + 1), path);
  }
  return fields(tree, path, depth);
}

/** @param {any} tree @param {string} path @param {number} depth */
function fields(tree, path, depth) {
  if (tree === null || typeof tree !== "object" || Array.isArray(tree)) return tree;
  for (const key of Object.keys(tree)) {
    if (typeof tree[key] === "object") tree[key] = untag(tree[key], below(path, key), depth + 1);
  }
  return tree;
}
