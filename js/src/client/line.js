/**
 * The one connection that a plain session has, and its return when it is lost, as `limen.client.line`.
 *
 *     offline → online → (lost) → offline → online …  → over
 *
 * @module
 */
import { lost } from "../connection.js";
import { LimenError, fromWire } from "../exc.js";
import { domainName } from "../names.js";
import { ABORT, GOODBYE, HELLO, ROLES, UNSUBSCRIBE, WELCOME, encode, parse } from "../wamp.js";

/** @typedef {import("../wamp.js").Message} Message */
/**
 * Messages both ways. *dial* opens one; handlers are set before it has anything to say.
 * *buffered*: bytes that wait to leave.
 * @typedef {{send(message: any[]): void, close(): void, buffered(): number, onmessage: (message: Message) => void,
 *    onclose: (why: string) => void}} Link
 */
/** @typedef {() => Promise<Link>} Dial */
/**
 * Who is told. *ask*: sends a request whose answer nobody needs. @typedef {{entered(welcome: Message): void,
 *   received(message: Message): void, lost(): void, ended(error: LimenError): void,
 *   ask(make: (request: number) => any[]): unknown}} Owner
 */

/** ms between attempts to come back: a random part of a limit that doubles from the first to the longest. */
const PAUSE = { first: 100, most: 10_000 };
/** ms: how long an answer to HELLO may take; silence after which a sign of life is asked for, and may take. */
const PATIENCE = { greeting: 10_000, quiet: 30_000, sign: 15_000 };
const NO_SUBSCRIPTION = 2 ** 53 - 1;
const SUBPROTOCOL = "wamp.2.json";
const COMING_BACK = ["wamp.close.system_shutdown", "limen.close.changed"];

/**
 * The WebSocket of the server at *url*: `/ws` there, below the path that an http URL has; the path itself of a ws URL
 * that has one. *realm*: the URL's host.
 *
 *     endpoint("http://localhost:9000") → {url: "ws://localhost:9000/ws", realm: "localhost"}
 *
 * @param {string} url
 * @throws {LimenError} InvalidAddress
 */
export function endpoint(url) {
  /** @type {URL} */ let at;
  try {
    at = new URL(url, globalThis.location?.href);
  } catch {
    throw new LimenError("InvalidAddress", [`${JSON.stringify(url)} is no URL.`]);
  }
  if (!/^(http|ws)s?:$/.test(at.protocol))
    throw new LimenError("InvalidAddress", [`${JSON.stringify(url)} is no URL of http, https, ws or wss.`]);
  const path = at.pathname.replace(/\/+$/, "");
  if (!path || (at.protocol.startsWith("http") && !path.endsWith("/ws"))) at.pathname = `${path}/ws`;
  at.protocol = at.protocol.replace("http", "ws");
  at.hash = "";
  return { url: at.href, realm: domainName(at.hostname) };
}

/**
 * Opens WebSockets to *url*.
 * @param {string} url
 * @param {typeof globalThis.WebSocket} WebSocket
 * @returns {Dial}
 */
export const webSocket = (url, WebSocket) => () =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(url, [SUBPROTOCOL]);
    /** @type {Link} */
    const link = {
      send: (message) => socket.send(encode(message)),
      close: () => socket.close(1000),
      buffered: () => socket.bufferedAmount,
      onmessage: () => {},
      onclose: () => {},
    };
    socket.onopen = () => {
      if (socket.protocol === SUBPROTOCOL) return resolve(link);
      socket.close();
      return reject(lost(`Something else than ${SUBPROTOCOL} answers at ${url}.`));
    };
    socket.onmessage = ({ data }) => {
      try {
        link.onmessage(parse(JSON.parse(data)));
      } catch (error) {
        socket.onclose = null;
        socket.close();
        link.onclose(`What came was not understood: ${/** @type {Error} */ (error).message}.`);
      }
    };
    socket.onerror = () => {}; // the end says so
    socket.onclose = ({ reason }) => {
      reject(lost(`There is no connection to ${url}.`));
      link.onclose(reason || "The connection was lost.");
    };
  });

export class Line {
  /** @type {Link | undefined} */ link;
  /** Why nothing can be sent any more. @type {LimenError | undefined} */ over;
  #dial;
  #realm;
  #owner;
  #clock;
  #heard = 0;
  #asked = -1; // when a sign of life was asked for; -1: nothing is due
  #wake = () => {};
  /** @type {any} */ #watch;
  /** @type {(() => void) | undefined} */ #farewell;

