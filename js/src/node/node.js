/**
 * Node: an object that lives at an address.
 *
 *     class Counter extends Node {
 *       static on_full = new Signal();
 *       static add = call();
 *       async add(number) {
 *         this.set("total", (this.get("total") ?? 0) + number);
 *         if (this.get("total") > 100) await this.on_full.notify(this.get("total"));
 *         return this.get("total");
 *       }
 *     }
 *     await new Counter().node_bind("shop.counter", connection.new_context());
 *
 * From then on `shop.counter.add` is a procedure for everyone who may call it, `shop.counter.on_full` a topic, and for
 * other nodes there is `this.remote("@counter").add(3)`. A node is a dictionary, too, whose readers follow it (`state`).
 *
 * What happens, in order:
 *
 *     bind     addresses are taken, from the top down · on_node_bind, from the top down · on_node_register · the router
 *              has taken all of it · on_node_registration_success · of a node that was added: its parent's on_node_add
 *     unbind   nothing comes in any more · on_node_unbind, from the top down · on_node_unregister · the router was told
 *
 * @module
 */
import { LimenError } from "../exc.js";
import { Path } from "../path.js";
import { Calling } from "./calling.js";
import { NodeContext, resolversOf } from "./context.js";
import { declared, listenedTo, OWN } from "./declared.js";
import { ADDRESS, proxyOf } from "./proxy.js";
import { Signal } from "./signal.js";
import { treeOf } from "./tree.js";

/** @typedef {import("./context.js").Said} Said */
/** @typedef {import("./tree.js").Tree} Tree */
/** @typedef {import("../path.js").Address} Address */

const IDENTIFIER = /^\p{ID_Start}\p{ID_Continue}*$/u;
/** @type {ReadonlyMap<string, Node>} */
const NO_CHILDREN = new Map();

export class Node extends Calling {
  /** @override */
  static [OWN] = true;

  /**
   * The node has an address and a context, and its router does not know yet. What its handlers add is bound with it.
   */
  static on_node_bind = new Signal();
  /** A child was added, which is the argument, and can be called. */
  static on_node_add = new Signal();
  /** The node is leaving: nothing comes in any more, it may still say something. */
  static on_node_unbind = new Signal();
  /** The router is about to be told of the node. */
  static on_node_register = new Signal();
  /** The router has taken it: it can be called. */
  static on_node_registration_success = new Signal();
  /** The router, whose error is the argument, has not taken it; nothing is left of what it had taken. */
  static on_node_registration_failure = new Signal();
  /** The router is about to be told that the node is no more. */
  static on_node_unregister = new Signal();

  /** @type {Node | null} */ _parent = null;
  /** @type {Map<string, Node> | null} */ _children = null;
  /** The router knows of it, or need not. */
  _wired = false;
  /** @type {Promise<void> | null} */ _ending = null;

  constructor() {
    super();
    declared(new.target); // mistakes of the class are told before there is a node
  }

  // -- where it is ------------------------------------------------------------------------------------------------
  /** Where it stands. @returns {Path} @throws {LimenError} InvalidCall where it stands nowhere */
  get node_path() {
    this._where();
    return /** @type {Path} */ (this._path);
  }

  /** The last part of its path. */
  get node_name() {
    return this.node_path.name;
  }

  /** The node that it was added to; null for a root. @returns {Node | null} */
  get node_parent() {
    return this._parent;
  }

  /** The node above all others that this one was added to, itself where it was added to none. @returns {Node} */
  get node_root() {
    return this._parent ? this._parent.node_root : this;
  }

  /** What its branch of the tree knows. @returns {Said} @throws {LimenError} InvalidCall where it stands nowhere */
  get node_context() {
    return this._where();
  }

  /** Those that were added to it, by name. @returns {ReadonlyMap<string, Node>} */
  get node_children() {
    return this._children ?? NO_CHILDREN;
  }

  /** It stands somewhere. */
  get node_bound() {
    return this._path !== null;
  }

  /** Its connection is lost: it cannot be reached, and does not reach what is elsewhere, until that returns. */
  get node_away() {
    return this._context !== null && this._tree.away;
  }

  /** @returns {Path | null} */
  get [ADDRESS]() {
    return this._path;
  }

  // -- binding ----------------------------------------------------------------------------------------------------
  /**
   * Makes the node, and all that was added to it, stand at *path*; with *parent* it is added to that node, as the last part
   * of the path. *context*: what it knows, and by which connection it is reached; without one it lives in this process
   * alone.
   * @param {Address} path
   * @param {NodeContext | null} [context]
   * @param {Node | null} [parent]
   * @throws {LimenError} InvalidAddress where another node stands there or the path is none, what a handler of
   *   `on_node_bind` threw, and what the router says; then nothing of it is bound
   */
  async node_bind(path, context = null, parent = null) {
    const where = new Path(path);
    if (parent) {
      if (!where.equals(parent.node_path.add(where.name)))
        throw new LimenError("InvalidAddress", [
          `${where} is not below its parent, which stands at ${parent.node_path}.`,
        ]);
      return parent._adopt(where.name, this, context);
    }
    if (this._parent)
      throw new LimenError("InvalidCall", [
        `${this} was added to another node; bind that one, or remove this one from it.`,
      ]);
    const said = /** @type {Said} */ (context ?? new NodeContext());
    await said.connection?.opened?.(); // before that, it is not known what its router can do
    said.tree ??= treeOf(said.session);
    return this._bind(where, said);
  }

