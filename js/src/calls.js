/**
 * One call: a promise of its result that can also be iterated, `for await (const row of Limen.safe_call("rows")) …`.
 * @module
 */
import { random } from "./bytes.js";
import { lost } from "./connection.js";
import { LimenError } from "./exc.js";
import { errorOf, resultOf } from "./payload.js";
import { isPlain, tag, untag } from "./values.js";
import { CALL, ERROR, binary } from "./wamp.js";

/**
 * *timeout*: seconds. *progress*: gets the values of a stream. *uploading*: told how many bytes of the files among the
 * arguments have been sent.
 * @typedef {{signal?: AbortSignal, timeout?: number, progress?: (value: any) => void,
 *    uploading?: (sent: number, size: number) => void}} Options
 */

/**
 * Arguments as a person writes them: exactly one plain object means by name.
 * @param {any[]} args
 * @returns {[args: any[], kwargs: Record<string, any>]}
 */
export const spread = (args) => (args.length === 1 && isPlain(args[0]) ? [[], args[0]] : [args, {}]);

/** @typedef {import("./wamp.js").Message} Message */

/**
 * What a page gets: a promise, and a stream of the values that the service yields.
 * @template [T=any]
 * @typedef {Promise<T> & AsyncIterable<any>} Stream
 */

export class Call {
  /** Names the call for good (docs/security.md): the server runs no id twice. */
  id = binary(random(16));
  /** The frame it last left in; undefined: it was never sent. @type {number | undefined} */ frame;
  /** Its request id on the live connection. @type {number | undefined} */ request;
  /** It may have run: the server must not run it anew. */
  repeat = false;
  /** Somebody wants the values one by one. */
  wantsProgress;
  settled = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} runs while it waits for a connection */ patience;
  /** @type {Promise<any>} */ promise;
  /** @type {() => void} told once, when the call has its outcome */ onsettled = () => {};
  /** @type {any[]} values that wait for whoever iterates */ #values = [];
  #iterated = false;
  #wake = () => {};
  #progressed = 0;
  /** @type {(value: any) => void} */ #resolve = () => {};
  /** @type {(error: LimenError) => void} */ #reject = () => {};

  /**
   * @param {string} uri
   * @param {any[]} args
   * @param {Record<string, any>} kwargs
   * @param {Options} [options]
   * @throws {LimenError} InvalidValue
   */
  constructor(uri, args, kwargs, options = {}) {
    this.uri = uri;
    // tagged once: a call that is sent again must be the same, byte for byte
    this.args = args.map((arg, i) => tag(arg, `$[${i}]`, 1));
    this.kwargs = Object.fromEntries(
      Object.entries(kwargs).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, tag(value, `$.${name}`, 1)]],
      ),
    );
    this.options = options;
    this.wantsProgress = Boolean(options.progress);
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** CALL for the request id it has now. */
  message() {
    const { timeout } = this.options;
    const options = {
      x_id: this.id,
      ...(this.repeat && { x_repeat: true }),
      ...(this.wantsProgress && { receive_progress: true }),
      ...(timeout && { timeout: Math.ceil(timeout * 1000) }),
    };
    const byName = Object.keys(this.kwargs).length > 0;
    return [
      CALL,
      this.request,
      options,
      this.uri,
      ...(this.args.length || byName ? [this.args] : []),
      ...(byName ? [this.kwargs] : []),
    ];
  }

  /**
   * The connection is lost. A stream that was heard in part cannot be taken up again.
   * @returns {boolean} false if that was its end
   */
  interrupted() {
    this.request = undefined;
    if (!this.#progressed) return true;
    this.fail(
      new LimenError("OutcomeUnknown", ["The connection was lost in the middle of the stream."], {
        received: this.#progressed,
      }),
    );
    return false;
  }

  /** RESULT or ERROR. @param {Message} message */
  answered(message) {
    if (message.type === ERROR) return this.fail(errorOf(message, untag));
    try {
      const value = resultOf(message, untag);
      return message.details.progress ? this.progress(value) : this.succeed(value);
    } catch (error) {
      return this.fail(/** @type {LimenError} */ (error));
    }
  }

  /** One value of a stream. @param {any} value */
  progress(value) {
    this.#progressed++;
    if (this.#iterated) this.#values.push(value);
    this.#wake();
    this.options.progress?.(value);
  }

  /** @param {any} value */
  succeed(value) {
    // whoever iterates a call that did not stream gets the items of its result
    if (!this.#progressed) this.#values = Array.isArray(value) ? [...value] : value === null ? [] : [value];
    this.#resolve(value);
    this.#settle();
  }

  /** @param {LimenError} error */
  fail(error) {
    this.#reject(error);
    this.#settle();
  }

  #settle() {
    if (this.settled) return;
    this.settled = true;
    this.onsettled();
    this.#wake();
  }

  /**
   * The promise that the page gets, which it may iterate instead.
   * @param {() => void} cancel told when the page leaves the loop early
   * @returns {Stream}
   */
  stream(cancel) {
    const iterate = () => {
      this.#iterated = this.wantsProgress = true;
      this.promise.catch(() => {}); // the loop hears of it
      return {
        next: async () => {
          while (!this.#values.length && !this.settled)
            await new Promise((resolve) => (this.#wake = () => resolve(undefined)));
          return this.#values.length
            ? { done: false, value: this.#values.shift() }
            : { done: true, value: await this.promise };
        },
        return: async () => {
          this.#values = [];
          cancel();
          return { done: true, value: undefined };
        },
        [Symbol.asyncIterator]() {
          return this;
        },
      };
    };
    return Object.assign(this.promise, { [Symbol.asyncIterator]: iterate });
  }
}

/**
 * The result of one of Limen's own procedures, asked on the live connection.
 * @param {import("./requests.js").Requests} requests
 * @param {string} uri
 * @param {any[]} args
 * @returns {Promise<any>} rejects with ConnectionLost if the connection ends first
 */
export function ownCall(requests, uri, args) {
  const call = new Call(uri, args, {});
  const make = (/** @type {number} */ request) => Object.assign(call, { request }).message();
  if (requests.send(make, { answer: (message) => call.answered(message), gone: () => call.fail(lost()) }) < 0)
    call.fail(lost());
  return call.promise;
}
