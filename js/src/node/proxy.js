/**
 * Proxy: a node that is somewhere, as if it were here.
 *
 *     const third = node.remote("@third");
 *     await third.rpc("hello");                        // calls
 *     await third.child.method(1, kwargs({ two: 2 }));  // … of what is below it
 *     const undo = await third.on_foo.connect(f);      // listens to a signal
 *     await third.on_foo.notify("hello");              // says one
 *     await third.node_call("rpc", ["hello"], {}, { timeout: 5 });
 *     for await (const value of third.node_values("count", [3])) …
 *
 * It is no promise, though every other name is one of its node's: `await third` gives the proxy.
 *
 * @module
 */
import { LimenError } from "../exc.js";
import { split } from "./kwargs.js";
import { parted } from "./listening.js";

/** @typedef {import("./node.js").Node} Node */
/** @typedef {import("../path.js").Path} Path */
/** @typedef {import("./calling.js").CallOptions} CallOptions */
/** @typedef {import("./signal.js").Handler} Handler */

/** Where a node or a proxy stands, asked of either: what has this symbol is passed by its address. */
export const ADDRESS = Symbol("address");
const FAR = Symbol("far");

/** Names that are the proxy's own. */
export const OWN = /** @type {Record<string, (from: Far) => unknown>} */ ({
  node_path: (/** @type {Far} */ from) => from.path,
  node_call: (/** @type {Far} */ from) => from.call.bind(from),
  node_values: (/** @type {Far} */ from) => from.values.bind(from),
  stream: (/** @type {Far} */ from) => from.stream.bind(from),
  toString: (/** @type {Far} */ from) => () => `Proxy(${from.uri})`,
});
/** What JavaScript asks of anything that it is given: a proxy that answered would be taken for a promise. */
const NEVER = new Set(["then", "toJSON"]);

/**
 * What stands at an address, seen from a node: with its context and its connection. @implements {ProxyHandler<any>}
 */
class Far {
  /** @type {Path | undefined} */ #path;

  /** @param {Node} node @param {string} uri @param {CallOptions} options @param {() => Path} find */
  constructor(node, uri, options, find) {
    this.node = node;
    this.uri = uri;
    this.options = options;
    this.find = find;
  }

  get path() {
    return (this.#path ??= this.find());
  }

  /** @param {string} name @returns {Far} */
  child(name) {
    if (!/^[A-Za-z]\w*$/.test(name)) return far(this.node, this.path.add(name), this.options); // it may be no address
    return new Far(this.node, `${this.uri}.${name}`, this.options, () => this.path.add(name));
  }

  /**
   * Calls *name* of this node, "." the node itself, with options of its own.
   * @param {string} name
   * @param {unknown[]} [args]
   * @param {Record<string, unknown>} [kwargs]
   * @param {CallOptions} [options]
   */
  async call(name, args = [], kwargs = {}, options) {
    if (name.startsWith("_")) throw hidden(name);
    const { uri } = name === "." ? this : this.child(name);
    return this.node._call_from(uri, args, kwargs, options ? { ...this.options, ...options } : this.options);
  }

  /**
   * The values of a stream, one by one. Whoever leaves the loop cancels the call.
   * @param {string} name
   * @param {unknown[]} [args]
   * @param {Record<string, unknown>} [kwargs]
   * @param {CallOptions} [options]
   */
  async *values(name, args, kwargs, options = {}) {
    const control = new AbortController();
    const { signal } = control;
    const given = options.signal ?? this.options.signal;
    const leave = () => control.abort();
    if (given?.aborted) leave();
    given?.addEventListener("abort", leave);
    /** @type {unknown[]} */ const come = [];
    let wake = () => {};
    const push = (/** @type {unknown} */ value) => {
      come.push(value);
      wake();
    };
    let ended = false;
    const result = this.call(name, args, kwargs, { ...options, signal, push }).finally(() => {
      ended = true;
      wake();
    });
    result.catch(() => {}); // told below
    try {
      for (;;) {
        while (come.length) yield come.shift();
        if (ended) break;
        await new Promise((resolve) => (wake = () => resolve(undefined)));
      }
      await result;
    } finally {
      given?.removeEventListener("abort", leave);
      leave();
    }
  }

  /** The dictionary of the node, mirrored here: it follows every change until it is closed or the node unbound. */
  stream() {
    return this.node._mirrored(this.uri, this.options);
  }

  // -- what JavaScript asks of a proxy ------------------------------------------------------------------------------
  /** @param {any} _target @param {string | symbol} name */
  get(_target, name) {
    if (typeof name === "symbol") return this.#symbol(name);
    if (NEVER.has(name)) return undefined;
    const own = Object.hasOwn(OWN, name) ? OWN[name] : undefined;
    if (own) return own(this);
    if (name[0] === "_") throw hidden(name);
    if (name.startsWith("on_")) return new RemoteSignal(this.node, `${this.uri}.${name}`);
    return wrap(this.child(name));
  }

  /** @param {symbol} name */
  #symbol(name) {
    if (name === ADDRESS) return this.path;
    if (name === FAR) return this;
    return name === Symbol.toPrimitive ? () => `Proxy(${this.uri})` : undefined;
  }

