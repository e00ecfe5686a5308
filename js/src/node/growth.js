/**
 * Growth: how a node and all below it come to stand somewhere, and how they leave.
 *
 *     placed       it has its address and its context, nobody else can take that place
 *     telling      its handlers of on_node_bind run; what they add (a guest) is placed and told with it, and leaves
 *                  with it
 *     told         … have run
 *     registering  its handlers of on_node_register have run; the router is asked
 *     standing     the router has taken it: it can be called
 *
 * Whatever goes wrong on the way (a handler, the router), what had been reached is left again, and the error is thrown
 * when nothing is left of it. To unbind what is still being bound is the same: the bind ends in an error.
 *
 * A node leaves at once: its address is free, nothing is called and nothing heard any more. Then it is told, then the
 * router, and then it can be bound again. A handler of on_node_unbind that unbinds its node does not wait for itself,
 * as long as it does so before it first awaits something: after that nobody knows who asks.
 *
 * @module
 */
import { report } from "../events.js";
import { LimenError } from "../exc.js";
import { listenedTo } from "./declared.js";

/** @typedef {import("./context.js").Said} Said */
/** @typedef {import("./node.js").Node} Node */
/** @typedef {import("./tree.js").Tree} Tree */
/** @typedef {import("../path.js").Path} Path */

export const [APART, PLACED, TELLING, TOLD, REGISTERING, STANDING] = [0, 1, 2, 3, 4, 5];

/** One bind of *top*, with all that was added to it, by *tree*. */
export class Growth {
  /** Those that were told, in that order. @type {Node[]} */ nodes = [];
  #top;
  #tree;
  /** Nobody has asked the router yet, or does so now: what joins is asked for with the others. */
  #open = true;
  /** @type {() => void} */ #giveUp = () => {};
  /** @type {Promise<void>} */ #givenUp = new Promise((resolve) => (this.#giveUp = resolve));

  /** @param {Node} top @param {Tree} tree */
  constructor(top, tree) {
    this.#top = top;
    this.#tree = tree;
  }

  /**
   * Resolves when all of it stands. Rejects with what was in the way; then none of it does.
   * @param {Path} path
   * @param {Said} context
   */
  run(path, context) {
    return this.#orLeave(this.#top, async () => {
      this.#place(this.#top, path, context);
      if (context.connection?.connected) await this.#unlessGivenUp(context.connection.connected());
      await this.#tell(this.#top);
      await this.#wire();
    });
  }

  /** *node* was added to one of these. @param {Node} node @param {Path} path @param {Said} context */
  join(node, path, context) {
    return this.#orLeave(node, async () => {
      node._guest = node._parent?._stage === TELLING;
      this.#place(node, path, context);
      await this.#tell(node);
      if (!this.#open) await this.#wire(); // it was too late for the others
    });
  }

  /** One of these has left. @param {Node} node */
  left(node) {
    if (node === this.#top) this.#giveUp();
  }

  /** @param {Node} node @param {() => Promise<void>} work */
  async #orLeave(node, work) {
    try {
      await work();
    } catch (error) {
      if (node._growth === this) await leaving(node, error).catch(() => {}); // told there
      throw error;
    }
  }

  /** @param {Node} node @param {Path} path @param {Said} context */
  #place(node, path, context) {
    node._growth = this; // first: if the address is taken, those above it leave again, and this one
    node._no_strays();
    this.#tree.enter(node, String(path));
    node._path = path;
    node._context = context;
    node._stage = PLACED;
    for (const [name, child] of node.node_children)
      if (child._stage === APART) this.#place(child, path.add(name), context);
  }

  /** @param {Node} node */
  async #tell(node) {
    node._stage = TELLING;
    this.nodes.push(node);
    const told = notify(node, "on_node_bind");
    if (told) await told;
    this.#still(node);
    node._stage = TOLD;
    for (const child of [...node.node_children.values()]) {
      if (child._growth !== this || child._stage !== PLACED) continue;
      await this.#tell(child);
      this.#still(node);
    }
  }

  async #wire() {
    this.#open = true;
    for (let fresh = this.#fresh(); fresh.length; fresh = this.#fresh()) {
      for (const node of fresh) {
        await notify(node, "on_node_register");
        if (node._growth === this) node._stage = REGISTERING;
      }
      this.#still(this.#top);
      const asked = fresh.filter((node) => node._growth === this);
      const listening = asked.map((node) => node._listen_as_declared());
      await this.#unlessGivenUp(Promise.all([this.#tree.tell(this.#top._stem, asked), ...listening]));
      for (const node of asked) {
        if (node._growth !== this) continue;
        node._stage = STANDING;
        await notify(node, "on_node_registration_success");
      }
      this.#still(this.#top);
    }
    this.#open = false;
    for (const node of this.nodes) if (node._growth === this && node._stage === STANDING) node._growth = null;
    this.nodes = this.nodes.filter((node) => node._growth === this);
  }

  /** @param {Promise<unknown>} work */
  async #unlessGivenUp(work) {
    await Promise.race([work, this.#givenUp]);
    this.#still(this.#top);
  }

  #fresh() {
    return this.nodes.filter((node) => node._growth === this && node._stage === TOLD);
  }

  /** @param {Node} node */
  #still(node) {
    if (node._growth !== this) throw new LimenError("InvalidCall", [`${node} was unbound while it was being bound.`]);
  }
}

