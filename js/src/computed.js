/**
 * Computed: signals-core's, with two things besides: a circle is told by its names, and no chain is too deep.
 *
 * signals-core goes from one computed value to the next by calling, so that a chain of some thousands overflows the stack,
 * in each of four ways: bringing it up to date, marking it, watching it and letting it go. Here each way turns back at
 * DEEPEST, and the outermost call goes on from there:
 *
 * - Marking, watching and letting go wait in a list: they all come about before the outermost call returns.
 * - Bringing up to date is given up, and begun again from the bottom. A function that had been called by then is called
 *   again; what it had found is forgotten, as if it had not been called.
 *
 * `_notify`, `_subscribe`, … are signals-core's own words for it. Its releases shorten them by a table that its other
 * packages rely on (mangle.json): NAMES has them.
 *
 * @module
 */
import { Computed as Bare } from "@preact/signals-core";

/** Functions of computed values, and steps of the other ways, that stand on the stack at once. */
const DEEPEST = 100;
const CIRCLE = "Cycle detected"; // signals-core's words; it has no class for it

/** @type {any} */
const bare = Bare.prototype;
const { h: refresh, N: notify, S: subscribe, U: unsubscribe } = bare;
const valueOf = /** @type {() => any} */ (Object.getOwnPropertyDescriptor(bare, "value")?.get);
const RUNNING = 1;
const OUTDATED = 4;
const HAS_ERROR = 16;

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

/** How many stand on the stack. */
let depth = 0;
/** Too deep: to be brought up to date first. @type {any} */
let deeper = null;
/** A function was told of `deeper` in the place of a value. */
let spoiled = false;
/** Those that are too deep lead to each other: nobody has a value. @type {Cycle | null} */
let circle = null;
/** Who was to be told so. @type {unknown} */
let stuck;
/** Those that wait for what is deeper, outermost first. @type {Set<unknown> | null} */
let waiting = null;
/** Those that were brought up to date first, while a stack begins again. @type {Set<unknown> | null} */
let settled = null;

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
  }

  /** @returns {T} @override */
  get value() {
    if (deeper !== null) giveUp();
    let value;
    try {
      value = valueOf.call(this);
    } catch (error) {
      if (deeper !== null) giveUp();
      const told = named(error, []);
      throw told instanceof Cycle ? told.passed(this) : told;
    }
    if (deeper !== null) giveUp();
    if (circle !== null) told(this);
    return value;
  }

  /** Brings it up to date; false where it is being computed. */
  h() {
    if ((depth >= DEEPEST || deeper !== null || waiting !== null) && isTooDeep(this)) return true;
    depth++;
    const done = refresh.call(this);
    depth--;
    if (deeper !== null) back(this);
    return done && circle === null;
  }

  N() {
    if (steps >= DEEPEST) return void later.push([notify, this, undefined]);
    steps++;
    notify.call(this);
    if (--steps === 0 && later.length) goOn();
  }

  /** @param {unknown} node */
  S(node) {
    step(subscribe, this, node);
  }

  /** @param {unknown} node */
  U(node) {
    step(unsubscribe, this, node);
  }
}

/** @param {Computed<any>} node */
function told(node) {
  const error = circle;
  circle = null;
  if (stuck === node) throw error;
}

/** @returns {never} */
function giveUp() {
  spoiled = true;
  throw deeper;
}

/**
 * Whether *node* must wait until its stack begins again from below; whoever asks for it is given up, too.
 * @param {any} node
 */
function isTooDeep(node) {
  if (deeper !== null) return true;
  if (node.f & RUNNING || settled?.has(node) || (depth < DEEPEST && !waiting?.has(node))) return false;
  deeper = node;
  return true;
}

/** *node* was given up: it is stale as before. @param {any} node */
function back(node) {
  node.f |= OUTDATED;
  node.g = -1;
  if (spoiled) {
    spoiled = false;
    node.f &= ~HAS_ERROR;
    node.v = NONE; // not what its function made of that
    node.i--;
    if (node.s) node.s.i = -1; // one of them is another: so it will run
  }
  if (depth === 0) fromBelow(node);
}
const NONE = Symbol("none");

/** Brings up to date what was too deep, and what was deeper, and then *node*. @param {Computed<any>} node */
function fromBelow(node) {
  const todo = new Set([/** @type {any} */ (node)]);
  waiting = todo;
  settled = new Set();
  while (todo.size) {
    if (deeper !== null && todo.has(deeper)) {
      stuck = node;
      circle = new Cycle([...todo, deeper].map(({ name }) => name));
      break;
    }
    if (deeper !== null) todo.add(deeper);
    deeper = null;
    const top = [...todo].at(-1);
    depth = 1;
    todo.delete(top); // while it runs it is no circle to ask for it
    top.h();
    if (deeper !== null) todo.add(top);
    else settled.add(top);
  }
  depth = 0;
  deeper = settled = waiting = null;
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
