/**
 * Nodes, proxies and paths as arguments and results: on the wire they are their address.
 *
 *     a node, a proxy     {"$path": "test.third", "$base": "test"}      whoever gets it has a proxy
 *     a path              {"$path": "test.third", "$as": "path"}        … has the path
 *
 * `$base` is left out where the path is its own base. Any other WAMP client sees an object, and can make one.
 *
 * @module
 */
import { LimenError } from "../exc.js";
import { Path } from "../path.js";
import { copied, isPlain, tag } from "../values.js";
import { ADDRESS, proxyOf } from "./proxy.js";

/** @typedef {import("./node.js").Node} Node */
/** @typedef {Record<string, unknown>} Named */

const MOST_DEPTH = 64;
/** Who gets a proxy calls it as itself: nobody shall have a program call `wamp.session.kill_all` for them. */
const NO_NODES = ["wamp", "limen"];
const KEYS = new Set(["$path", "$base", "$as"]);

/** @type {Named} */
const NONE = Object.freeze({});

/** Whether nothing can be in it, and it arrives as it is. @param {unknown} value */
function isLeaf(value) {
  switch (typeof value) {
    case "boolean":
      return true;
    case "number":
      return Number.isFinite(value);
    case "string":
      return value.length < 256 && !SURROGATE.test(value);
    default:
      return value === null;
  }
}
const SURROGATE = /[\ud800-\udfff]/;

/** *value* with addresses in the place of nodes, proxies and paths. @param {unknown} value @returns {any} */
export const outgoing = (value) => out(value, 0);

/**
 * What came, with proxies (of *node*) and paths in the place of addresses.
 * @param {unknown} value
 * @param {Node} node
 * @returns {any}
 */
export const incoming = (value, node) => back(value, node, 0);

/** @param {unknown} value @param {number} depth @returns {any} */
function out(value, depth) {
  if (value === null || value === undefined || isLeaf(value)) return value;
  if (depth > MOST_DEPTH) tooDeep();
  if (typeof value !== "object" && typeof value !== "function") return checked(value);
  if (value instanceof Path) return { ...address(value), $as: "path" };
  if (ADDRESS in value) return address(/** @type {any} */ (value)[ADDRESS] ?? nowhere(value));
  if (Array.isArray(value)) return like(value, (each) => out(each, depth + 1));
  if (value instanceof Map) return new Map([...value].map(([key, each]) => [key, out(each, depth + 1)]));
  return isPlain(value) ? mapped(value, (each) => out(each, depth + 1)) : checked(value);
}

/** What cannot travel is refused before anything is done with it. @param {unknown} value */
function checked(value) {
  tag(value);
  return value;
}

/** @param {Path} path */
const address = (path) =>
  path.base === path ? { $path: String(path) } : { $path: String(path), $base: String(path.base) };

/** @param {object} node @returns {never} */
function nowhere(node) {
  const name = node.constructor.name;
  throw new LimenError("InvalidValue", [
    `This ${name} is bound nowhere, so it has no address to be passed by; bind it first.`,
  ]);
}

/** @returns {never} */
function tooDeep() {
  throw new LimenError("InvalidValue", [`This is deeper than ${MOST_DEPTH} levels, or contains itself.`]);
}

/** @param {unknown} value @param {Node} node @param {number} depth @returns {any} */
function back(value, node, depth) {
  if (value === null || typeof value !== "object") return value;
  if (depth > MOST_DEPTH) tooDeep();
  if (Array.isArray(value)) return like(value, (each) => back(each, node, depth + 1));
  if (value instanceof Map) return new Map([...value].map(([key, each]) => [key, back(each, node, depth + 1)]));
  if (!isPlain(value)) return value;
  if ("$path" in value && Object.keys(value).every((key) => KEYS.has(key))) {
    const found = new Path(textOf(value, "$path"), "$base" in value ? textOf(value, "$base") : null);
    if (NO_NODES.includes(found.at(0) ?? ""))
      throw new LimenError("InvalidAddress", [`No node stands at ${found}: ${found.at(0)}. is the router's own.`]);
    return /** @type {any} */ (value).$as === "path" ? found : proxyOf(node, found);
  }
  return mapped(value, (each) => back(each, node, depth + 1));
}

/** @param {object} value @param {"$path" | "$base"} key */
function textOf(value, key) {
  const found = /** @type {any} */ (value)[key];
  if (typeof found === "string") return found;
  throw new LimenError("InvalidValue", [
    `${key} of an address must be a text, not ${found === null ? "null" : typeof found}.`,
  ]);
}

/**
 * A list as *list* is, frozen if it is: a tuple stays one.
 * @param {unknown[]} list
 * @param {(each: unknown) => unknown} change
 */
const like = (list, change) => (Object.isFrozen(list) ? Object.freeze(list.map(change)) : list.map(change));

/** @param {object} value @param {(each: unknown) => unknown} change */
const mapped = (value, change) => Object.fromEntries(Object.entries(value).map(([key, each]) => [key, change(each)]));

/**
 * *value* as *node* would get it over the wire: a copy, with proxies in the place of nodes.
 * @param {unknown} value
 * @param {Node} node
 * @throws {LimenError} InvalidValue for what could not travel
 */
export function across(value, node) {
  if (isLeaf(value)) return value;
  const sent = outgoing(value);
  tag(sent); // refuses
  return incoming(copied(sent), node);
}

/**
 * All arguments by *way*: `outgoing`, `incoming`, `across`.
 * @param {(value: unknown, node: Node) => unknown} way
 * @param {unknown[]} args
 * @param {Named | undefined} named
 * @param {Node} node
 * @returns {[args: unknown[], kwargs: Named]}
 */
export function passed(way, args, named, node) {
  const plain = args.map((value) => (isLeaf(value) ? value : way(value, node)));
  for (const _ in named) return [plain, mapped(named, (value) => way(value, node))];
  return [plain, NONE];
}