  /** @param {any} _target @param {string | symbol} name */
  has(_target, name) {
    return name === ADDRESS || name === FAR;
  }

  /** @param {any} _target @param {unknown} _this @param {unknown[]} written @returns {Promise<any>} */
  apply(_target, _this, written) {
    const [args, kwargs] = split(written);
    return this.node._call_from(this.uri, args, kwargs, this.options);
  }

  /** @param {any} _target @param {string | symbol} name @returns {never} */
  set(_target, name) {
    throw new LimenError("InvalidCall", [`${this.uri} is elsewhere: ${String(name)} can't be set from here; call it.`]);
  }

  /** @returns {object} */
  getPrototypeOf() {
    return NodeProxy.prototype;
  }
}

/** @param {string} name */
const hidden = (name) =>
  new LimenError("InvalidCall", [`"${name}" is private: no name that begins with _ crosses to another node.`]);

/** What every proxy stands before: it can be called. */
const TARGET = () => {};

/** @param {Far} far @returns {any} */
const wrap = (far) => new Proxy(TARGET, /** @type {any} */ (far));

/** @param {Node} node @param {Path} path @param {CallOptions} options */
const far = (node, path, options) => new Far(node, String(path), options, () => path);

/** @type {CallOptions} */
const NONE = Object.freeze({});

/**
 * What stands at *path*, seen from *node*.
 * @param {Node} node
 * @param {Path} path
 * @param {CallOptions} [options]
 * @returns {any}
 */
export const proxyOf = (node, path, options = NONE) => wrap(far(node, path, options));

/** What `node.remote(…)` gives; for `instanceof`. */
export class NodeProxy {
  constructor() {
    throw new LimenError("InvalidCall", ["A proxy comes from node.remote(address)."]);
  }
}

/** The signal at *topic*, wherever its node is. */
export class RemoteSignal {
  #node;
  #topic;

  /** @param {Node} node @param {string} topic */
  constructor(node, topic) {
    this.name = parted(topic)[1];
    if (this.name.startsWith("on_node_"))
      throw new LimenError("InvalidCall", [`${topic} never leaves its node: on_node_… are told there alone.`]);
    this.#node = node;
    this.#topic = topic;
  }

  /**
   * Calls *handler* with what the signal says from now on; gives the undo. Ends with the node that listens.
   * @param {Handler} handler
   */
  connect(handler) {
    return this.#node._listen(this.#topic, handler);
  }

  /** Undoes `connect` of the same handler; nothing happens where it is not connected. @param {Handler} handler */
  disconnect(handler) {
    return this.#node._listen_no_more(this.#topic, handler);
  }

  /**
   * Says the signal in the node's name; resolves when the router has taken it and handlers in this process have run.
   * @param {unknown[]} args
   */
  notify(...args) {
    return this.#node._notify_from(this.#topic, args);
  }

  toString() {
    return `RemoteSignal(${this.#topic})`;
  }
}
