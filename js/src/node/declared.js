/**
 * What a class declares: its calls, its signals, its handlers; one table a class, along the class hierarchy; as
 * Python's `limen.node.declared`. JavaScript has no decorators, so each is a static member of the same name as the
 * method:
 *
 *     class Third extends Node {
 *       static on_foo = new Signal();
 *       static on_moved = signal();                     // the method looks at the arguments
 *       on_moved(x, y) {}
 *       static rpc = call();                            // call("name"): as that; call("."): the node itself
 *       async rpc(something) {}
 *       static when_foo = handler("@first.second");     // every signal of that node
 *       when_foo(...args) {}
 *       static both = [call(), handler("on_foo")];
 *       both() {}
 *     }
 *
 * A method that overrides one of those stays what that was: same name for callers, same place in the order. A static
 * member says anew what it is; `static rpc = null` takes it away. A mistake is a TypeError when the first is made.
 *
 * @module
 */
import { Path } from "../path.js";
import { BoundSignal, Signal, signal } from "./signal.js";

/** @typedef {import("./handlers.js").Handler} Handler */
/** @typedef {import("./signal.js").Owner} Owner */
/** @typedef {{ kind: "call" | "handler", what: string | undefined }} Mark */
/**
 * A handler for signals of another node. *address* is that node's: "@first.second", "#view", "@" (the base itself);
 * *signal* the one it wants; null: all.
 * @typedef {{ attribute: string, address: string, signal: string | null }} Listens
 */
/**
 * *calls*: name → method, "." is the node itself. *own*: name of a signal of the class → methods that handle it, in the
 * order it asks for. *elsewhere*: the other handlers, base classes first.
 * @typedef {{ readonly calls: ReadonlyMap<string, string>, readonly signals: ReadonlyMap<string, Signal>,
 *    readonly own: ReadonlyMap<string, readonly string[]>, readonly elsewhere: readonly Listens[] }} Declared
 */

/** `static [OWN] = true`: the class is the framework's; what it has by itself is no name for a call. */
export const OWN = Symbol("limen's own");

const BOUND = Symbol("signals");

class Marked {
  /** @param {"call" | "handler"} kind @param {string | undefined} what */
  constructor(kind, what) {
    this.kind = kind;
    this.what = what;
  }
}

/**
 * The method of the same name can be called from elsewhere; *name*: as what, "." for the node itself.
 * @param {string} [name]
 * @returns {any}
 */
export const call = (name) => new Marked("call", name);

/**
 * The method of the same name handles signals: "on_foo", that of the object itself; "@first.second", every signal of
 * exactly that node; "@first.second.on_foo", that one; "#view.on_foo", by its role.
 * @param {string} address
 * @returns {any}
 */
export const handler = (address) => new Marked("handler", address);

/** What was meant where they stand uncalled. @type {[unknown, string][]} */
const MEANT = [
  [call, "call()"],
  [handler, 'handler("on_foo")'],
  [signal, "signal()"],
  [Signal, "new Signal()"],
];
const UNCALLED = new Map(MEANT);
/** @type {WeakMap<Function, Declared>} */
const KNOWN = new WeakMap();
/** @type {WeakMap<Signal, Handler>} */
const BODIES = new WeakMap();

/**
 * The table of *Class*, made once.
 * @param {Function} Class
 * @returns {Declared}
 * @throws {TypeError} for what is declared wrongly
 */
export function declared(Class) {
  const known = KNOWN.get(Class);
  if (known) return known;
  const made = new Reading(Class).table();
  KNOWN.set(Class, made);
  return made;
}

/**
 * The signal *name* of *owner*, if somebody may listen to it.
 * @param {any} owner
 * @param {string} name
 * @returns {BoundSignal | undefined}
 */
export function listenedTo(owner, name) {
  const made = Object.hasOwn(owner, BOUND) ? owner[BOUND].get(name) : undefined;
  return made ?? (declared(owner.constructor).own.has(name) ? owner[name] : undefined);
}

/** A class read from the top downwards, so what is found later overrides. */
class Reading {
  /** *place*: of the class that said it. @type {Map<string, { marks: readonly Marked[], place: number }>} */
  marks = new Map();
  /** @type {Map<string, Signal>} */ signals = new Map();
  /** @type {Set<string>} */ gone = new Set();
  /** What the framework's classes work by themselves. @type {Set<string>} */ #private = new Set();

