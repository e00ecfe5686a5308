/**
 * What a class says of itself: its signals, its calls, what it listens to. JavaScript has no decorators, so each is a
 * static member of the same name:
 *
 *     class Second extends Node {
 *       static on_foo = new Signal();
 *       static rpc = call();                    // marks the method rpc; call("other") names it anew, call(".") is the node
 *       rpc(something) {}
 *       static heard = handler("@third.on_foo");
 *       heard(...args) {}
 *     }
 *
 * @module
 */
import { BoundSignal, Signal } from "./signal.js";

/** @typedef {import("./signal.js").Owner} Owner */
/**
 * A handler for signals of another node: *address* is that node's, *signal* the one it wants; null: all.
 * @typedef {{ attribute: string, address: string, signal: string | null }} Listens
 */
/**
 * *calls*: name to attribute, "." is the node itself. *own*: name of a signal of the class to the attributes that handle
 * it, in order. *elsewhere*: the other handlers, base classes first.
 * @typedef {{ signals: Map<string, Signal>, calls: Map<string, string>, own: Map<string, string[]>, elsewhere: Listens[] }} Declared
 */

class Call {
  /** @param {string | undefined} name */
  constructor(name) {
    this.name = name;
  }
}
class Handles {
  /** @param {string} address */
  constructor(address) {
    this.address = address;
  }
}

/**
 * The method of the same name can be called from elsewhere; *name*: as what, "." for the node itself.
 * @param {string} [name]
 * @returns {any}
 */
export const call = (name) => new Call(name);

/**
 * The method of the same name hears a signal: "on_foo" of its own, "@first.second.on_foo", or all of "@first.second".
 * @param {string} address
 * @returns {any}
 */
export const handler = (address) => new Handles(address);

/** @type {WeakMap<Function, Declared>} */
const KNOWN = new WeakMap();
const BOUND = Symbol("signals");

/** What *Class* and those above it declare. @param {Function} Class @returns {Declared} */
export function declared(Class) {
  const known = KNOWN.get(Class);
  if (known) return known;
  const above = Object.getPrototypeOf(Class);
  const base = above === Function.prototype ? undefined : declared(above);
  /** @type {Declared} */
  const own = {
    signals: new Map(base?.signals),
    calls: new Map(base?.calls),
    own: new Map(base?.own),
    elsewhere: [...(base?.elsewhere ?? [])],
  };
  for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(Class))) {
    if (value instanceof Signal) declareSignal(Class, own, name, value);
    else if (value instanceof Call) declareCall(Class, own, name, value.name ?? name);
    else if (value instanceof Handles) declareHandler(Class, own, name, value.address);
  }
  KNOWN.set(Class, own);
  return own;
}

/** @param {Function} Class @param {Declared} own @param {string} name @param {Signal} signal */
function declareSignal(Class, own, name, signal) {
  if (!name.startsWith("on_"))
    refuse(Class, name, `The name of a signal begins with "on_", as on_${name}: by that an address shows what it is.`);
  own.signals.set(name, signal);
  Object.defineProperty(Class.prototype, name, {
    configurable: true,
    get() {
      return boundSignal(this, name);
    },
  });
}

/** @param {Function} Class @param {Declared} own @param {string} method @param {string} name */
function declareCall(Class, own, method, name) {
  hasMethod(Class, method);
  if (name.startsWith("_"))
    refuse(Class, method, `"${name}" is private: what begins with _ can't be called from elsewhere.`);
  if (name.startsWith("on_"))
    refuse(Class, method, `"${name}" would be the address of a signal; calls have other names.`);
  if (name !== "." && name.includes(".")) refuse(Class, method, `"${name}" holds a dot: a call is named by one part.`);
  for (const [other, by] of own.calls) if (by === method) own.calls.delete(other);
  own.calls.set(name, method);
}

/** @param {Function} Class @param {Declared} own @param {string} method @param {string} address */
function declareHandler(Class, own, method, address) {
  hasMethod(Class, method);
  for (const [name, methods] of own.own)
    own.own.set(
      name,
      methods.filter((each) => each !== method),
    );
  own.elsewhere = own.elsewhere.filter((each) => each.attribute !== method);
  const parts = address.split(".");
  const last = parts.at(-1) ?? "";
  if (address.startsWith("on_") && parts.length === 1) {
    const before = own.own.get(address) ?? [];
    own.own.set(address, own.signals.get(address)?.order === "bottom-up" ? [method, ...before] : [...before, method]);
  } else if (last.replace("@", "").startsWith("on_")) {
    own.elsewhere.push({
      attribute: method,
      address: parts.slice(0, -1).join(".") || "@",
      signal: last.replace("@", ""),
    });
  } else own.elsewhere.push({ attribute: method, address, signal: null });
}

/** @param {Function} Class @param {string} name */
function hasMethod(Class, name) {
  if (typeof Class.prototype[name] !== "function")
    refuse(Class, name, `There is no method ${name} that it could mark.`);
}

/** @param {Function} Class @param {string} name @param {string} why @returns {never} */
function refuse(Class, name, why) {
  throw new TypeError(`static ${name} of ${Class.name}: ${why}`);
}

/** @param {any} owner @param {string} name @returns {BoundSignal} */
function boundSignal(owner, name) {
  const signals = Object.hasOwn(owner, BOUND) ? owner[BOUND] : hidden(owner, BOUND, new Map());
  const found = signals.get(name);
  if (found) return found;
  const made = new BoundSignal(name, owner, declared(owner.constructor).own.get(name) ?? []);
  signals.set(name, made);
  return made;
}

/** @param {object} owner @param {symbol} key @param {unknown} value */
function hidden(owner, key, value) {
  Object.defineProperty(owner, key, { value });
  return value;
}

/**
 * The signal *name* of *owner*, if somebody may listen to it.
 * @param {any} owner
 * @param {string} name
 * @returns {BoundSignal | undefined}
 */
export function listenedTo(owner, name) {
  const made = Object.hasOwn(owner, BOUND) ? owner[BOUND].get(name) : undefined;
  return made ?? (declared(owner.constructor).own.get(name)?.length ? boundSignal(owner, name) : undefined);
}