  /**
   * Adds *node* below this one as *name*: `this.name`, and `node_path.add(name)` as soon as this one is bound.
   * @param {string} name
   * @param {Node} node
   */
  async node_add(name, node) {
    return this._adopt(name, node, null);
  }

  /** Takes the child *name* away, unbound. @param {string} name @throws {LimenError} NotFound */
  async node_remove(name) {
    const child = this.node_children.get(name);
    if (!child) throw new LimenError("NotFound", [`${this} has no child "${name}".`]);
    await child.node_unbind();
  }

  /**
   * Takes the node and all below it from its address; one that was added is taken from its parent, too. While that is under
   * way a second call waits for the first; of a node that stands nowhere nothing happens.
   * @returns {Promise<void>}
   */
  async node_unbind() {
    if (!this._ending && (this._path || this._parent))
      this._ending = this._unbind().finally(() => (this._ending = null));
    await this._ending;
  }

  /**
   * The node bound for the length of *work*, whose result it gives.
   * @template T
   * @param {Address} path
   * @param {NodeContext | null} context
   * @param {(node: this) => T | Promise<T>} work
   * @returns {Promise<T>}
   */
  async bound(path, context, work) {
    await this.node_bind(path, context);
    try {
      return await work(this);
    } finally {
      await this.node_unbind();
    }
  }

  /** @param {string} name @param {Node} node @param {NodeContext | null} context */
  async _adopt(name, node, context) {
    if (!(node instanceof Node)) throw new LimenError("InvalidCall", [`What is added as "${name}" must be a Node.`]);
    if (/^(_|on_|node_|then$)/.test(name) || !IDENTIFIER.test(name))
      throw new LimenError("InvalidAddress", [
        `A child cannot be called "${name}": it becomes an attribute, and _…, on_…, node_… and then are taken.`,
      ]);
    if (node._parent || node._path)
      throw new LimenError("InvalidCall", [`${node} stands somewhere already; remove it there first.`]);
    if (node === this.node_root)
      throw new LimenError("InvalidCall", [`${node} is above this node; a node cannot be added to itself.`]);
    if (name in this)
      throw new LimenError("InvalidAddress", [
        `${this} has "${name}" already; take another name, or remove that first.`,
      ]);
    (this._children ??= new Map()).set(name, node);
    node._parent = this;
    Object.defineProperty(this, name, { value: node, configurable: true, enumerable: true, writable: true });
    try {
      if (this._path && this._context)
        await node._bind(this._path.add(name), /** @type {Said} */ (context ?? this._context));
    } catch (error) {
      this._forget(node);
      throw error;
    }
    await tell(this, "on_node_add", node);
  }

  /** @param {Node} child */
  _forget(child) {
    for (const [name, node] of this.node_children) {
      if (node !== child) continue;
      /** @type {Map<string, Node>} */ (this._children).delete(name);
      if (/** @type {any} */ (this)[name] === child) delete (/** @type {any} */ (this)[name]);
    }
    child._parent = null;
  }

  /** @param {Path} path @param {Said} context */
  async _bind(path, context) {
    if (this._path) throw new LimenError("InvalidCall", [`${this} is bound already; unbind it first.`]);
    const tree = /** @type {Tree} */ (context.tree);
    /** @type {Set<Node>} */ const nodes = new Set();
    try {
      this._take(path, context, tree);
      await this._tell_bound(nodes);
      const parent = this._parent;
      if (!parent?._context || parent._tree !== tree || parent._wired) await this._wire([...nodes], tree);
    } catch (error) {
      this._give_back();
      for (const node of nodes) await tell(node, "on_node_unbind").catch(() => {}); // the first error is the one to know
      await this._unwire(this._walk());
      this._clear();
      throw error;
    }
  }

  /** The addresses of this node and all below it. @param {Path} path @param {Said} context @param {Tree} tree */
  _take(path, context, tree) {
    for (const [name, value] of Object.entries(this)) if (isStray(value)) throw useNodeAdd(name, value);
    tree.enter(this, String(path));
    this._path = path;
    this._context = context;
    for (const [name, child] of this.node_children) child._take(path.add(name), context, tree);
  }

  /** on_node_bind, from the top down, of what is there and of what its handlers add. @param {Set<Node>} told */
  async _tell_bound(told) {
    told.add(this);
    await tell(this, "on_node_bind");
    for (const child of [...this.node_children.values()]) if (!told.has(child)) await child._tell_bound(told);
  }