  /** @param {Function} Class */
  constructor(Class) {
    this.Class = Class;
    /** @type {Function[]} from the top */
    this.classes = [];
    for (let one = Class; one !== Function.prototype; one = Object.getPrototypeOf(one)) this.classes.unshift(one);
    for (const [place, one] of this.classes.entries()) this.read(one, place);
  }

  /** @param {Function} one @param {number} place */
  read(one, place) {
    for (const name of Object.getOwnPropertyNames(one.prototype)) {
      if (name[0] !== "_") continue;
      if (Object.hasOwn(one, OWN)) this.#private.add(name);
      else if (this.#private.has(name))
        this.wrong(`${name} is a name that the class above works by itself; call yours otherwise.`);
    }
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(one))) {
      const marks = (Array.isArray(value) ? value : [value]).filter((each) => each instanceof Marked);
      if (value instanceof Signal) this.signal(one, name, value);
      else if (UNCALLED.has(value)) this.wrong(`static ${name} declares nothing yet: write ${UNCALLED.get(value)}.`);
      else if (value === null) this.taken(name);
      else if (marks.length) {
        if (this.signals.has(name)) this.wrong(`${name} is a signal already.`);
        this.marks.delete(name); // said anew, it stands where it is said now
        this.marks.set(name, { marks, place });
      } else if (this.signals.has(name) || this.marks.has(name))
        this.wrong(`static ${name} says in a base class what ${name} is, and has another meaning here.`);
    }
    for (const name of this.signals.keys()) {
      const own = Object.getOwnPropertyDescriptor(one.prototype, name);
      if (own && !own.get && !Object.hasOwn(one, name))
        this.wrong(
          `${name} is a signal in a base class, and a method here. Write static ${name} = signal() beside it, or ` +
            `handle it by a method of another name, handler("${name}"); static ${name} = null takes the signal away.`,
        );
    }
  }

  /** @param {Function} one @param {string} name @param {Signal} signal */
  signal(one, name, signal) {
    if (this.marks.has(name)) this.wrong(`${name} is a method in a base class, and a signal here.`);
    if (!/^on_./.test(name))
      this.wrong(`the signal ${name} has to begin with on_: static on_${name.replace(/^_+/, "")} = new Signal().`);
    for (const [other, each] of this.signals)
      if (each === signal && other !== name) this.wrong(`${name} is the signal ${other}; make a Signal for each name.`);
    this.signals.set(name, signal);
    this.gone.delete(name);
    const there = Object.getOwnPropertyDescriptor(one.prototype, name);
    if (there?.get) return; // read for another subclass already
    if (signal.hasBody !== (typeof there?.value === "function"))
      this.wrong(
        signal.hasBody
          ? `signal() stands beside a method, and there is no method ${name}; new Signal() takes any arguments.`
          : `${name} is a Signal and a method; static ${name} = signal() makes one of both.`,
      );
    if (there?.value) BODIES.set(signal, there.value);
    Object.defineProperty(one.prototype, name, { configurable: true, get: bound(name), set: refuse(name) });
  }

  /** @param {string} name */
  taken(name) {
    this.marks.delete(name);
    if (this.signals.delete(name)) this.gone.add(name);
  }

  /** @returns {Declared} */
  table() {
    /** @type {Map<string, string>} */ const calls = new Map();
    /** @type {Map<string, string[]>} */ const own = new Map();
    /** @type {Listens[]} */ const elsewhere = [];
    for (const [method, { kind, what }, place] of this.inOrder()) {
      if (typeof (/** @type {any} */ (this.Class.prototype)[method]) !== "function")
        this.wrong(`static ${method} says what the method ${method} is, and there is no such method.`);
      if (kind === "call") {
        const name = this.nameOfCall(method, what, place);
        const other = calls.get(name);
        if (other)
          this.wrong(
            `${other} and ${method} are both the call "${name}". Name one of them otherwise; an inherited one is ` +
              `taken away by static ${other} = null.`,
          );
        calls.set(name, method);
      } else if (/^on_[^.]*$/.test(what ?? "")) this.isOwn(own, method, /** @type {string} */ (what));
      else elsewhere.push(this.listens(method, what));
    }
    for (const [name, methods] of own) own.set(name, this.sorted(name, methods));
    return Object.freeze({ calls, signals: this.signals, own, elsewhere: Object.freeze(elsewhere) });
  }

  /** Base classes first; within a class as it is written. @returns {[method: string, mark: Marked, place: number][]} */
  inOrder() {
    const all = [...this.marks].sort(([, one], [, other]) => one.place - other.place);
    return all.flatMap(([method, { marks, place }]) =>
      marks.map((mark) => /** @type {[string, Marked, number]} */ ([method, mark, place])),
    );
  }

  /** @param {string} name @param {string[]} methods */
  sorted(name, methods) {
    const place = (/** @type {string} */ method) => this.marks.get(method)?.place ?? 0;
    const upwards = this.signals.get(name)?.order === "bottom-up";
    return [...new Set(upwards ? methods.toSorted((a, b) => place(b) - place(a)) : methods)];
  }

  /** @param {string} method @param {string | undefined} said @param {number} place */
  nameOfCall(method, said, place) {
    const name = said ?? method;
    const above = this.classes.slice(0, place).findLast((one) => Object.hasOwn(one, OWN) && method in one.prototype);
    if (above) {
      const keep = name.startsWith("node_") ? "" : `; call("${name}") beside it keeps the name for callers`;
      this.wrong(`${method} is a method of ${above.name}. Name the call otherwise${keep}.`);
    }
    if (name === "." || Object.hasOwn(/** @type {Function} */ (this.classes[place]), OWN)) return name;
    if (name.startsWith("_"))
      this.wrong(`the call ${name} begins with _, and no such name crosses; name it by call("name").`);
    if (name.startsWith("on_"))
      this.wrong(`the call ${name} begins with on_, as signals do; name it otherwise by call("name").`);
    if (name.startsWith("node_"))
      this.wrong(`the call ${name} begins with node_, as what nodes do by themselves; name it otherwise.`);
    if (new Path(name).length > 1)
      this.wrong(`the call ${name} has a dot: what is between dots is a node. Give it one name.`);
    return name;
  }

  /** @param {Map<string, string[]>} own @param {string} method @param {string} name */
  isOwn(own, method, name) {
    if (this.signals.has(name)) own.set(name, [...(own.get(name) ?? []), method]);
    else if (!this.gone.has(name)) {
      const there = [...this.signals.keys()].join(", ");
      const has = there ? `there is ${there}` : `static ${name} = new Signal() makes one`;
      this.wrong(`${method} handles ${name}, and there is no such signal; ${has}.`);
    }
  }

  /** @param {string} method @param {string | undefined} address @returns {Listens} */
  listens(method, address) {
    if (typeof address !== "string")
      this.wrong(`handler() of ${method} says which signal it is for, handler("on_foo"); ${address} is no address.`);
    new Path("base").resolve(address, (_, path) => path);
    const parts = address.split(".");
    const last = /** @type {string} */ (parts.at(-1));
    const signal = last.replace(/^@/, "").startsWith("on_") ? last.replace(/^@/, "") : null;
    const node = signal ? parts.slice(0, -1) : parts;
    if (signal?.startsWith("on_node_"))
      this.wrong(
        `${method} handles ${address}: signals of other nodes that begin with on_node_ are not heard; those of the ` +
          `node itself are: handler("${signal}").`,
      );
    if (!signal && parts.length === 1 && !/^[@#]/.test(address))
      this.wrong(
        `${method} handles ${address}: a signal of the object itself begins with on_, another node is @${address}, ` +
          `counted from the base, or #${address}, by its role.`,
      );
    for (const part of node)
      if (/^[@#]?on_/.test(part))
        this.wrong(`${method} handles ${address}: ${part} is a signal, and nothing is below one.`);
    return { attribute: method, address: node.join(".") || "@", signal };
  }

  /** @param {string} why @returns {never} */
  wrong(why) {
    throw new TypeError(`In the class ${this.Class.name}: ${why}`);
  }
}

/** What the prototype has by the name of a signal. @param {string} name */
const bound = (name) =>
  /** @this {any} */
  function () {
    if (!Object.hasOwn(this, BOUND)) Object.defineProperty(this, BOUND, { value: new Map() });
    const found = this[BOUND].get(name);
    if (found) return found;
    const { signals, own } = declared(this.constructor);
    const signal = signals.get(name);
    if (!signal) return undefined; // taken away in a subclass
    const made = new BoundSignal(this, name, signal, BODIES.get(signal), own.get(name) ?? []);
    this[BOUND].set(name, made);
    return made;
  };

/** @param {string} name */
const refuse = (name) => () => {
  throw new TypeError(`${name} is a signal and can't be assigned; connect a handler: .${name}.connect(f).`);
};
