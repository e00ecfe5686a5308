/**
 * Computed: signals-core's, with two things besides: a circle is told by its names, and no chain is too deep.
 *
 * signals-core goes from one computed value to the next by calling, so that a chain of some thousands overflows the stack,
 * in each of four ways: bringing it up to date (`h`), marking it (`N`), watching it (`S`) and letting it go (`U`).
 *
 * A computed value that is watched has a *height*: one more than the tallest that it reads, or above that. Those below
 * TALL go signals-core's own ways: the heights along them fall, so they end. The others go carefully. These are those that
 * nobody watches, of which nobody tells when they read another; those that are about to be brought up to date for a reader
 * that is new; and those of TALL or more. Careful ways count how deep they are, turn back at DEEPEST, and the outermost
 * call goes on from there:
 *
 * - Marking, watching and letting go wait in a list: they all come about before the outermost call returns.
 * - Bringing up to date is given up, and begun again from the bottom. A function that had been called by then is called
 *   again; what it had found is forgotten, as if it had not been called. Whoever asks meanwhile is told GIVEN_UP.
 *
 * Heights are learnt where links are made, and in no change: a reader that is new subscribes (`S`), and who went carefully
 * is measured then. Who grows, raises those above. `untracked` makes no links, so all is careful in it.
 *
 * The letters are signals-core's own words (`_refresh`, `_notify`, `_subscribe`, `_unsubscribe`, …), which its releases
 * shorten by a table that its other packages rely on (mangle.json).
 *
 * @module
 */
import { Computed as Bare, Signal, untracked as bareUntracked } from "@preact/signals-core";

/** Those that go carefully, and steps of the other ways, that stand on the stack at once. */
const DEEPEST = 100;
/** Who is as tall, or of unknown height, goes carefully. */
const TALL = 200;
/** To be brought up to date for a new reader that did not go carefully itself: up to TALL may stand between the two. */
const RELINKED = TALL + 1;
const RELINKED_COUNTS = 20;
const CIRCLE = "Cycle detected"; // signals-core's words; it has no class for it

/** @type {any} */
const bare = Bare.prototype;
const { h: refresh, N: notify, S: subscribe, U: unsubscribe } = bare;
const valueOf = /** @type {() => any} */ (Object.getOwnPropertyDescriptor(bare, "value")?.get);
const RUNNING = 1;
const OUTDATED = 4;
const HAS_ERROR = 16;
const TRACKING = 32;

/** What is read depends on itself; `names` is the way round. */
export class Cycle extends Error {
  /** @type {Set<unknown>} */ #way = new Set();
  #closed = false;

  /** @param {string[]} names */
  constructor(names) {
    super(`${names.join(" → ")}${GOES}`);
    this.name = "Cycle";
    this.names = names;
    this.#closed = names.length > 0;
  }

  /** On the way from the one that closed the circle back to it. @param {Computed<any>} node */
  passed(node) {
    if (this.#closed) return this;
    if (this.#way.has(node)) {
      this.#closed = true;
      this.names.push(node.name ?? "");
      this.names.reverse();
      this.message = `${this.names.join(" → ")}${GOES}`;
    } else {
      this.#way.add(node);
      this.names.push(node.name ?? "");
    }
    return this;
  }
}

const GOES = " go in a circle: one of them must not read or set what the others do.";

/** signals-core's error about a circle as one with names. @param {unknown} error @param {string[]} names */
export const named = (error, names) => (error instanceof Error && error.message === CIRCLE ? new Cycle(names) : error);

/** What is under way; an object, because an engine reads its fields faster than a module's variables. */
const now = {
  /** Heights from here on go carefully. */
  limit: TALL,
  /** How many that go carefully stand on the stack. */
  depth: 0,
  /** Too deep: to be brought up to date first. @type {any} */
  deeper: null,
  /** A function was told GIVEN_UP in the place of a value. */
  spoiled: false,
  /** Those that wait for what is deeper, outermost first. @type {Set<unknown> | null} */
  waiting: null,
  /** Those that were brought up to date first, while a stack begins again. @type {Set<unknown> | null} */
  settled: null,
};
/** What is thrown to who reads while a stack is given up. */
const GIVEN_UP = Symbol("given up");
/** The error of one that is given up: nobody may take its last value for its value. */
const LEFT = Symbol("left");
/** What its function returned counts for nothing. */
const NONE = Symbol("none");
/**
 * The last value of those that are LEFT, and HAS_ERROR if it is an error.
 * @type {WeakMap<any, [value: unknown, error: number]>}
 */
const kept = new WeakMap();

/**
 * What *compute* returns, which reads other values and changes nothing. It is called when somebody reads, and only if
 * what it read the last time is another now.
 * @template T
 * @extends {Bare<T>}
 */
export class Computed extends Bare {
  /** @param {() => T} compute @param {{ name?: string }} [options] name: how errors call it */
  constructor(compute, options = {}) {
    super(compute, { name: options.name || compute.name || "Computed" });
    /** @internal */
    this.height = TALL;
  }

  /** @returns {T} @override */
  get value() {
    try {
      return valueOf.call(this);
    } catch (error) {
      throw told(this, error);
    }
  }

  /** The value, without following it. @returns {T} @override */
  peek() {
    return untracked(() => this.value);
  }

  /** Brings it up to date; false where it is being computed. */
  h() {
    if (this.height >= now.limit) return carefully(this);
    const done = refresh.call(this);
    if (now.deeper !== null && done) back(this);
    return done;
  }

  N() {
    if (this.height >= TALL) step(notify, this, undefined);
    else notify.call(this);
  }

  /** @param {unknown} link */
  S(link) {
    step(watched, this, link);
  }

