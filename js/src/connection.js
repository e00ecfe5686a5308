/**
 * One sealed WebSocket, from HELLO to its end.
 *
 *     const { connection, welcome } = await greet(place, greeting);     // greeting: a ClientLogin or ClientResume
 *     connection.onmessage = (message) => …;  connection.onclose = () => …;
 *     const frame = connection.send([CALL, 1, {}, "add", ["text"]]);
 *
 * @module
 */
import { text, utf8 } from "./bytes.js";
import { LimenError, fromWire } from "./exc.js";
import { Channel } from "./seal/channel.js";
import * as wamp from "./wamp.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/**
 * Where the server is, seen from here. *url*: of the WebSocket; *base*: of its addresses. *lane*: "ws" or "http".
 * @typedef {{url: string, base: string, domain: string, subprotocol: string, lane: string,
 *    WebSocket: typeof globalThis.WebSocket, timeout: number}} Place
 */
/**
 * A way in: what HELLO, AUTHENTICATE and the key schedule are made of.
 * @typedef {{
 *   method: string,
 *   sealed: boolean,
 *   hello(): Record<string, any>,
 *   answer(extra: Record<string, any>): Promise<Record<string, any>>,
 *   keys(frames: {hello: Bytes, challenge: Bytes, authenticate: Bytes}):
 *     Promise<{send: Bytes, receive: Bytes, th: Uint8Array}>
 * }} Greeting
 */

/** @param {...string} why */
export const lost = (...why) => new LimenError("ConnectionLost", why);

/**
 * What an ABORT before CHALLENGE says. Nobody vouches for it: whoever sits on the line may have written it.
 * @param {wamp.Message} abort
 */
function verdict(abort) {
  // an unknown domain looks like a bad credential
  const uri = abort.uri === "wamp.error.no_such_realm" ? "wamp.error.authentication_failed" : abort.uri;
  const error = fromWire(uri, abort.details.exc ? abort.details : undefined, [abort.details.message]);
  Object.defineProperty(error, "verdict", { value: true });
  return error;
}

/** Frames as they come, to be waited for one by one; and the end. */
class Inbox {
  /** @type {(string | Bytes)[]} */ #frames = [];
  /** @type {{resolve: (frame: string | Bytes) => void, reject: (error: Error) => void} | undefined} */ #waiting;
  /** @type {Error | undefined} */ #error;

