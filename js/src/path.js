/**
 * Path: where something stands in the one tree, and what it counts its own addresses from; as Python's
 * `limen.base.path`, vectors/paths.json decides.
 *
 *     const first = new Path("test").add("first");   // JavaScript has no + of one's own
 *     first.resolve("@third");                       // test.third: counted from the base, `test`
 *     first.resolve("#view", (role, path) => …);     // by its role
 *
 * @module
 */
import { LimenError } from "./exc.js";

/** Characters of an address. */
export const MAX_PATH = 1024;

const MARKS = { "/": "a slash", "\\": "a backslash", "?": "a question mark", "#": "a number sign" };
const LONE_SURROGATE = /\p{Cs}/u;

/**
 * Says where a role stands, seen from a path; null: ask the next one.
 * @typedef {(role: string, path: Path) => Path | string | null | undefined} Resolver
 */
/** @typedef {Path | string | readonly string[]} Address */

/** The one path of an address and a base; a path that nobody holds any more goes. @type {Map<string, WeakRef<Path>>} */
const PATHS = new Map();
const GONE = new FinalizationRegistry((/** @type {string} */ key) => {
  if (!PATHS.get(key)?.deref()) PATHS.delete(key);
});

/** Lets the constructor know that the parts are valid. */
const VALID = Symbol("valid");

/** An address: immutable, and the same address with the same base is the same object. */
export class Path {
  /** The names from the root. @readonly @type {readonly string[]} */
  parts = [];
  /** How many of the parts are the base's. */
  #depth = 0;

  /**
   * *base*: what `@…` is counted from; without one the path is its own base. A *path* that begins with the base is
   * whole already; any other is put below it, as is `@…`.
   * @param {Address} path dotted, its parts one by one, or another path
   * @param {Address | null} [base]
   * @param {{ [VALID]?: number }} [made] how the module makes one itself
   * @throws {LimenError} InvalidAddress, which says which part and why
   */
  constructor(path, base = null, made = {}) {
    const depth = made[VALID];
    if (depth === undefined) return placed(path, base);
    this.parts = Object.freeze([.../** @type {string[]} */ (path)]);
    this.#depth = depth;
    Object.freeze(this);
  }

  /** What `@…` is counted from. @returns {Path} */
  get base() {
    return this.#depth === this.parts.length ? this : interned(this.parts.slice(0, this.#depth), this.#depth);
  }

  /** The same place as its own base. @returns {Path} */
  get absolute() {
    return interned(this.parts, this.parts.length);
  }

  /** The last part. */
  get name() {
    return /** @type {string} */ (this.parts.at(-1));
  }

