/** What was asked on one connection, and waits for its answer. Request ids count from 1, as WAMP wants. @module */
import { errorOf } from "./payload.js";
import { ERROR, RESULT } from "./wamp.js";

/** @typedef {import("./wamp.js").Message} Message */
/** @typedef {import("./connection.js").Connection} Connection */
/**
 * *gone*: told if the connection is lost first. @typedef {{answer: (message: Message) => void, gone?: () => void}}
 * Waiting
 */

export class Requests {
  /** @type {Connection | undefined} */ connection;
  #last = 0;
  /** @type {Map<number, Waiting>} */ #waiting = new Map();

  #read;

  /** @param {import("./payload.js").Read} read */
  constructor(read) {
    this.#read = read;
  }

  /** @param {Connection} connection */
  begin(connection) {
    this.connection = connection;
    this.#last = 0;
  }

  /** The connection is lost, or left. */
  end() {
    this.connection = undefined;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { gone } of waiting) gone?.();
  }

  /**
   * Sends one request.
   * @param {(request: number) => any[]} make
   * @param {Waiting} waiting
   * @returns {number} the number of its frame; -1 without a connection
   */
  send(make, waiting) {
    if (!this.connection) return -1;
    const request = ++this.#last;
    this.#waiting.set(request, waiting);
    return this.connection.send(make(request));
  }

  /**
   * A request that ends with its connection; without one nothing is begun.
   * @param {(request: number) => any[]} make
   * @param {(error: import("./exc.js").LimenError | undefined, reply?: Message) => void} [answer]
   * @returns {Promise<void>} settled with the answer, or the connection
   */
  ask(make, answer = () => {}) {
    return new Promise((gone) => {
      const heard = (/** @type {Message} */ message) =>
        gone(message.type === ERROR ? answer(errorOf(message, this.#read)) : answer(undefined, message));
      if (this.send(make, { answer: heard, gone }) < 0) gone();
    });
  }

  /** Nobody waits for it any more. @param {number} request */
  forget(request) {
    this.#waiting.delete(request);
  }

  /** @param {Message} message RESULT, ERROR, SUBSCRIBED, … */
  answered(message) {
    const waiting = this.#waiting.get(message.request);
    if (!(message.type === RESULT && message.details.progress)) this.#waiting.delete(message.request);
    waiting?.answer(message);
  }
}
