/**
 * A connection to a router, as a tree of nodes stands on it.
 *
 *     const connection = new Connection("wss://router.example/ws", "example");
 *     await when_connected(connection);
 *     await node.node_bind("test.first", connection.new_context());
 *     …
 *     await connection.close();
 *
 * @module
 */
import { LimenError } from "../exc.js";
import { NodeContext } from "./context.js";
import { endpoint, webSocket } from "../client/line.js";
import { CLOCK } from "../client/clock.js";
import { SealedSession } from "../client/sealed.js";
import { PlainSession } from "../client/session.js";
import { Tree } from "./tree.js";

/** @typedef {import("./port.js").Session} Session */
/**
 * What a connection holds: a session port that it opens and closes.
 * @typedef {Session & {open(): Promise<void>, close(): Promise<void>}} Opened
 */
/**
 * *WebSocket*: the class; the browser's own, unless said. *session*: another than a plain one; then there is no URL.
 * @typedef {{WebSocket?: typeof globalThis.WebSocket, clock?: import("../client/clock.js").Clock, session?: Opened}} Options
 */

/** Connections of the page's login: a session has one callee. @type {WeakMap<object, Connection>} */
const SEALED = new WeakMap();

export class Connection {
  /** The session port. @type {Opened} */ session;
  /** What is bound here. @type {Tree} */ tree;
  /** @type {import("../client/clock.js").Clock} */ clock;
  /** @type {Promise<void> | undefined} */ #opening;

  /**
   * Nothing is opened before `when_connected`. Once open it comes back by itself, for ever.
   * @param {string} url http(s): `/ws` below it; ws(s): as it is
   * @param {string} [realm] the URL's host, unless said
   * @param {Options} [options]
   */
  constructor(url, realm, { WebSocket = globalThis.WebSocket, clock = CLOCK, session } = {}) {
    this.clock = clock;
    if (session) {
      this.session = session;
    } else {
      const at = endpoint(url);
      this.session = new PlainSession(webSocket(at.url, WebSocket), realm ?? at.realm, clock);
    }
    this.tree = new Tree(this.session);
  }

  /**
   * The connection of the page's login: everything sealed, as the user who is logged in. It is open once somebody is.
   * One for a page; a new one once somebody else has logged in.
   *
   *     const connection = await when_connected(Connection.over(Limen));
   *
   * @param {{_session: import("../session.js").Session}} [limen] the module limen.mjs; the global Limen, unless said
   * @returns {Connection}
   */
  static over(limen = /** @type {any} */ (globalThis).Limen) {
    const core = limen?._session;
    if (!core)
      throw new LimenError("InvalidCall", [
        "There is no Limen in this page; load /limen/limen.js, or give the module: Connection.over(Limen).",
      ]);
    const known = SEALED.get(core);
    if (known && known.state !== "closed") return known;
    const connection = new Connection("", undefined, { session: new SealedSession(core) });
    SEALED.set(core, connection);
    return connection;
  }

  /**
   * A context for nodes that are reached by this connection.
   * @param {Record<string, unknown>} [more] members of it
   */
  new_context(more) {
    const { session, tree, clock } = this;
    return new NodeContext({ connection: this, session, tree, clock }).new(more);
  }

  /** "offline" until it is opened, and while it is lost; "closed": for good. */
  get state() {
    return this.session.state;
  }

  /** @type {Session["on"]} */
  on(event, handler) {
    return this.session.on(event, handler);
  }

  /** What `when_connected` awaits. @returns {Promise<void>} */
  connected() {
    this.#opening ??= this.session.open().catch((error) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  /** Ends it. All that waits rejects. */
  async close() {
    await this.session.close();
  }
}

/**
 * Resolves to the connection once it is open; the first time that opens it. Rejects with what the router says, or with
 * ConnectionLost; then it may be tried again.
 * @template {Connection} C
 * @param {C} connection
 * @returns {Promise<C>}
 */
export async function when_connected(connection) {
  await connection.connected();
  return connection;
}
