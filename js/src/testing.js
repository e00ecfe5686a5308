/**
 * For tests of programs with nodes: connected pairs in memory, a router between them, and a clock that stands still.
 *
 *     const [here, there] = connections(2);
 *     await first.node_bind("test.first", here.new_context());
 *     await third.node_bind("test.third", there.new_context());
 *
 *     here.cut();                   // the connection is lost, and comes back by itself
 *     here.cut({ away: true });     // … is lost, and stays so …
 *     here.come_back();             // … until it may return
 *
 * @module
 */
import { lost } from "./connection.js";
import { Connection, PlainSession } from "./node.js"; // all of it from there: the build has it once
import { Clock } from "./testing/clock.js";
import { MemoryRouter } from "./testing/router.js";
import { parse } from "./wamp.js";

export { Clock, MemoryRouter };

/** @typedef {import("./client/clock.js").Clock} AnyClock */

/** A connection to a router in memory. It opens by itself; what is done before waits for that. */
export class MemoryConnection extends Connection {
  #router;
  #away = false;
  /** @type {(() => void) | undefined} */ #lose;

  /** @param {MemoryRouter} router @param {AnyClock} [clock] */
  constructor(router, clock) {
    super("", undefined, { clock, session: new PlainSession(() => this.#dial(), "memory", clock) });
    this.#router = router;
    this.connected().catch(() => {}); // closed before
  }

  /**
   * Loses the connection, as a network does. It comes back by itself, after a pause as its clock tells it.
   * @param {{away?: boolean}} [options] *away*: not before `come_back`
   * @returns {() => void} `come_back`
   */
  cut({ away = false } = {}) {
    this.#away = away;
    this.#lose?.();
    return () => this.come_back();
  }

  /** Lets a connection return that was cut with *away*. */
  come_back() {
    this.#away = false;
  }

  /** @type {import("./client/line.js").Dial} */
  async #dial() {
    if (this.#away) throw lost("The connection is cut.");
    const peer = this.#router.join((message) => link.onmessage(parse(message)));
    /** @type {import("./client/line.js").Link} */
    const link = {
      send: (message) => peer.receive(message),
      close: () => peer.leave(),
      buffered: () => 0,
      onmessage: () => {},
      onclose: () => {},
    };
    this.#lose = () => {
      peer.leave();
      link.onclose("The connection was cut.");
    };
    return link;
  }
}

/**
 * *n* connections to one router of their own.
 * @param {number} n
 * @param {{clock?: AnyClock, router?: MemoryRouter}} [options]
 * @returns {MemoryConnection[]}
 */
export const connections = (n, { clock, router = new MemoryRouter() } = {}) =>
  Array.from({ length: n }, () => new MemoryConnection(router, clock));

const shared = new MemoryRouter();

/**
 * A context with a connection of its own, to a router that all of these share.
 *
 *     const [one, other] = [gen_ctx(), gen_ctx()];
 *     await first.node_bind("test.first", one);
 *
 * @param {Record<string, unknown>} [more] members of it
 */
export const gen_ctx = (more) => new MemoryConnection(shared).new_context(more);