  /** @param {string | Bytes} frame */
  push(frame) {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) waiting.resolve(frame);
    else this.#frames.push(frame);
  }
  /** @param {Error} error */
  end(error) {
    this.#error ??= error;
    this.#waiting?.reject(this.#error);
  }
  /** @returns {Promise<string | Bytes>} */
  next() {
    const frame = this.#frames.shift();
    if (frame !== undefined) return Promise.resolve(frame);
    if (this.#error) return Promise.reject(this.#error);
    return new Promise((resolve, reject) => (this.#waiting = { resolve, reject }));
  }
  rest() {
    return this.#frames.splice(0);
  }
}

export class Connection {
  /** @type {(message: wamp.Message) => void} */ onmessage = () => {};
  /** @type {(error: LimenError) => void} called once, unless this end closed first */ onclose = () => {};
  /** When something was last heard (ms). */
  heard = performance.now();
  #socket;
  #channel;
  #open = true;
  /** @type {Promise<unknown>} */ #outgoing = Promise.resolve();
  /** @type {Promise<unknown>} */ #incoming = Promise.resolve();

  /** @param {WebSocket} socket @param {Channel} channel */
  constructor(socket, channel) {
    this.#socket = socket;
    this.#channel = channel;
  }

  /** Begins to hear, once `onmessage` and `onclose` are set: first what came meanwhile. @param {Inbox} inbox */
  listen(inbox) {
    this.#socket.onmessage = ({ data }) => this.#receive(typeof data === "string" ? data : new Uint8Array(data));
    this.#socket.onclose = () => this.#end(lost());
    for (const frame of inbox.rest()) this.#receive(frame);
    if (this.#socket.readyState > 1) this.#end(lost());
  }

  /**
   * Seals and sends one message, after those before it.
   * @param {any[]} message
   * @returns {number} the number of its frame
   */
  send(message) {
    const frame = this.#channel.sent;
    const sealed = this.#channel.seal(utf8(wamp.encode(message)));
    this.#outgoing = this.#outgoing
      .then(() => sealed)
      .then((data) => this.#socket.readyState === 1 && this.#socket.send(data))
      .catch((error) => this.#end(lost(String(error))));
    return frame;
  }

  /** Ends, after what was sent; nothing is heard any more. @param {any[]} [farewell] a last message */
  close(farewell) {
    this.#open = false;
    if (farewell) this.send(farewell);
    void this.#outgoing.then(() => this.#socket.close(1000));
  }

  /** Bytes that wait to leave. */
  get buffered() {
    return this.#socket.bufferedAmount;
  }

  /** Nothing comes any more, and nobody said so. */
  giveUp() {
    this.#end(lost());
  }

  /** @param {string | Bytes} frame */
  #receive(frame) {
    if (!this.#open) return;
    this.heard = performance.now();
    // a text frame in a sealed session is nobody's word: the connection is lost, nothing more
    const opened =
      typeof frame === "string" ? Promise.reject(new SyntaxError("a frame came unsealed")) : this.#channel.open(frame);
    opened.catch(() => {}); // heard of below, in order
    this.#incoming = this.#incoming
      .then(() => opened)
      .then((plain) => this.#open && this.onmessage(wamp.decode(text(plain))))
      .catch((error) => this.#end(lost(`The connection was given up: ${error.message}.`)));
  }

  /** @param {LimenError} error */
  #end(error) {
    // what came before the end is heard before it
    void this.#incoming.then(() => {
      if (!this.#open) return;
      this.#open = false;
      this.#socket.close();
      this.onclose(error);
    });
  }
}

/**
 * Opens a socket and goes through the greeting.
 *
 * Rejects with ConnectionLost (one may try again), with the error that an ABORT named before CHALLENGE
 * (`error.verdict`: nobody vouches for
 * it), or with what the greeting says of CHALLENGE.
 * @param {Place} place
 * @param {Greeting} greeting
 * @param {{signal?: AbortSignal, authenticated?: () => void}} [watch] *authenticated*: called as AUTHENTICATE leaves
 * @returns {Promise<{connection: Connection, welcome: wamp.Message, listen: () => void}>} call *listen* when the
 *   connection's handlers are set
 */
export async function greet(place, greeting, { signal, authenticated } = {}) {
  const inbox = new Inbox();
  const socket = new place.WebSocket(place.url, [place.subprotocol]);
  const giveUp = () => inbox.end(lost());
  socket.binaryType = "arraybuffer";
  socket.onopen = () => inbox.push("open");
  socket.onmessage = ({ data }) => inbox.push(typeof data === "string" ? data : new Uint8Array(data));
  socket.onclose = giveUp;
  signal?.addEventListener("abort", giveUp);
  const next = () => {
    const timer = setTimeout(() => inbox.end(lost("The server did not answer in time.")), place.timeout);
    return inbox.next().finally(() => clearTimeout(timer));
  };
  try {
    if (signal?.aborted) throw lost();
    await next();
    if (socket.protocol !== place.subprotocol)
      throw lost(`Something else than ${place.subprotocol} answers at ${place.url}.`);

    const hello = wamp.encode([
      wamp.HELLO,
      place.domain,
      { roles: wamp.ROLES, authmethods: [greeting.method], ...greeting.hello() },
    ]);
    socket.send(hello);
    const heard = await next();
    const challenge = wamp.decode(typeof heard === "string" ? heard : "");
    if (challenge.type === wamp.ABORT) throw verdict(challenge);
    if (challenge.type !== wamp.CHALLENGE || challenge.method !== greeting.method)
      throw lost("The server did not answer HELLO with CHALLENGE.");

    const authenticate = wamp.encode([wamp.AUTHENTICATE, "", await greeting.answer(challenge.extra)]);
    const frames = {
      hello: utf8(hello),
      challenge: utf8(/** @type {string} */ (heard)),
      authenticate: utf8(authenticate),
    };
    const channel = new Channel(await greeting.keys(frames));
    const frame = greeting.sealed ? await channel.seal(frames.authenticate) : authenticate;
    if (socket.readyState !== 1) throw lost();
    authenticated?.();
    socket.send(frame);

    const sealed = await next();
    // only ABORT may come unsealed here, and it is taken for a lost connection, never for a verdict
    if (typeof sealed === "string") throw lost();
    const welcome = wamp.decode(text(await channel.open(sealed)));
    if (welcome.type !== wamp.WELCOME) throw lost("The server's first sealed message was no WELCOME.");
    const connection = new Connection(socket, channel);
    return { connection, welcome, listen: () => connection.listen(inbox) };
  } catch (error) {
    socket.onopen = socket.onclose = socket.onmessage = null;
    socket.close();
    if (error instanceof LimenError) throw error;
    throw lost(`The server's greeting was not understood: ${/** @type {Error} */ (error).message}.`);
  } finally {
    signal?.removeEventListener("abort", giveUp);
  }
}