/**
 * Notifies a signal of the node itself, where somebody may listen.
 * @param {Node} node
 * @param {string} signal
 * @param {unknown[]} args
 */
export const notify = (node, signal, ...args) => listenedTo(node, signal)?.notify(...args);

// -- leaving ----------------------------------------------------------------------------------------------------------
/**
 * The nodes whose handlers of on_node_unbind stand on the stack: they can't wait for their own end.
 * @type {Node[]}
 */
const within = [];

/** Whether who asks is a part of the leaving of *node*. @param {Node} node */
export const isWithin = (node) => within.some((each) => each._ending === node._ending && node._ending !== null);

/**
 * *top* and all below it leave, from now on; resolves when nothing is left of them. *failure*: what was in the way
 * while they were being bound. What handlers throw is in an AggregateError; of a failure it is reported.
 * @param {Node} top
 * @param {unknown} [failure]
 * @returns {Promise<void>}
 */
export function leaving(top, failure) {
  /** @type {Promise<void>[]} */ const below = [];
  const nodes = present(top, below);
  /** @type {Map<Node, Node[]>} */ const stems = new Map();
  for (const node of nodes) {
    if (!node._path) continue;
    const stem = node._stem;
    const those = stems.get(stem) ?? [];
    if (those.push(node) === 1) stems.set(stem, those);
  }
  const confirmed = nodes.map((node) => node._path && node._tree.listeners.deafen(node));
  for (const node of nodes) {
    if (node._path) node._tree.leave(node, String(node._path));
    node._growth?.left(node);
    node._growth = null;
  }
  const ending = begun().then(() => leave(top, nodes, failure, [...confirmed, ...below], stems));
  for (const node of nodes) node._ending = ending;
  return ending;
}

/** Everybody is known to be leaving before anybody is told. */
const begun = async () => {};

/**
 * *node* and those below it; to *below* goes what must end first.
 * @param {Node} node
 * @param {Promise<void>[]} below
 * @returns {Node[]}
 */
function present(node, below) {
  const found = [node];
  for (const child of node.node_children.values()) {
    if (child._ending) below.push(child._ending);
    else found.push(...present(child, below));
  }
  return found;
}

/**
 * @param {Node} top
 * @param {Node[]} nodes
 * @param {unknown} failure
 * @param {(Promise<void> | null)[]} confirmed
 * @param {Map<Node, Node[]>} stems
 */
async function leave(top, nodes, failure, confirmed, stems) {
  /** @type {unknown[]} */ const errors = [];
  const told = nodes.filter((node) => node._stage >= TELLING);
  const registered = told.filter((node) => node._stage >= REGISTERING);
  if (failure !== undefined)
    for (const node of registered) await notified(node, "on_node_registration_failure", errors, failure);
  for (const node of told) await notified(node, "on_node_unbind", errors);
  if (failure === undefined) for (const node of registered) await notified(node, "on_node_unregister", errors);
  for (const [stem, those] of stems) confirmed.push(stem._tree.takeBack(stem, those));
  await Promise.allSettled(confirmed);
  for (const node of nodes) {
    node._path = node._context = node._ending = null;
    node._stage = APART;
    if (node._guest || (node === top && failure === undefined)) node._parent?._forget(node);
  }
  if (!errors.length) return;
  const problem = new AggregateError(errors, `Handlers failed while ${top.constructor.name} was unbound.`);
  if (failure === undefined) throw problem;
  report(problem);
}

/** @param {Node} node @param {string} signal @param {unknown[]} errors @param {unknown[]} args */
async function notified(node, signal, errors, ...args) {
  let told;
  within.push(node);
  try {
    told = notify(node, signal, ...args);
  } finally {
    within.pop();
  }
  await told?.catch((error) => errors.push(...(error instanceof AggregateError ? error.errors : [error])));
}