  /** @param {unknown} link */
  U(link) {
    step(unwatched, this, link);
  }
}

/** What *run* returns; what it reads is not followed. @template T @param {() => T} run @returns {T} */
export function untracked(run) {
  const { limit } = now;
  now.limit = 0;
  try {
    return bareUntracked(run);
  } finally {
    now.limit = limit;
  }
}

/** What a reader of *node* is told in the place of *error*. @param {Computed<any>} node @param {unknown} error */
function told(node, error) {
  if (now.deeper !== null) {
    now.spoiled = true;
    return GIVEN_UP;
  }
  const known = named(error, []);
  return known instanceof Cycle ? known.passed(node) : known;
}

/** Brings *node* up to date, or gives it up. @param {any} node @returns {boolean} */
function carefully(node) {
  if (node.v === LEFT) takeUp(node);
  if ((now.depth >= DEEPEST || now.deeper !== null || now.waiting !== null) && isTooDeep(node)) {
    leave(node);
    return true;
  }
  const outdated = node.f & OUTDATED;
  const counts = node.height === RELINKED ? RELINKED_COUNTS : 1;
  now.depth += counts;
  const done = refresh.call(node);
  now.depth -= counts;
  if (done && now.deeper !== null) back(node);
  else if (done && outdated && node.height >= TALL) measure(node);
  return done;
}

/**
 * Whether *node* must wait until its stack begins again from below; whoever asks for it is given up, too.
 * @param {any} node
 */
function isTooDeep(node) {
  const { deeper, settled, depth, waiting } = now;
  if (deeper !== null) return true;
  if (node.f & RUNNING || settled?.has(node) || (depth < DEEPEST && !waiting?.has(node))) return false;
  now.deeper = node;
  return true;
}

/** *node* was given up: it is stale as before. @param {any} node */
function back(node) {
  node.f |= OUTDATED;
  node.g = -1;
  if (now.spoiled) {
    now.spoiled = false;
    node.f &= ~HAS_ERROR;
    node.v = NONE;
    runAgain(node);
  }
  leave(node);
  if (now.depth === 0) fromBelow(node);
}

/** Nobody is given its value until it is brought up to date. @param {any} node */
function leave(node) {
  if (node.f & RUNNING || node.v === LEFT) return;
  kept.set(node, [node.v, node.f & HAS_ERROR]);
  node.v = LEFT;
  node.f |= HAS_ERROR;
  node.height = TALL;
}

/** @param {any} node */
function takeUp(node) {
  const [value, error] = /** @type {[unknown, number]} */ (kept.get(node));
  kept.delete(node);
  node.v = value;
  node.f = (node.f & ~HAS_ERROR) | error;
}

/** Its function will be called, whatever has become of what it read. @param {any} node */
function runAgain(node) {
  node.s ??= { i: -1, S: nothing, t: node, p: undefined, n: undefined, e: undefined, x: undefined, r: undefined };
  node.s.i = -1;
}
const nothing = new Signal();

/** Brings up to date what was too deep, and what was deeper, and then *node*. @param {any} node */
function fromBelow(node) {
  const todo = new Set([node]);
  const settled = new Set();
  now.waiting = todo;
  now.settled = settled;
  while (todo.size) {
    const { deeper } = now;
    if (deeper !== null && todo.has(deeper)) {
      kept.delete(node);
      node.v = new Cycle([...todo, deeper].map(({ name }) => name));
      node.f |= HAS_ERROR;
      node.i++;
      runAgain(node);
      break;
    }
    if (deeper !== null) todo.add(deeper);
    now.deeper = null;
    const top = [...todo].at(-1);
    now.depth = 1;
    todo.delete(top); // while it runs it is no circle to ask for it
    top.h();
    if (now.deeper !== null) todo.add(top);
    else settled.add(top);
  }
  now.depth = 0;
  now.deeper = now.settled = now.waiting = null;
}

/** Learns how tall *node* is. @param {any} node */
function measure(node) {
  let below = node.f & TRACKING ? 0 : TALL;
  for (let link = node.s; link !== undefined; link = link.n) if (link.S.height > below) below = link.S.height;
  node.height = Math.min(below + 1, TALL);
  for (let link = node.t; link !== undefined; link = link.x) raise(link.t, node.height + 1);
}

/**
 * *node*, unless it is an effect, has at least *height*, and those above it accordingly.
 * @param {any} node @param {number} height
 */
function raise(node, height) {
  const todo = [[node, height]];
  for (let next = todo.pop(); next; next = todo.pop()) {
    const [each] = next;
    const least = Math.min(next[1], TALL);
    if (!(each.height < least)) continue;
    each.height = least;
    for (let link = each.t; link !== undefined; link = link.x) todo.push([link.t, least + 1]);
  }
}

/** @this {any} @param {any} link */
function watched(link) {
  subscribe.call(this, link);
  const { t: reader } = link;
  if (this.f & OUTDATED) this.height = reader.height < TALL ? RELINKED : TALL;
  else raise(reader, this.height + 1);
}

/** @this {any} @param {any} link */
function unwatched(link) {
  unsubscribe.call(this, link);
  if (this.t === undefined) this.height = TALL;
}

let steps = 0;
/** @type {[work: Function, node: any, link: any][]} */
const later = [];

/** @param {Function} work @param {any} node @param {any} link */
function step(work, node, link) {
  if (steps >= DEEPEST) {
    later.push([work, node, link]);
    return;
  }
  steps++;
  work.call(node, link);
  if (--steps === 0 && later.length) goOn();
}

function goOn() {
  for (let next = later.pop(); next; next = later.pop()) {
    steps = 1;
    next[0].call(next[1], next[2]);
    steps = 0;
  }
}