  /** The path above, with the same base as long as it is not above that; null at the root. @returns {Path | null} */
  get parent() {
    const above = this.parts.slice(0, -1);
    return above.length ? interned(above, Math.min(this.#depth, above.length)) : null;
  }

  get length() {
    return this.parts.length;
  }

  /** The part at *index*; from the end where it is negative. @param {number} index */
  at(index) {
    return this.parts.at(index);
  }

  [Symbol.iterator]() {
    return this.parts[Symbol.iterator]();
  }

  /** The path *more* below this one; the base stays. @param {Address} more */
  add(more) {
    if (more instanceof Path) return interned([...this.parts, ...more.parts], this.#depth);
    const { text, parts } = read(more);
    if (/^[@#]/.test(parts[0] ?? "")) refuse(text, "it does not say what is below; resolve() it.");
    return interned([...this.parts, ...checked(parts, text)], this.#depth);
  }

  /**
   * Where *address* leads, seen from here. The base stays while the place is below it. The resolvers are asked for the
   * role of `#role` or `#role.name` in turn; the first answer wins.
   * @param {Address} address
   * @param {Resolver[]} resolvers
   * @returns {Path}
   * @throws {LimenError} InvalidAddress, also where nobody knows the role
   */
  resolve(address, ...resolvers) {
    if (address instanceof Path) return address;
    const { text, parts } = read(address);
    const stem = this.parts.slice(0, this.#depth);
    const mark = parts[0]?.[0];
    if (mark === "@") return interned([...stem, ...fromBase(parts, text)], this.#depth);
    if (mark === "#") return this.#byRole(parts, text, resolvers);
    return interned(checked(parts, text), startsWith(parts, stem) ? this.#depth : parts.length);
  }

  /** @param {string[]} parts @param {string} text @param {Resolver[]} resolvers @returns {Path} */
  #byRole(parts, text, resolvers) {
    const role = /** @type {string} */ (parts[0]).slice(1);
    const rest = checked(parts.slice(1), text, 2);
    checked([role], text);
    for (const resolver of resolvers) {
      const answer = resolver(role, this);
      if (answer === null || answer === undefined) continue;
      // An answer that is a role again finds no resolvers: roles do not lead to each other in a circle.
      const found = this.resolve(answer);
      return interned([...found.parts, ...rest], found.#depth);
    }
    return refuse(text, `nobody here knows the role "${role}".`);
  }

  /** Whether both are one place, whatever they count from. @param {unknown} other */
  equals(other) {
    return other instanceof Path && String(other) === String(this);
  }

  toString() {
    return this.parts.join(".");
  }

  toJSON() {
    return String(this);
  }
}

/** @param {Address} path @param {Address | null} base @returns {Path} */
function placed(path, base) {
  if (base === null) {
    if (path instanceof Path) return path;
    const { text, parts } = read(path);
    if (parts[0]?.startsWith("@")) refuse(text, `${quoted(parts[0])} is counted from a base, and there is none.`);
    return interned(checked(parts, text), parts.length);
  }
  const stem = placed(base, null).parts;
  if (path instanceof Path) return below(path.parts, stem);
  const { text, parts } = read(path);
  if (parts[0]?.startsWith("@")) return interned([...stem, ...fromBase(parts, text)], stem.length);
  return below(checked(parts, text), stem);
}

/** @param {readonly string[]} parts @param {readonly string[]} stem */
const below = (parts, stem) => interned(startsWith(parts, stem) ? parts : [...stem, ...parts], stem.length);

/** @param {readonly string[]} parts @param {readonly string[]} stem */
const startsWith = (parts, stem) => stem.every((part, index) => parts[index] === part);

/** @param {readonly string[]} parts valid ones @param {number} depth how many of them are the base's @returns {Path} */
function interned(parts, depth) {
  const key = `${depth} ${parts.join(".")}`;
  const found = PATHS.get(key)?.deref();
  if (found) return found;
  const text = parts.join(".");
  if (text.length > MAX_PATH && [...text].length > MAX_PATH) refuse(text, `it is longer than ${MAX_PATH} characters.`);
  const made = new Path(parts, null, { [VALID]: depth });
  PATHS.set(key, new WeakRef(made));
  GONE.register(made, key);
  return made;
}

/** An address as it is spelt, and its parts, not looked at yet. @param {string | readonly string[]} address */
function read(address) {
  const parts = typeof address === "string" ? address.split(".") : [...address].map(String);
  const text = parts.join(".");
  if (!text) throw new LimenError("InvalidAddress", ["An address has at least one part; this one is empty."]);
  return { text, parts };
}

/** What comes after the base in `@…`; nothing for `@` alone. @param {string[]} parts @param {string} text */
function fromBase([first = "", ...rest], text) {
  return first === "@" && !rest.length ? [] : checked([first.slice(1), ...rest], text);
}

/** *parts*, if each can be a part. @param {string[]} parts @param {string} text @param {number} [first] */
function checked(parts, text, first = 1) {
  parts.forEach((part, index) => {
    const why = whyNot(part);
    if (why) throw new LimenError("InvalidAddress", [`Part ${index + first} of ${quoted(text)} ${why}.`]);
  });
  return parts;
}

/** Why *part* cannot be a part of an address; nothing if it can. @param {string} part */
function whyNot(part) {
  if (!part) return "is empty";
  if (part[0] === "@") return 'begins with "@", which counts from the base and stands at the beginning alone';
  for (const [mark, words] of Object.entries(MARKS)) if (part.includes(mark)) return `holds ${words}`;
  if (part.includes(".")) return "holds a dot";
  for (const character of part) {
    if (/[\p{Z}\ufeff]/u.test(character)) return "holds a space";
    if (/\p{Cc}/u.test(character)) return "holds a control character";
    if (LONE_SURROGATE.test(character)) return "holds half a character (a lone surrogate)";
  }
  return "";
}

/** @param {string} text */
function quoted(text) {
  const characters = [...text].map((character) => (LONE_SURROGATE.test(character) ? "\ufffd" : character));
  return JSON.stringify(characters.length <= 80 ? characters.join("") : characters.slice(0, 80).join("") + "…");
}

/** @param {string} text @param {string} why @returns {never} */
function refuse(text, why) {
  throw new LimenError("InvalidAddress", [`${quoted(text)} is no address: ${why}`]);
}
