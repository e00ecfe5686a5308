/**
 * Wiring: what the router was told of a root and all below it, and how that is taken back.
 *
 *     REGISTER  "test.first."  prefix      once a node of it offers a call: for all of them, those added later, too
 *     SUBSCRIBE "test.first."  prefix      once a node of it has a signal that travels
 *
 * A router that matches no patterns (WAMP advanced profile) is told each call and each signal, all under way at once. Of
 * a node that offers nothing nothing is said: its session need not have the right to.
 *
 * @module
 */
import { LimenError } from "../exc.js";
import { declared } from "./declared.js";

/** @typedef {import("./node.js").Node} Node */
/** @typedef {import("./port.js").Session} Session */
/** @typedef {import("./port.js").Undo} Undo */
/**
 * @typedef {(topic: string, args: unknown[], kwargs: Record<string, unknown>, details?: Record<string, any>) => void}
 *   Listener
 */
/**
 * Something a router can be told.
 * @typedef {{ uri: string, kind: "call" | "signal", match: "exact" | "prefix" }} Fact
 */

/** The name of a call that is its node itself. */
export const SELF = ".";
/** The call by which the state of a node is mirrored: each node has it, and offers it once there is a state. */
export const STREAM = "node_stream";
const TAKEN = "wamp.error.procedure_already_exists";

export class Wiring {
  #session;
  #root;
  #invoked;
  #said;
  /** @type {Map<string, Promise<Undo>>} */ #told = new Map();

  /**
   * @param {Session} session
   * @param {string} root the address of the root
   * @param {import("./port.js").Endpoint} invoked gets calls of any node of it
   * @param {Listener} said gets events of any of their signals
   */
  constructor(session, root, invoked, said) {
    this.#session = session;
    this.#root = root;
    this.#invoked = invoked;
    this.#said = said;
  }

  /**
   * Tells the router what it does not know yet of *nodes*. If anything is refused all of it is undone, and what was
   * said against it is thrown.
   * @param {Iterable<Node>} nodes
   */
  async tell(nodes) {
    /** @type {string[]} */ const added = [];
    /** @type {Promise<Undo>[]} */ const work = [];
    for (const fact of this.#facts(nodes)) {
      const key = `${fact.kind} ${fact.uri}`;
      let told = this.#told.get(key);
      if (!told) {
        this.#told.set(key, (told = this.#say(fact)));
        added.push(key);
      }
      work.push(told);
    }
    const refused = (await Promise.allSettled(work)).find((outcome) => outcome.status === "rejected");
    if (!refused) return;
    await this.#undo(added);
    throw /** @type {PromiseRejectedResult} */ (refused).reason;
  }

  /** Takes back what was told of *nodes* alone. @param {Iterable<Node>} nodes */
  async forget(nodes) {
    const own = [...this.#facts(nodes, true)].filter(({ match }) => match === "exact");
    await this.#undo(own.map(({ kind, uri }) => `${kind} ${uri}`));
  }

  /** The router keeps *uri* no more: it is asked for again with the next node that needs it. @param {string} uri */
  revoked(uri) {
    for (const kind of ["call", "signal"]) this.#told.delete(`${kind} ${uri}`);
  }

  /** Takes all back. */
  async end() {
    await this.#undo([...this.#told.keys()]);
  }

  /**
   * What is said against it is of no use to anybody: it is gone with its session, if not before. While the connection
   * is lost nobody waits: what was asked and not answered is undone when that has returned.
   * @param {string[]} keys
   */
  async #undo(keys) {
    const undone = keys.map((key) => {
      const told = this.#told.get(key);
      this.#told.delete(key);
      return told?.then((undo) => undo());
    });
    const all = Promise.allSettled(undone);
    if (this.#session.state === "online") await all;
  }

  /** @param {Fact} fact @returns {Promise<Undo>} */
  async #say({ uri, kind, match }) {
    try {
      return kind === "call"
        ? await this.#session.register(uri, this.#invoked, { match })
        : await this.#session.subscribe(uri, this.#said, { match, topic: true });
    } catch (error) {
      throw refused(error, kind === "call" ? "register" : "subscribe", uri, match);
    }
  }

  /**
   * What a router has to know so that *nodes* are reached.
   * @param {Iterable<Node>} nodes
   * @param {boolean} [streams] whether or not they have a state
   * @returns {Generator<Fact>}
   */
  *#facts(nodes, streams = false) {
    const callsAtOnce = matches(this.#session, "dealer", "pattern_based_registration");
    const signalsAtOnce = matches(this.#session, "broker", "pattern_based_subscription");
    /** @type {{ uri: string, match: "prefix" }} */ const all = { uri: `${this.#root}.`, match: "prefix" };
    for (const node of nodes) {
      const address = String(node.node_path);
      for (const name of declared(node.constructor).calls.keys()) {
        if (name === STREAM && !node._stateful && !streams) continue;
        if (name === SELF && (!callsAtOnce || address === this.#root))
          yield { kind: "call", uri: address, match: "exact" };
        else if (callsAtOnce) yield { kind: "call", ...all };
        else yield { kind: "call", uri: `${address}.${name}`, match: "exact" };
      }
      for (const name of declared(node.constructor).signals.keys()) {
        if (!travels(name)) continue;
        if (signalsAtOnce) yield { kind: "signal", ...all };
        else yield { kind: "signal", uri: `${address}.${name}`, match: "exact" };
      }
    }
  }
}

/**
 * *error*, with what the router has refused, and what lets it.
 * @param {unknown} error
 * @param {"register" | "subscribe"} action
 * @param {string} uri
 * @param {"exact" | "prefix" | "wildcard"} match
 */
export function refused(error, action, uri, match) {
  if (!(error instanceof LimenError)) return error;
  const { exc, message, facts } = error;
  if (error.uri === TAKEN)
    return new LimenError(exc, [`Somebody else stands at '${uri.replace(/\.$/, "")}' already: ${message}`], facts, TAKEN);
  if (!error.is("Unauthorized")) return error;
  const matching = match === "exact" ? "" : `, match='${match}'`;
  const said =
    `The router does not let this session ${action} '${uri}': ${message} A Limen server lets it by a rule: ` +
    `limen.realm_rule('${action}', '${uri}'${matching}, roles=[…]).`;
  return new LimenError(exc, [said], facts, error.uri);
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