  /** @param {Node[]} nodes @param {Tree} tree */
  async _wire(nodes, tree) {
    for (const node of nodes) await tell(node, "on_node_register");
    try {
      await tree.tell(this._stem, nodes);
      const listens = await Promise.allSettled(nodes.map((node) => node._listen_as_declared()));
      for (const outcome of listens) if (outcome.status === "rejected") throw outcome.reason;
    } catch (error) {
      for (const node of nodes) await tell(node, "on_node_registration_failure", error).catch(() => {});
      throw error;
    }
    for (const node of nodes) {
      node._wired = true;
      await tell(node, "on_node_registration_success");
    }
  }

  /** @param {Node[]} nodes */
  async _unwire(nodes) {
    /** @type {Map<Node, Node[]>} */ const stems = new Map();
    const bound = nodes.filter((node) => node._context);
    for (const node of bound) {
      const stem = node._stem;
      const those = stems.get(stem) ?? [];
      if (those.push(node) === 1) stems.set(stem, those);
    }
    const told = [...stems].map(([stem, those]) => stem._tree.takeBack(stem, those));
    await Promise.all([...told, ...bound.map((node) => node._tree.deafen(node))]);
  }

  /**
   * The topmost node of its branch that is reached by the same connection: that of which the router knows.
   * @returns {Node}
   */
  get _stem() {
    return this._parent?._context && this._parent._tree === this._tree ? this._parent._stem : this;
  }

  async _listen_as_declared() {
    const context = this._where();
    const self = /** @type {any} */ (this);
    const listens = declared(this.constructor).elsewhere.map(({ attribute, address, signal }) => {
      const path = this.node_path.resolve(address, ...resolversOf(context));
      return this._listen(signal ? `${path}.${signal}` : String(path), (...args) => self[attribute](...args));
    });
    await Promise.all(listens);
  }

  async _unbind() {
    const nodes = this._walk();
    const bound = this._path !== null;
    /** @type {unknown[]} */ const errors = [];
    this._give_back();
    for (const signal of bound ? ["on_node_unbind", "on_node_unregister"] : [])
      for (const node of nodes)
        await tell(node, signal).catch((error) => void errors.push(...(error.errors ?? [error])));
    if (bound) await this._unwire(nodes);
    this._clear();
    this._parent?._forget(this);
    if (errors.length) throw new AggregateError(errors, `Handlers failed while ${this.constructor.name} was unbound.`);
  }

  /** This node and all below it, from the top down. @returns {Node[]} */
  _walk() {
    return [this, ...[...this.node_children.values()].flatMap((child) => child._walk())];
  }

  /** Nothing comes in any more. */
  _give_back() {
    for (const node of this._walk()) if (node._path) node._tree.leave(node, String(node._path));
  }

  _clear() {
    for (const node of this._walk()) {
      node._path = node._context = null;
      node._wired = false;
    }
  }

  // -- the rest of the tree ---------------------------------------------------------------------------------------
  /**
   * What stands at *address*, from here: "test.third", "@third" from the base, "#view" by its role.
   * @param {Address} address
   * @param {import("./calling.js").CallOptions} [options] of all calls of it
   * @returns {any}
   * @throws {LimenError} InvalidAddress
   */
  remote(address, options) {
    const context = this._where();
    return proxyOf(this, this.node_path.resolve(address, ...resolversOf(context)), options);
  }

  /** @override */
  toString() {
    return `${this.constructor.name}(${this._path ?? "unbound"})`;
  }
}

/**
 * Says a signal of the node itself, where somebody may listen.
 * @param {Node} node
 * @param {string} signal
 * @param {unknown[]} args
 */
const tell = async (node, signal, ...args) => listenedTo(node, signal)?.notify(...args);

/** A node that nobody bound or added. @param {unknown} value @returns {value is Node} */
const isStray = (value) => value instanceof Node && !value._path && !value._parent;

/** @param {string} name @param {Node} node */
const useNodeAdd = (name, node) =>
  new LimenError("InvalidCall", [
    `${node.constructor.name} is not bound, and to assign it does not bind it: await this.node_add("${name}", node).`,
  ]);

/** @param {object} prototype @returns {object} */
function topmost(prototype) {
  const above = Object.getPrototypeOf(prototype);
  return above === Object.prototype ? prototype : topmost(above);
}

// Behind all classes of nodes stands one that hears of each new property that is assigned: a node is to be added. What a
// property held before is not asked again; at bind all are.
Object.setPrototypeOf(
  topmost(Calling.prototype),
  new Proxy(Object.create(Object.prototype), {
    set(target, name, value, node) {
      if (isStray(value) && node instanceof Node && typeof name === "string") throw useNodeAdd(name, value);
      if (target === node) return Reflect.set(target, name, value);
      return Reflect.defineProperty(node, name, { value, configurable: true, enumerable: true, writable: true });
    },
  }),
);