  /**
   * @param {Dial} dial
   * @param {string} realm
   * @param {Owner} owner
   * @param {import("./clock.js").Clock} clock
   */
  constructor(dial, realm, owner, clock) {
    this.#dial = dial;
    this.#realm = realm;
    this.#owner = owner;
    this.#clock = clock;
    globalThis.addEventListener?.("online", this.#nudged);
  }

  /** The network may be back. */
  #nudged = () => this.#wake();

  /** The first connection. Rejects with what the router says, or with ConnectionLost; then it may be tried again. */
  async open() {
    if (this.over) throw this.over;
    if (!this.link) await this.#attempt();
  }

  /** @param {any[]} message */
  send(message) {
    this.link?.send(message);
  }

  /** GOODBYE, and its answer. */
  async close() {
    const { link } = this;
    if (link) {
      const answered = new Promise((resolve) => (this.#farewell = () => resolve(undefined)));
      const patience = this.#clock.setTimeout(() => this.#farewell?.(), 2000);
      link.send([GOODBYE, {}, "wamp.close.close_realm"]);
      await answered;
      this.#clock.clearTimeout(patience);
    }
    this.end(lost("The connection was closed."));
  }

  /** The line is over. @param {LimenError} error */
  end(error) {
    if (this.over) return;
    this.over = error;
    globalThis.removeEventListener?.("online", this.#nudged);
    this.#wake();
    this.#let();
    this.#owner.ended(error);
  }

  /** Lets go of the link; nothing is heard of it any more. */
  #let() {
    const { link } = this;
    this.link = undefined;
    this.#clock.clearTimeout(this.#watch);
    if (!link) return;
    link.onmessage = link.onclose = () => {};
    link.close();
  }

  /** Opens a link and goes through the greeting. */
  async #attempt() {
    const { greeting } = PATIENCE;
    /** @type {Link | undefined} */ let link;
    /** @type {any} */ let timer;
    /** @type {(error: LimenError) => void} */ let giveUp = () => {};
    const late = new Promise((_, reject) => (giveUp = reject));
    late.catch(() => {});
    timer = this.#clock.setTimeout(() => giveUp(lost("The router did not answer in time.")), greeting);
    const dialed = this.#dial();
    try {
      link = /** @type {Link} */ (await Promise.race([dialed, late]));
      if (this.over) throw this.over;
      await Promise.race([this.#greet(link), late]);
    } catch (error) {
      if (link) link.onmessage = link.onclose = () => {};
      dialed.then((each) => each.close()).catch(() => {});
      throw error instanceof LimenError ? error : lost(String(error));
    } finally {
      this.#clock.clearTimeout(timer);
    }
  }

  /** @param {Link} link @returns {Promise<void>} */
  #greet(link) {
    return new Promise((resolve, reject) => {
      link.onclose = (why) => reject(lost(why));
      link.onmessage = (message) => {
        if (message.type === WELCOME) {
          if (this.over) return reject(this.over);
          this.#enter(link, message);
          return resolve();
        }
        if (message.type !== ABORT) return reject(lost("The router did not answer HELLO with WELCOME."));
        const { uri, details } = message;
        return reject(fromWire(uri, details.exc ? details : undefined, [details.message]));
      };
      link.send([HELLO, this.#realm, { roles: ROLES, agent: "limen" }]);
    });
  }

  /** @param {Link} link @param {Message} welcome */
  #enter(link, welcome) {
    this.link = link;
    this.#heard = this.#clock.now();
    this.#asked = -1;
    link.onmessage = (message) => this.#received(link, message);
    link.onclose = () => this.#lost(link);
    this.#listen();
    this.#owner.entered(welcome);
  }

  /** @param {Link} link @param {Message} message */
  #received(link, message) {
    if (link !== this.link) return;
    this.#heard = this.#clock.now();
    this.#asked = -1;
    if (message.type !== GOODBYE) return this.#owner.received(message);
    if (this.#farewell) return this.#farewell();
    link.send([GOODBYE, {}, "wamp.close.goodbye_and_out"]);
    if (COMING_BACK.includes(message.uri)) return this.#lost(link);
    return this.end(new LimenError("UnknownSession", [message.details.message ?? `The router said ${message.uri}.`]));
  }

  /** @param {Link} link */
  #lost(link) {
    if (link !== this.link) return;
    this.#let();
    if (this.#farewell) return this.#farewell();
    this.#owner.lost();
    void this.#return();
  }

  /** Comes back, with longer and longer pauses, each cut at random: many clients do not come at once. */
  async #return() {
    let told = false;
    for (let limit = PAUSE.first; !this.over && !this.link; limit = Math.min(2 * limit, PAUSE.most)) {
      await this.#pause(Math.random() * limit);
      if (this.over) return;
      await this.#attempt().catch((error) => {
        if (told || this.over || error.is("ConnectionLost")) return; // the browser tells of those
        told = true; // a router that starts may refuse at first
        console.warn("Limen: the router lets this session not come back; it is tried again:", error);
      });
    }
  }

  /** @param {number} time (ms); shorter where the network says that it is back */
  #pause(time) {
    return new Promise((resolve) => {
      const timer = this.#clock.setTimeout(() => this.#wake(), time);
      this.#wake = () => {
        this.#clock.clearTimeout(timer);
        this.#wake = () => {};
        resolve(undefined);
      };
    });
  }

  /** Asks for a sign of life where nothing is heard: a network may be gone without a word. */
  #listen() {
    this.#watch = this.#clock.setTimeout(() => {
      const { link } = this;
      if (!link) return;
      const now = this.#clock.now();
      if (this.#asked >= 0 && now - this.#asked >= PATIENCE.sign) return this.#lost(link);
      if (this.#asked < 0 && now - this.#heard >= PATIENCE.quiet) {
        this.#asked = now;
        this.#owner.ask((/** @type {number} */ request) => [UNSUBSCRIBE, request, NO_SUBSCRIPTION]);
      }
      this.#listen();
    }, PATIENCE.sign);
    this.#watch?.unref?.(); // nobody's process lives on for this
  }
}
