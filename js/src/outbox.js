/**
 * The calls under way, over all connections of a session.
 *
 * A call has one id for good. After a lost connection every open one is sent anew under its old id; one that the server
 * may have seen says so (`x_repeat`),
 * and is never run a second time: it gets its result, or OutcomeUnknown. Once due to a call, `x_repeat` stays with it.
 * @module
 */
import { lost } from "./connection.js";
import { LimenError } from "./exc.js";
import { CANCEL } from "./wamp.js";

/** @typedef {import("./calls.js").Call} Call */

const LONGEST = 2 ** 31 - 1; // of a timer (ms); more would fire at once

export class Outbox {
  /** @type {Set<Call>} not settled, in the order in which they were made */ #calls = new Set();
  #requests;
  #limits;
  #isOpen = false;

  /** @param {import("./requests.js").Requests} requests @param {{wait: number, queue: number}} limits */
  constructor(requests, limits) {
    this.#requests = requests;
    this.#limits = limits;
  }

  /** Takes a call and sends it, now or when there is a connection. @param {Call} call */
  add(call) {
    const { signal, timeout } = call.options;
    if (signal?.aborted) return call.fail(new LimenError("Canceled"));
    if (!this.#isOpen && this.#calls.size >= this.#limits.queue) return call.fail(new LimenError("Busy"));
    const abort = () => this.cancel(call);
    const late = () => this.cancel(call, new LimenError("Timeout"));
    const timer = timeout ? setTimeout(late, Math.min(timeout * 1000, LONGEST)) : undefined;
    signal?.addEventListener("abort", abort);
    this.#calls.add(call);
    call.onsettled = () => {
      this.#calls.delete(call);
      if (call.request !== undefined) this.#requests.forget(call.request);
      clearTimeout(timer);
      clearTimeout(call.patience);
      signal?.removeEventListener("abort", abort);
    };
    // a moment later: by then it is known whether somebody iterates, and so wants the values one by one
    return queueMicrotask(() => this.#send(call));
  }

  /** @param {Call} call @param {LimenError} [error] */
  cancel(call, error = new LimenError("Canceled")) {
    if (call.settled) return;
    if (call.request !== undefined) this.#requests.connection?.send([CANCEL, call.request, { mode: "killnowait" }]);
    call.fail(error);
  }

  /** New calls are sent; those that wait, wait on. */
  begin() {
    this.#isOpen = true;
  }

  /**
   * There is a session again; nothing that waits is sent yet.
   * @param {number | null} [received] how many frames of the last connection the server opened, if that is known
   */
  returned(received) {
    for (const call of this.#calls)
      if (call.frame !== undefined && !call.repeat) {
        if (typeof received === "number" && call.frame >= received) call.frame = undefined;
        else call.repeat = true;
      }
  }

  /** Sends all that wait. */
  open() {
    this.#isOpen = true;
    for (const call of [...this.#calls]) this.#send(call);
  }

  /** The connection is lost: calls wait for the next one. */
  close() {
    this.#isOpen = false;
    for (const call of [...this.#calls]) if (call.interrupted()) this.#wait(call);
  }

  /** The session is over. @param {LimenError} error for calls that were never sent; the others' outcome nobody knows */
  over(error) {
    this.close();
    for (const call of [...this.#calls]) call.fail(call.frame === undefined ? error : new LimenError("OutcomeUnknown"));
  }

  /** @param {Call} call */
  #send(call) {
    if (call.settled || call.request !== undefined) return;
    if (!this.#isOpen) return this.#wait(call);
    clearTimeout(call.patience);
    call.patience = undefined;
    const make = (/** @type {number} */ request) => Object.assign(call, { request }).message();
    call.frame = this.#requests.send(make, { answer: (message) => call.answered(message) });
  }

  /** @param {Call} call */
  #wait(call) {
    const giveUp = () => call.fail(call.frame === undefined ? lost() : new LimenError("OutcomeUnknown"));
    call.patience ??= setTimeout(giveUp, this.#limits.wait * 1000);
  }
}
