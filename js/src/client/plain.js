/**
 * Values on their way to plain WAMP peers: what JSON says naturally (docs/values.md, "plain peer gets"), as Python's
 * `limen.base.values.natural`.
 *
 *     natural(new Set([1]))            → [1]
 *     natural(new Uint8Array([104]))   → "\0aA=="       read("\0aA==") → Uint8Array [104]
 *
 * @module
 */
import { unbase64 } from "../bytes.js";
import { LimenError } from "../exc.js";
import { tag } from "../values.js";

/** @param {string} path @param {string} why @returns {never} */
const refuse = (path, why) => {
  throw new LimenError("InvalidValue", [`${why} At: ${path}`], { path });
};

/**
 * @param {unknown} value
 * @param {string} [path]
 * @returns {any}
 * @throws {LimenError} InvalidValue, with the path
 */
export const natural = (value, path = "$") => plain(tag(value, path, 1), path);

/** @param {any} tree as `tag` gives it @param {string} path @returns {any} */
function plain(tree, path) {
  if (typeof tree === "string")
    return tree[0] === "\0" ? refuse(path, "A text that begins with U+0000 means bytes in JSON.") : tree;
  if (tree === null || typeof tree !== "object") return tree;
  if (Array.isArray(tree)) return tree.map((item, i) => plain(item, `${path}[${i}]`));
  const entries = Object.entries(tree);
  const [kind = "", inner] = entries.length === 1 ? (entries[0] ?? []) : [];
  if (kind[0] === "$") return untagged(kind, inner, path);
  return Object.fromEntries(entries.map(([key, item]) => [key, plain(item, `${path}.${key}`)]));
}

/** @param {string} kind @param {any} inner @param {string} path @returns {any} */
function untagged(kind, inner, path) {
  if (kind.startsWith("$$")) return { [kind.slice(1)]: plain(inner, path) };
  switch (kind) {
    case "$bytes":
      return "\0" + inner;
    case "$dict":
      return Object.fromEntries(
        inner.map((/** @type {[any, any]} */ [key, item]) => [keyText(key, path), plain(item, `${path}[${key}]`)]),
      );
    case "$int":
    case "$float":
      return refuse(path, `${inner} has no number in JSON.`);
    case "$upload":
    case "$file":
      return refuse(path, "A file travels in sealed sessions only.");
    default:
      return plain(inner, path);
  }
}

/** @param {unknown} key @param {string} path */
const keyText = (key, path) =>
  typeof key === "string" || typeof key === "number" ? String(key) : refuse(path, "A key is a text or a number.");

/** A value as it came. @type {import("../payload.js").Read} */
export function read(value) {
  if (typeof value === "string") return value[0] === "\0" ? bytesOf(value) : value;
  if (Array.isArray(value)) return value.map((item) => read(item));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, read(item)]));
}

/** @param {string} text */
function bytesOf(text) {
  try {
    return unbase64(text.slice(1));
  } catch {
    throw new LimenError("InvalidValue", ["A text begins with U+0000 and is no base64."]);
  }
}
