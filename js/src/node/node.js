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
 * other nodes there is `this.remote("@counter").add(3)`. A node is a dictionary, too, whose readers follow it
 * (`state`).
 *
 * What happens, in order:
 *
 *     bind     addresses are taken, from the top down · on_node_bind, from the top down · on_node_register · the
 *              router has taken all of it · on_node_registration_success · of a node that was added: its parent's
 *              on_node_add
 *     unbind   nothing comes in any more · on_node_unbind, from the top down · on_node_unregister · the router knows
 *
 * @module
 */
import { LimenError } from "../exc.js";
import { Path } from "../path.js";
import { NodeContext, resolversOf } from "./context.js";
import { declared, OWN } from "./declared.js";
import { APART, Growth, isWithin, leaving, notify } from "./growth.js";
import { Hearing } from "./hearing.js";
import { ADDRESS, proxyOf } from "./proxy.js";
import { Signal } from "./signal.js";
import { treeOf } from "./tree.js";

/** @typedef {import("./context.js").Said} Said */
/** @typedef {import("../path.js").Address} Address */

const IDENTIFIER = /^\p{ID_Start}\p{ID_Continue}*$/u;
/** @type {ReadonlyMap<string, Node>} */
const NO_CHILDREN = new Map();

export class Node extends Hearing {
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
  _stage = APART;
  /** It leaves its parent when that leaves. */
  _guest = false;
  /** There while it is being bound. @type {Growth | null} */ _growth = null;
  /** There while it leaves. @type {Promise<void> | null} */ _ending = null;

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

  /** The last part of its path; of a child also before it is bound. @returns {string} */
  get node_name() {
    return !this._path && this._parent ? nameOf(this) : this.node_path.name;
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
   * Makes the node, and all that was added to it, stand at *path*; with *parent* it is added to that node, as the last
   * part of the path. *context*: what it knows, and by which connection it is reached, which opens if it has not yet;
   * without one it lives in this process alone.
   * @param {Address} path
   * @param {NodeContext | null} [context]
   * @param {Node | null} [parent]
   * @throws {LimenError} InvalidAddress where another node stands there or the path is none, what a handler of
   *   `on_node_bind` threw, what the router says, and InvalidCall where it was unbound meanwhile; then nothing of it is
   *   bound
   */
  async node_bind(path, context = null, parent = null) {
    const where = new Path(path);
    if (parent) {
      if (!where.equals(parent.node_path.add(where.name)))
        throw new LimenError("InvalidAddress", [
          `${where} is not below its parent, which stands at ${parent.node_path}.`,
        ]);
      return parent._adopt(where.name, this, context, path instanceof Path ? path : null);
    }
    if (isWithin(this))
      throw new LimenError("InvalidCall", [`${this} is being unbound by whoever asks; bind it when that is done.`]);
    await this._ending?.catch(() => {});
    if (this._parent)
      throw new LimenError("InvalidCall", [
        `${this} was added to another node; bind that one, or remove this one from it.`,
      ]);
    const within = /** @type {Said} */ (context ?? new NodeContext());
    within.tree ??= treeOf(within.session);
    if (this._stage !== APART)
      throw new LimenError("InvalidCall", [`${this} is bound already, or about to be; unbind it first.`]);
    return new Growth(this, within.tree).run(where, within);
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
   * Takes the node and all below it from its address; one that was added is taken from its parent, too. While that is
   * under way a second call waits for the first; of a node that stands nowhere nothing happens.
   * @returns {Promise<void>}
   */
  async node_unbind() {
    if (isWithin(this)) return;
    if (!this._ending && this._stage !== APART) return leaving(this);
    await this._ending;
    if (this._stage === APART && !this._ending) this._parent?._forget(this);
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

  /** @param {string} name @param {Node} node @param {NodeContext | null} context @param {Path | null} [where] */
  async _adopt(name, node, context, where = null) {
    this._may_adopt(name, node);
    (this._children ??= new Map()).set(name, node);
    node._parent = this;
    Object.defineProperty(this, name, { value: node, configurable: true, enumerable: true, writable: true });
    try {
      if (this._path && this._context) {
        const path = where ?? this._path.add(name);
        const within = /** @type {Said} */ (context ?? this._context);
        const tree = (within.tree ??= this._tree);
        if (this._growth && tree === this._tree) await this._growth.join(node, path, within);
        else await new Growth(node, tree).run(path, within);
      }
    } catch (error) {
      this._forget(node);
      throw error;
    }
    await notify(this, "on_node_add", node);
  }

  /** @param {string} name @param {Node} node */
  _may_adopt(name, node) {
    const refuse = (/** @type {string} */ exc, /** @type {string} */ why) => {
      throw new LimenError(exc, [why]);
    };
    if (!(node instanceof Node)) refuse("InvalidCall", `What is added as "${name}" must be a Node.`);
    if (/^(_|on_|node_|then$)/.test(name) || !IDENTIFIER.test(name)) {
      const taken = "it becomes an attribute, and _…, on_…, node_… and then are taken";
      refuse("InvalidAddress", `A child cannot be called "${name}": ${taken}.`);
    }
    if (node._parent || node._stage !== APART)
      refuse("InvalidCall", `${node} stands somewhere already; remove it there first.`);
    if (node === this.node_root) refuse("InvalidCall", `${node} is above this node; a node cannot be added to itself.`);
    if (this._ending || node._ending) refuse("InvalidCall", `${this} is being unbound; add to it when that is done.`);
    if (name in this)
      refuse("InvalidAddress", `${this} has "${name}" already; take another name, or remove that first.`);
  }

  /** @param {Node} child */
  _forget(child) {
    if (child._parent !== this) return;
    const name = nameOf(child);
    this._children?.delete(name);
    if (/** @type {any} */ (this)[name] === child) delete (/** @type {any} */ (this)[name]);
    child._parent = null;
    child._guest = false;
  }

  /** What it holds, others have bound or added. */
  _no_strays() {
    for (const [name, value] of Object.entries(this)) if (isStray(value)) throw useNodeAdd(name, value);
  }

  /**
   * The topmost node of its branch that is reached by the same connection: that of which the router knows.
   * @returns {Node}
   */
  get _stem() {
    return this._parent?._context && this._parent._tree === this._tree ? this._parent._stem : this;
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

/** As what its parent has it. @param {Node} child */
function nameOf(child) {
  for (const [name, node] of child._parent?.node_children ?? []) if (node === child) return name;
  return "";
}

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

// Behind all classes of nodes stands one that hears of each new property that is assigned: a node is to be added. What
// a property held before is not asked again; at bind all are.
Object.setPrototypeOf(
  topmost(Hearing.prototype),
  new Proxy(Object.create(Object.prototype), {
    set(target, name, value, node) {
      if (isStray(value) && node instanceof Node && typeof name === "string") throw useNodeAdd(name, value);
      if (target === node) return Reflect.set(target, name, value);
      return Reflect.defineProperty(node, name, { value, configurable: true, enumerable: true, writable: true });
    },
  }),
);
