/**
 * A sealed session without a WebSocket: each request is a POST of its own (docs/security.md, "The HTTP lane"). Loaded
 * where the page asks for it (`data-lane="http"`). To the session it looks like a `Connection`.
 *
 * A request whose answer was lost is sent again, the same bytes: the server runs nothing twice.
 * @module
 */
import { base64, utf8, text } from "./bytes.js";
import { lost } from "./connection.js";
import { LimenError, fromWire } from "./exc.js";
import { BadFrame } from "./seal/channel.js";
import { Lane } from "./seal/lane.js";
import * as wamp from "./wamp.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/** @typedef {import("./connection.js").Place} Place */
/** @typedef {import("./seal/lane.js").Answer} Answer */

const TYPE = "application/x-limen-json";
const TRIES = 5;
/** What a proxy says that could not reach the server, which may know the answer once it is back. */
const GATEWAY = [502, 503, 504];
/** Verdicts that nobody vouches for, as of an ABORT: nothing ran. */
const NOT_RUN = ["Abusive", "RequireSSL", "TooLarge", "Busy", "Forbidden", "InvalidCall", "NotFound"];

const NO_CALLEE = "Over the HTTP lane a page calls, publishes and listens; to be called takes a WebSocket.";
const CHANGES = ["limen.session.impersonate", "limen.session.relinquish"];

/** @param {Uint8Array} bytes */
const base64url = (bytes) => base64(bytes).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

/**
 * @param {Place} place
 * @param {string} step
 * @param {Bytes} body
 * @param {Record<string, string>} headers
 * @param {AbortSignal} signal
 */
async function post(place, step, body, headers, signal) {
  const url = new URL(`limen/lane/${step}`, place.base);
  try {
    return await fetch(url, {
      method: "POST",
      headers: { "Content-Type": TYPE, ...headers },
      body,
      signal,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
    });
  } catch (error) {
    throw lost(`The server did not answer: ${/** @type {Error} */ (error).message}.`);
  }
}

/** What an answer without a seal says; undefined: it is not Limen's. @param {Response} response */
async function refusal(response) {
  const said = await response.json().catch(() => undefined);
  return said && typeof said.exc === "string" ? fromWire("", said) : undefined;
}

/** What the lane has instead of a WebSocket. */
class LaneConnection {
  /** @type {(message: wamp.Message) => void} */ onmessage = () => {};
  /** @type {(error: LimenError) => void} */ onclose = () => {};
  #place;
  #lane;
  #slot;
  #open = true;
  #sent = 0;
  #end = new AbortController();
  /** @type {Map<number, number>} request id → number */ #numbers = new Map();
  /** @type {Map<number, AbortController>} subscription → its stream */ #streams = new Map();

  /** @param {Place} place @param {Lane} lane @param {string} slot */
  constructor(place, lane, slot) {
    this.#place = place;
    this.#lane = lane;
    this.#slot = slot;
  }

  /** Nothing need be heard between two requests. */
  get heard() {
    return performance.now();
  }

