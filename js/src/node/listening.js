/**
 * Listening: who of one connection hears what is said at an address, of a signal or of a node with all its signals.
 *
 * What is said by this connection goes to them directly, with the arguments as they would be from far; what comes from
 * elsewhere by one subscription for each address, which begins with its first listener and ends with its last.
 *
 * @module
 */
import { LimenError } from "../exc.js";
import { refused, travels } from "./wiring.js";

/** @typedef {import("./node.js").Node} Node */
/** @typedef {import("./port.js").Session} Session */
/** @typedef {import("./port.js").Undo} Undo */
/** @typedef {import("./signal.js").Handler} Handler */
/** @typedef {import("./tree.js").Tree} Tree */
/** @typedef {import("./wiring.js").Listener} Listener */
/**
 * Who listens to one address. *asked*: of the router; undefined: nothing yet, or it has taken that back.
 * @typedef {{ handlers: [node: Node, handler: Handler][], asked: Promise<Undo> | undefined }} Listening
 */

/** All of one tree. */
export class Listeners {
  #tree;
  /** @type {Map<string, Listening>} */ #byAddress = new Map();
  /** @type {Map<Node, [address: string, handler: Handler][]>} */ #ofNode = new Map();

  /** @param {Tree} tree */
  constructor(tree) {
    this.#tree = tree;
  }

  /** How many addresses are listened to, and how many nodes listen. */
  get size() {
    return { listened: this.#byAddress.size, listening: this.#ofNode.size };
  }

  /** Who hears the signal *name* of the node at *address*. @param {string} address @param {string} name */
  of(address, name) {
    if (!this.#byAddress.size) return [];
    const exactly = this.#byAddress.get(`${address}.${name}`)?.handlers ?? [];
    return [...exactly, ...(this.#byAddress.get(address)?.handlers ?? [])];
  }

  /** Who listens to *address* itself. @param {string} address */
  at(address) {
    return this.#byAddress.get(address);
  }

  /**
   * *handler* of *node* hears what is said at *address*, once, however often it is added; resolves when the router has
   * taken it.
   * @param {Node} node
   * @param {string} address
   * @param {Handler} handler
   * @throws {LimenError} what the router says if it has not, and InvalidCall where the node is leaving
   */
  async add(node, address, handler) {
    if (!node._path || node._ending)
      throw new LimenError("InvalidCall", [`${node} is leaving: it hears nothing any more.`]);
    const listening = this.#byAddress.get(address) ?? { handlers: [], asked: undefined };
    this.#byAddress.set(address, listening);
    if (!listening.handlers.some(([who, what]) => who === node && what === handler)) {
      listening.handlers.push([node, handler]);
      const own = this.#ofNode.get(node);
      if (own) own.push([address, handler]);
      else this.#ofNode.set(node, [[address, handler]]);
    }
    const { session } = this.#tree;
    if (!session) return;
    try {
      await (listening.asked ??= subscribe(session, address, listening));
    } catch (error) {
      await this.drop(node, address, handler);
      throw error;
    }
  }

  /**
   * Undoes `add`; resolves when the router knows.
   * @param {Node} node
   * @param {string} address
   * @param {Handler} handler
   */
  async drop(node, address, handler) {
    const listening = this.#byAddress.get(address);
    const index = listening?.handlers.findIndex(([who, what]) => who === node && what === handler) ?? -1;
    if (!listening || index < 0) return;
    listening.handlers.splice(index, 1);
    const own = (this.#ofNode.get(node) ?? []).filter(([where, what]) => where !== address || what !== handler);
    if (own.length) this.#ofNode.set(node, own);
    else this.#ofNode.delete(node);
    if (listening.handlers.length) return;
    this.#byAddress.delete(address);
    const undone = listening.asked?.then((undo) => undo()).catch(() => {});
    if (!this.#tree.away) await undone; // else when the connection is back
  }

  /** Undoes all `add` of *node*. @param {Node} node */
  async deafen(node) {
    const own = this.#ofNode.get(node);
    if (own) await Promise.all([...own].map(([address, handler]) => this.drop(node, address, handler)));
  }
}

/** @param {Session} session @param {string} address @param {Listening} listening @returns {Promise<Undo>} */
function subscribe(session, address, listening) {
  /** @type {Listener} */
  const heard = (topic, args, kwargs, details = {}) => {
    if (!travels(parted(topic)[1])) return;
    for (const each of [...listening.handlers])
      if (listening.handlers.includes(each)) void each[0]._hear(each[1], { topic, args, kwargs, details });
  };
  return parted(address)[1].startsWith("on_")
    ? telling(session.subscribe(address, heard, { topic: true }), address, "exact")
    : telling(session.subscribe(`${address}.`, heard, { match: "wildcard", topic: true }), `${address}.`, "wildcard");
}

/** @param {Promise<Undo>} asked @param {string} uri @param {"exact" | "wildcard"} match */
const telling = (asked, uri, match) =>
  asked.catch((error) => {
    throw refused(error, "subscribe", uri, match);
  });

/** An address without its last part, and that. @param {string} address @returns {[above: string, name: string]} */
export function parted(address) {
  const dot = address.lastIndexOf(".");
  return [address.slice(0, Math.max(dot, 0)), address.slice(dot + 1)];
}
