/**
 * Tree: what one connection has bound, and how what comes in finds it.
 *
 *     bound nodes, by address                          a call of `test.first.rpc` is `rpc` of the node at `test.first`
 *     listeners, by the address they listen to         of this connection; the wire is not needed for what is said here
 *
 * What the router is told of a root and all below it, in one round trip where it matches patterns (WAMP advanced profile,
 * pattern-based registration and subscription), else one message for each call and signal, all under way at once:
 *
 *     REGISTER  "test.first."  prefix                  calls of all nodes below `test.first`, those added later, too
 *     SUBSCRIBE "test.first."  prefix                  signals that others say in the name of these nodes
 *     SUBSCRIBE "test.second." wildcard                for a handler of all signals of the node `test.second`
 *
 * @module
 */
import { LimenError } from "../exc.js";
import { declared } from "./declared.js";

/** @typedef {import("./node.js").Node} Node */
/** @typedef {import("./port.js").Session} Session */
/** @typedef {import("./port.js").Undo} Undo */
/** @typedef {import("./signal.js").Handler} Handler */
/**
 * Who of this connection listens to one address: a signal's, or all of a node's.
 * @typedef {{ handlers: [node: Node, handler: Handler][], ready: Promise<Undo> | undefined }} Listened
 */

/**
 * @typedef {(topic: string, args: unknown[], kwargs: Record<string, unknown>, details?: Record<string, any>) => void}
 *   Listener
 */

/** The name of a call that is its node itself. */
export const SELF = ".";

export class Tree {
  /** @type {Map<string, Node>} */ nodes = new Map();
  /** @type {Map<string, Listened>} */ #listened = new Map();
  /** What each node listens to. @type {Map<Node, [address: string, handler: Handler][]>} */ #listens = new Map();

  /** @param {Session} [session] what reaches the rest of the tree; without one there is nothing else */
  constructor(session) {
    this.session = session;
  }

  /** The connection is lost: what is elsewhere cannot be reached for now. */
  get away() {
    return this.session !== undefined && this.session.state !== "online";
  }

