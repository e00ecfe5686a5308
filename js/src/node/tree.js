/**
 * Tree: what one connection has bound, and how what comes in finds it.
 *
 *     bound nodes, by address                          a call of `test.first.rpc` is `rpc` of the node at `test.first`
 *     listeners, by the address they listen to         of this connection; the wire is not needed for what is said here
 *
 * The router is told of roots and of what is listened to (`wiring`):
 *
 *     SUBSCRIBE "test.second." wildcard                for a handler of all signals of the node `test.second`
 *
 * @module
 */
import { LimenError } from "../exc.js";
import { Value } from "../react.js";
import { report } from "../events.js";
import { declared } from "./declared.js";
import { notify } from "./growth.js";
import { Listeners, parted } from "./listening.js";
import { SELF, travels, Wiring } from "./wiring.js";

/** @typedef {import("./node.js").Node} Node */
/** @typedef {import("./port.js").Session} Session */
/** @typedef {import("./wiring.js").Listener} Listener */

export class Tree {
  /** @type {Map<string, Node>} */ nodes = new Map();
  /** Who of this connection listens to what. */
  listeners = new Listeners(this);
  #returning = new Value(false, { name: "away" });
  /** What was told of each root. @type {Map<Node, Wiring>} */ #wirings = new Map();

  /** @param {Session} [session] what reaches the rest of the tree; without one there is nothing else */
  constructor(session) {
    this.session = session;
    session?.on("offline", () => (this.#returning.value = true));
    session?.on("restored", () => (this.#returning.value = false));
    session?.on("revoked", this.#revoked);
  }

  /**
   * The connection was lost, and is not back with all that is bound here. Tracked: an effect that has read this runs
   * again when it changes.
   */
  get away() {
    const lost = this.#returning.value;
    return lost || (this.session !== undefined && this.session.state !== "online");
  }

  /** How much is held, for whoever looks for what was left. */
  get size() {
    return { nodes: this.nodes.size, roots: this.#wirings.size, ...this.listeners.size };
  }

  // -- who is where -----------------------------------------------------------------------------------------------
  /**
   * *node* stands at *address* from now on.
   * @param {Node} node
   * @param {string} address
   * @throws {LimenError} InvalidAddress
   */
  enter(node, address) {
    const there = this.nodes.get(address);
    if (there)
      throw new LimenError("InvalidAddress", [
        `At ${address} stands ${there} already; unbind it first, or take another address.`,
      ]);
    this.nodes.set(address, node);
  }

  /** Nothing stands at *address* any more, if it was *node*. @param {Node} node @param {string} address */
  leave(node, address) {
    if (this.nodes.get(address) === node) this.nodes.delete(address);
  }

  /**
   * The node and the name of its method that are called by *address*.
   * @param {string} address
   * @returns {[Node, string] | undefined}
   */
  find(address) {
    const dot = address.lastIndexOf(".");
    const above = dot < 0 ? undefined : this.nodes.get(address.slice(0, dot));
    const method = above && callOf(above, address.slice(dot + 1));
    if (above && method) return [above, method];
    const node = this.nodes.get(address);
    const itself = node && callOf(node, SELF);
    return node && itself ? [node, itself] : undefined;
  }

  // -- what the router is told ------------------------------------------------------------------------------------
  /**
   * Tells the router of *nodes*, which are *root* and what is below it, or were added to it. If anything is refused all
   * of it is undone, and what was said against it is thrown.
   * @param {Node} root
   * @param {Iterable<Node>} nodes
   */
  async tell(root, nodes) {
    if (!this.session) return;
    const known = this.#wirings.get(root);
    const wiring = known ?? new Wiring(this.session, String(root.node_path), this.#invoked, this.#saidHere);
    this.#wirings.set(root, wiring);
    await wiring.tell(nodes);
  }

  /**
   * Takes back what was told of *nodes*, all of it if *root* is among them.
   * @param {Node} root
   * @param {Node[]} nodes
   */
  async takeBack(root, nodes) {
    const wiring = this.#wirings.get(root);
    if (!nodes.includes(root)) return wiring?.forget(nodes);
    this.#wirings.delete(root);
    return wiring?.end();
  }

  // -- what comes in ----------------------------------------------------------------------------------------------
  /** A call came from elsewhere. @type {import("./port.js").Endpoint} */
  #invoked = async (invoked) => {
    const found = this.find(invoked.uri);
    if (!found) throw nothing(invoked.uri);
    return found[0]._perform(found[1], invoked);
  };

  /** Somebody elsewhere has said a signal of a node of ours. @type {Listener} */
  #saidHere = (topic, args, kwargs, details = {}) => {
    const [address, name] = parted(topic);
    const node = this.nodes.get(address);
    if (node && travels(name) && declared(node.constructor).signals.has(name))
      void node._say_here(name, { topic, args, kwargs, details });
  };

  /**
   * The router does not give back, or has taken back, what stood for *uri*: the nodes that it stood for are told.
   * @param {{ uri: string, match: string, error: LimenError }} what
   */
  #revoked = ({ uri, match, error }) => {
    /** @type {Set<Node>} */ const nodes = new Set();
    for (const wiring of this.#wirings.values()) wiring.revoked(uri);
    const listening = this.listeners.at(match === "wildcard" ? uri.slice(0, -1) : uri);
    if (listening) listening.asked = undefined;
    for (const [node] of listening?.handlers ?? []) nodes.add(node);
    const own = match === "exact" ? (this.nodes.get(parted(uri)[0]) ?? this.nodes.get(uri)) : undefined;
    if (own) nodes.add(own);
    if (match === "prefix")
      for (const [address, node] of this.nodes) if (`${address}.`.startsWith(uri)) nodes.add(node);
    for (const node of nodes) notify(node, "on_node_registration_failure", error)?.catch(report);
  };
}

/** @type {WeakMap<Session, Tree>} */
const TREES = new WeakMap();

/** The one tree of *session*; without one a new tree. @param {Session | undefined} session */
export function treeOf(session) {
  const made = (session && TREES.get(session)) ?? new Tree(session);
  if (session) TREES.set(session, made);
  return made;
}

/** The method of *node* that is called by *name*. @param {Node} node @param {string} name */
const callOf = (node, name) => declared(node.constructor).calls.get(name);

/** @param {string} uri */
export const nothing = (uri) => new LimenError("NotFound", [`Nothing is called by ${uri}.`]);