  /**
   * @param {any[]} message
   * @returns {number} as of a connection: how many went before it
   */
  send(message) {
    const frame = this.#sent++;
    const [type, request] = message;
    if (type === wamp.UNSUBSCRIBE) {
      this.#streams.get(message[2])?.abort();
      queueMicrotask(() => this.#hear({ type: wamp.UNSUBSCRIBED, request }));
    } else if (type === wamp.REGISTER) {
      const { uri, err: args } = new LimenError("InvalidCall", [NO_CALLEE]);
      queueMicrotask(() => this.#hear({ type: wamp.ERROR, requestType: type, request, details: {}, uri, args }));
    } else if (type === wamp.CANCEL) {
      const call = this.#numbers.get(request);
      if (call !== undefined) void this.#ask((number) => [wamp.CANCEL, number, { call }]).catch(() => {});
    } else {
      void this.#ask((number) => {
        this.#numbers.set(request, number);
        return [type, number, ...message.slice(2)];
      }, request).catch((error) => this.#fail(error));
    }
    return frame;
  }

  /** @param {any[]} [farewell] */
  close(farewell) {
    this.#open = false;
    if (farewell?.[2] === "wamp.close.normal")
      void this.#ask((number) => [wamp.CALL, number, {}, "limen.session.logout"]).catch(() => {});
    else this.#end.abort();
    for (const stream of this.#streams.values()) stream.abort();
  }

  giveUp() {
    this.#fail(lost());
  }

  /** @param {any} message */
  #hear(message) {
    if (this.#open) this.onmessage(message);
  }

  /** @param {unknown} error */
  #fail(error) {
    if (!this.#open) return;
    this.#open = false;
    this.#end.abort();
    this.onclose(error instanceof LimenError ? error : lost(String(error)));
  }

  /**
   * One request and its answer; rejects if that ends the connection.
   * @param {(number: number) => any[]} make
   * @param {number} [request] under which the session knows it
   */
  async #ask(make, request) {
    let changes = false;
    const { number, frame, answer } = await this.#lane.seal((number) => {
      const message = make(number);
      changes = message[0] === wamp.CALL && CHANGES.includes(message[3]);
      return utf8(wamp.encode(message));
    });
    const stream = new AbortController();
    this.#end.signal.addEventListener("abort", () => stream.abort());
    for (let tries = 1; ; tries++) {
      try {
        await this.#exchange(number, frame, answer, stream, request, { again: tries > 1, changes });
        break;
      } catch (error) {
        if (stream.signal.aborted) break;
        if (error instanceof BadFrame) throw lost("What came is not the server's answer.");
        if (!(error instanceof LimenError && error.exc === "ConnectionLost") || tries === TRIES || !answer.fresh)
          throw error;
        answer.rewind();
        await new Promise((resolve) => setTimeout(resolve, 125 * 2 ** tries));
      }
    }
    if (request !== undefined) this.#numbers.delete(request);
  }

  /**
   * @param {number} number
   * @param {Bytes} frame
   * @param {Answer} answer
   * @param {AbortController} stream
   * @param {number | undefined} request
   * @param {{again: boolean, changes: boolean}} how *again*: an earlier try may have run
   */
  async #exchange(number, frame, answer, stream, request, { again, changes }) {
    const headers = { "X-Limen-Slot": this.#slot, "X-Limen-Number": String(number) };
    const response = await post(this.#place, "call", frame, headers, stream.signal);
    if (!response.ok) {
      const error = await refusal(response);
      if (!error && GATEWAY.includes(response.status)) throw lost();
      if (error?.is("UnknownSession") && !again) throw error;
      const told = error && !again && NOT_RUN.includes(error.exc) ? error : new LimenError("OutcomeUnknown");
      return this.#hear({ type: wamp.ERROR, requestType: wamp.CALL, request, uri: told.uri, details: {},
        args: told.err, kwargs: told.toJSON() }); // prettier-ignore
    }
    const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
    for (;;) {
      const { done, value } = await reader.read().catch(() => {
        throw lost();
      });
      if (done) break;
      for (const plain of await answer.feed(value)) this.#told(wamp.decode(text(plain)), request, stream, changes);
    }
    if (!answer.whole) throw lost("The answer ended before it was whole.");
  }

  /**
   * @param {wamp.Message} message
   * @param {number | undefined} request
   * @param {AbortController} stream
   * @param {boolean} changes who one is
   */
  #told(message, request, stream, changes) {
    if (message.type === wamp.SUBSCRIBED) this.#streams.set(message.subscription, stream);
    if (message.type !== wamp.EVENT && message.type !== wamp.GOODBYE) {
      if (request === undefined) return;
      message.request = request;
    }
    this.#hear(message);
    // a WebSocket would hear GOODBYE: who we are is another now, and a resume says who
    if (changes && message.type === wamp.RESULT) this.#fail(lost());
  }
}

/**
 * As `greet` of a WebSocket.
 * @param {Place} place
 * @param {import("./connection.js").Greeting} greeting
 * @param {{signal?: AbortSignal, authenticated?: () => void}} [watch]
 * @returns {Promise<{connection: import("./connection.js").Connection, welcome: wamp.Message, listen: () => void}>}
 */
export async function greet(place, greeting, { signal, authenticated } = {}) {
  const until = () => AbortSignal.timeout(place.timeout);
  try {
    const hello = utf8(
      wamp.encode([
        wamp.HELLO,
        place.domain,
        { roles: wamp.ROLES, authmethods: [greeting.method], ...greeting.hello() },
      ]),
    );
    const said = await post(place, "hello", hello, {}, until());
    const ticket = said.headers.get("X-Limen-Ticket");
    if (!said.ok || !ticket) throw Object.defineProperty((await refusal(said)) ?? lost(), "verdict", { value: true });
    const challenge = new Uint8Array(await said.arrayBuffer());
    const { type, method, extra } = wamp.decode(text(challenge));
    if (type !== wamp.CHALLENGE || method !== greeting.method)
      throw lost("The server did not answer HELLO with CHALLENGE.");
    const authenticate = utf8(wamp.encode([wamp.AUTHENTICATE, "", await greeting.answer(extra)]));
    const lane = new Lane(await greeting.keys({ hello, challenge, authenticate }));
    const first = greeting.sealed ? await lane.seal(() => authenticate) : undefined;
    const answer = first?.answer ?? (await lane.begin());
    if (signal?.aborted) throw lost();
    authenticated?.();
    const heard = await post(place, "authenticate", first?.frame ?? authenticate, { "X-Limen-Ticket": ticket }, until());
    if (!heard.ok) throw lost(); // unsealed: for a lost connection, never for a verdict
    const [plain] = await answer.feed(new Uint8Array(await heard.arrayBuffer()));
    if (!plain || !answer.whole) throw lost();
    const welcome = wamp.decode(text(plain));
    if (welcome.type === wamp.ABORT) throw fromWire(welcome.uri, welcome.details, [welcome.details.message]);
    if (welcome.type !== wamp.WELCOME) throw lost("The server's first sealed message was no WELCOME.");
    const slot = base64url(wamp.unbinary(welcome.details.x_slot, 16));
    const connection = /** @type {any} */ (new LaneConnection(place, lane, slot));
    return { connection, welcome, listen: () => {} };
  } catch (error) {
    if (error instanceof LimenError) throw error;
    throw lost(`The server's greeting was not understood: ${/** @type {Error} */ (error).message}.`);
  }
}