  /** How much is held, for whoever looks for what was left. */
  get size() {
    return { nodes: this.nodes.size, listened: this.#listened.size, listening: this.#listens.size };
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
   * Tells the router of *root*, with all *nodes* of it; gives what undoes that. If anything is refused all is undone, and
   * what was said against it is thrown.
   * @param {Node} root
   * @param {Node[]} nodes
   * @returns {Promise<Undo[]>}
   */
  plant(root, nodes) {
    const { session } = this;
    if (!session) return Promise.resolve([]);
    const address = String(root.node_path);
    const work = this.#exact(session, nodes);
    if (matches(session, "dealer", "pattern_based_registration")) {
      work.push(session.register(`${address}.`, this.#invoked, { match: "prefix" }));
      if (callOf(root, SELF)) work.push(session.register(address, this.#invoked));
    }
    if (matches(session, "broker", "pattern_based_subscription"))
      work.push(session.subscribe(`${address}.`, this.#saidHere, { match: "prefix", topic: true }));
    return all(work);
  }

  /**
   * As `plant`, for *nodes* that were added below a root that is planted.
   * @param {Node[]} nodes
   * @returns {Promise<Undo[]>}
   */
  graft(nodes) {
    return this.session ? all(this.#exact(this.session, nodes)) : Promise.resolve([]);
  }

  /**
   * What is told one by one, for want of patterns.
   * @param {Session} session
   * @param {Node[]} nodes
   * @returns {Promise<Undo>[]}
   */
  #exact(session, nodes) {
    /** @type {Promise<Undo>[]} */ const work = [];
    if (!matches(session, "dealer", "pattern_based_registration"))
      for (const uri of callsOf(nodes)) work.push(session.register(uri, this.#invoked));
    if (!matches(session, "broker", "pattern_based_subscription"))
      for (const uri of signalsOf(nodes)) work.push(session.subscribe(uri, this.#saidHere, { topic: true }));
    return work;
  }

  // -- what comes in ----------------------------------------------------------------------------------------------
  /** A call came from elsewhere. @type {import("./port.js").Endpoint} */
  #invoked = async (invoked) => {
    const found = this.find(invoked.uri);
    if (!found) throw nothing(invoked.uri);
    return found[0]._run(found[1], invoked);
  };

  /** Somebody elsewhere has said a signal of a node of ours. @type {Listener} */
  #saidHere = (topic, args, kwargs, details = {}) => {
    const [address, name] = parted(topic);
    const node = this.nodes.get(address);
    if (node && travels(name) && declared(node.constructor).signals.has(name))
      void node._say_here(name, { topic, args, kwargs, details });
  };

  // -- who listens ------------------------------------------------------------------------------------------------
  /**
   * Who of this connection hears the signal *name* of the node at *address*.
   * @param {string} address
   * @param {string} name
   */
  listeners(address, name) {
    if (!this.#listened.size) return [];
    const exactly = this.#listened.get(`${address}.${name}`)?.handlers ?? [];
    return [...exactly, ...(this.#listened.get(address)?.handlers ?? [])];
  }

  /**
   * *handler* of *node* hears the signal at *address*, or all signals of the node there; resolves when the router has
   * taken it.
   * @param {Node} node
   * @param {string} address
   * @param {Handler} handler
   */
  async listen(node, address, handler) {
    const listened = this.#listened.get(address) ?? { handlers: [], ready: undefined };
    this.#listened.set(address, listened);
    listened.handlers.push([node, handler]);
    const own = this.#listens.get(node);
    if (own) own.push([address, handler]);
    else this.#listens.set(node, [[address, handler]]);
    if (!this.session) return;
    try {
      await (listened.ready ??= this.#subscribe(this.session, address, listened));
    } catch (error) {
      await this.listenNoMore(node, address, handler);
      throw error;
    }
  }

  /** @param {Session} session @param {string} address @param {Listened} listened @returns {Promise<Undo>} */
  #subscribe(session, address, listened) {
    /** @type {Listener} */
    const heard = (topic, args, kwargs, details = {}) => {
      if (!travels(parted(topic)[1])) return;
      for (const each of [...listened.handlers])
        if (listened.handlers.includes(each)) void each[0]._hear(each[1], { topic, args, kwargs, details });
    };
    return parted(address)[1].startsWith("on_")
      ? session.subscribe(address, heard, { topic: true })
      : session.subscribe(`${address}.`, heard, { match: "wildcard", topic: true });
  }

  /**
   * Undoes `listen`; resolves when the router knows.
   * @param {Node} node
   * @param {string} address
   * @param {Handler} handler
   */
  async listenNoMore(node, address, handler) {
    const listened = this.#listened.get(address);
    const index = listened?.handlers.findIndex(([who, what]) => who === node && what === handler) ?? -1;
    if (!listened || index < 0) return;
    listened.handlers.splice(index, 1);
    const own = (this.#listens.get(node) ?? []).filter(([where, what]) => where !== address || what !== handler);
    if (own.length) this.#listens.set(node, own);
    else this.#listens.delete(node);
    if (listened.handlers.length) return;
    this.#listened.delete(address);
    const undo = await listened.ready?.catch(() => undefined);
    await undo?.();
  }

  /** Undoes all `listen` of *node*. @param {Node} node */
  async deafen(node) {
    const listens = this.#listens.get(node);
    if (listens) await Promise.all([...listens].map(([address, handler]) => this.listenNoMore(node, address, handler)));
  }
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

/** An address without its last part, and that. @param {string} address @returns {[above: string, name: string]} */
export function parted(address) {
  const dot = address.lastIndexOf(".");
  return [address.slice(0, Math.max(dot, 0)), address.slice(dot + 1)];
}

/** Whether *name* is a signal that leaves its process. @param {string} name */
export const travels = (name) => name.startsWith("on_") && !name.startsWith("on_node_");

/**
 * Whether the router of *session* announces *feature* in *role*.
 * @param {Session} session
 * @param {"dealer" | "broker"} role
 * @param {string} feature
 */
const matches = (session, role, feature) => session.features?.[role]?.features?.[feature] === true;

/** @param {Node[]} nodes */
function* callsOf(nodes) {
  for (const node of nodes)
    for (const name of declared(node.constructor).calls.keys())
      yield name === SELF ? String(node.node_path) : `${node.node_path}.${name}`;
}

/** @param {Node[]} nodes */
function* signalsOf(nodes) {
  for (const node of nodes)
    for (const name of declared(node.constructor).signals.keys()) if (travels(name)) yield `${node.node_path}.${name}`;
}

/** All undos, or none: then the first error is thrown. @param {Promise<Undo>[]} work @returns {Promise<Undo[]>} */
async function all(work) {
  /** @type {Undo[]} */ const undos = [];
  /** @type {unknown[]} */ const errors = [];
  for (const outcome of await Promise.allSettled(work)) {
    if (outcome.status === "fulfilled") undos.push(outcome.value);
    else errors.push(outcome.reason);
  }
  if (!errors.length) return undos;
  await undoAll(undos);
  throw errors[0];
}

/**
 * Undoes what the router was told, all under way at once. What is said against it is of no use to anybody.
 * @param {Iterable<Undo>} undos
 */
export async function undoAll(undos) {
  await Promise.allSettled([...undos].map(async (undo) => undo()));
}
