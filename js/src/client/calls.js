/**
 * The calls under way in a plain session. One that was sent when its connection is lost may have run or not: it rejects
 * with OutcomeUnknown. One that was not waits for the next connection, for as long as its time-out lets it.
 * @module
 */
import { errorOf, resultOf } from "../payload.js";
import { LimenError } from "../exc.js";
import { CALL, CANCEL, ERROR } from "../wamp.js";

/** @typedef {import("../wamp.js").Message} Message */
/** @typedef {{send(): void, lost(): void, fail(error: unknown): void}} Pending */

const LONGEST = 2 ** 31 - 1; // of a timer (ms); more would fire at once

export class Calls {
  /** @type {Set<Pending>} */ #pending = new Set();
  #requests;
  #wire;

  /** @param {import("../requests.js").Requests} requests @param {import("./callee.js").Wire} wire */
  constructor(requests, wire) {
    this.#requests = requests;
    this.#wire = wire;
  }

  /**
   * @param {string} uri
   * @param {any[]} args
   * @param {Record<string, any>} kwargs
   * @param {import("../node/port.js").CallOptions} options
   * @returns {Promise<any>}
   */
  apply(uri, args, kwargs, { timeout, push, signal }) {
    return new Promise((resolve, reject) => {
      const { clock } = this.#wire;
      const payload = written(args, kwargs, this.#wire.write);
      const options = {
        ...(push && { receive_progress: true }),
        ...(timeout && { timeout: Math.max(1, Math.round(timeout * 1000)) }),
      };
      /** @type {number | undefined} */ let request;
      /** @type {any} */ let timer;
      const over = () => {
        this.#pending.delete(call);
        clock.clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
      };
      /** @param {LimenError} error */
      const cancel = (error) => {
        if (!this.#pending.has(call)) return;
        if (request !== undefined) {
          this.#requests.forget(request);
          this.#wire.send([CANCEL, request, { mode: "killnowait" }]);
        }
        call.fail(error);
      };
      const abort = () => cancel(signal?.reason instanceof LimenError ? signal.reason : new LimenError("Canceled"));
      /** @type {Pending} */
      const call = {
        send: () => {
          if (request !== undefined || !this.#requests.connection) return;
          this.#requests.send((id) => [CALL, (request = id), options, uri, ...payload], { answer });
        },
        lost: () => request !== undefined && call.fail(new LimenError("OutcomeUnknown")),
        fail: (error) => {
          over();
          reject(error);
        },
      };
      const answer = (/** @type {Message} */ message) => {
        const { read } = this.#wire;
        try {
          if (message.type === ERROR) return call.fail(errorOf(message, read));
          const value = resultOf(message, read);
          if (message.details.progress) return push?.(value);
          over();
          return resolve(value);
        } catch (error) {
          return call.fail(error);
        }
      };
      if (signal?.aborted) return reject(signal.reason instanceof LimenError ? signal.reason : new LimenError("Canceled"));
      if (timeout) timer = clock.setTimeout(() => cancel(new LimenError("Timeout")), Math.min(timeout * 1000, LONGEST));
      signal?.addEventListener("abort", abort);
      this.#pending.add(call);
      return call.send();
    });
  }

  /** There is a connection: sends what waits. */
  open() {
    for (const call of [...this.#pending]) call.send();
  }

  /** The connection is lost. */
  lost() {
    for (const call of [...this.#pending]) call.lost();
  }

  /** The session is over. @param {LimenError} error */
  over(error) {
    this.lost();
    for (const call of [...this.#pending]) call.fail(error);
  }
}

/**
 * Arguments as they stand in a message.
 * @param {any[]} args
 * @param {Record<string, any>} kwargs
 * @param {(value: unknown, path?: string) => any} write
 * @returns {any[]}
 * @throws {LimenError} InvalidValue
 */
export function written(args, kwargs, write) {
  const named = Object.entries(kwargs).filter(([, value]) => value !== undefined);
  const list = args.map((value, i) => write(value, `$[${i}]`));
  if (named.length) return [list, Object.fromEntries(named.map(([name, value]) => [name, write(value, `$.${name}`)]))];
  return list.length ? [list] : [];
}
