/**
 * A further tab comes in without the password: one that is logged in lets it in (docs/security.md, "A further tab").
 *
 *     new tab   {ask, public}                     who is logged in here? this is my key
 *     others    {offer, from}                     I could let you in
 *     new tab   {take, from}                      you do it, and nobody else
 *     that one  {let, from, slot, key, epoch, …}  the server knows your key now
 *     new tab   {done}                            I am in; unless that comes, the session that was made is ended
 *
 * Only pages of the same origin hear it, and no secret is said: the private key is made in the new tab and stays there.
 * @module
 */
import { hex, random } from "./bytes.js";
import { generate } from "./seal/noise.js";

/** @typedef {import("./bytes.js").Bytes} Bytes */
/**
 * What the server says of a session that was let in. *max_age*: seconds.
 * @typedef {{slot: Bytes, key: Bytes, epoch: number, id: string, user: string, max_age: number}} Child
 */
/**
 * What a tab that is logged in does for others. *willing*: it could, now.
 * @typedef {{willing: () => boolean, letIn: (own: Bytes) => Promise<Child>, end: (id: string) => Promise<any>}} Host
 */

const CHANNEL = "limen.tabs";
const LOCKS = "limen.slot.";
/** How long to wait for an offer, for what follows, and for the new tab to say that it is in (ms). */
const TIMES = { offer: 1000, answer: 5000, done: 5000 };

/** @param {any} value @param {number} size */
const isBytes = (value, size) => value instanceof Uint8Array && value.length === size;

export class Tabs {
  /** This page asks, and lets in. */ allowed = true;
  #times;
  #name = hex(random(16));
  /** @type {BroadcastChannel | undefined} */ #channel;
  /** Keys of tabs that have asked, by the id of the question. @type {Map<string, Bytes>} */ #asked = new Map();
  /** Sessions that were made, until their tab is in. @type {Map<string, ReturnType<typeof setTimeout>>} */
  #made = new Map();

  /** @param {Partial<typeof TIMES>} [times] */
  constructor(times = {}) {
    this.#times = { ...TIMES, ...times };
  }

  /** Whether it is worth asking: some tab of this origin holds a slot. */
  async mayAsk() {
    if (!this.allowed || typeof BroadcastChannel !== "function" || !globalThis.navigator?.locks?.query) return false;
    const { held = [] } = await navigator.locks.query().catch(() => ({ held: [] }));
    return this.allowed && held.some(({ name }) => name?.startsWith(LOCKS));
  }

  // -- the new tab ------------------------------------------------------------------------------------------------
  /**
   * Has another tab let this one in; the slot that it has then.
   * @param {Pick<import("./slots.js").Slots, "slot" | "keep">} slots
   * @param {AbortSignal} era
   */
  async enter(slots, era) {
    const own = await generate();
    const child = await this.ask(own.public);
    if (!child || era.aborted) return undefined;
    const { slot: handle, key, epoch, user, max_age, done } = child;
    await slots.keep({ handle, key, epoch, own, user, until: Date.now() + max_age * 1000 });
    done();
    return slots.slot;
  }

  /**
   * Asks the tabs of this browser to have *own* let in; undefined if none does. Call `done` when it is in.
   * @param {Bytes} own public half of this tab's key
   * @returns {Promise<(Child & {done: () => void}) | undefined>}
   */
  async ask(own) {
    for (let tries = 0; tries < 2; tries++) {
      const channel = new BroadcastChannel(CHANNEL);
      const id = hex(random(16));
      /** @param {(message: any) => any} picks @param {number} patience @returns {Promise<any>} */
      const heard = (picks, patience) =>
        new Promise((resolve) => {
          const timer = setTimeout(() => resolve(undefined), patience);
          channel.onmessage = ({ data }) => {
            const found = this.allowed ? data && picks(data) : undefined;
            if (found) resolve((clearTimeout(timer), found));
          };
        });
      const offered = heard((data) => data.offer === id && typeof data.from === "string" && data, this.#times.offer);
      channel.postMessage({ ask: id, public: own });
      const offer = await offered;
      if (!offer || !this.allowed) return void channel.close();
      const answered = heard((data) => data.let === id && data.from === offer.from && data, this.#times.answer);
      channel.postMessage({ take: id, from: offer.from });
      const child = await answered;
      const { slot, key, epoch, user, max_age } = child ?? {};
      if (isBytes(slot, 16) && isBytes(key, 32) && typeof epoch === "number" && typeof user === "string") {
        const done = () => {
          channel.postMessage({ done: id });
          channel.close();
        };
        return { slot, key, epoch, id: child.id, user, max_age: Number(max_age), done };
      }
      channel.close(); // that tab has gone meanwhile, or could not: perhaps another can
    }
    return undefined;
  }

  // -- the tab that is logged in ----------------------------------------------------------------------------------
  /** Answers other tabs from now on. @param {Host} host */
  listen(host) {
    if (this.#channel || typeof BroadcastChannel !== "function") return;
    this.#channel = new BroadcastChannel(CHANNEL);
    this.#channel.onmessage = ({ data }) => data && this.#heard(data, host);
  }

  /** Answers no more. */
  close() {
    this.#channel?.close();
    this.#channel = undefined;
    this.#asked.clear();
  }

  /** @param {any} data @param {Host} host */
  #heard(data, host) {
    if (isBytes(data.public, 32) && typeof data.ask === "string" && this.allowed && host.willing()) {
      this.#asked.set(data.ask, data.public);
      setTimeout(() => this.#asked.delete(data.ask), this.#times.answer);
      this.#channel?.postMessage({ offer: data.ask, from: this.#name });
    } else if (this.#asked.has(data.take)) {
      const own = /** @type {Bytes} */ (this.#asked.get(data.take));
      this.#asked.delete(data.take);
      if (data.from === this.#name) void this.#letIn(data.take, own, host);
    } else if (this.#made.has(data.done)) {
      clearTimeout(this.#made.get(data.done));
      this.#made.delete(data.done);
    }
  }

  /** @param {string} question @param {Bytes} own @param {Host} host */
  async #letIn(question, own, host) {
    const child = await host.letIn(own).catch(() => undefined);
    if (!child) return this.#channel?.postMessage({ let: question, from: this.#name }); // the server did not want it
    const unused = () => {
      this.#made.delete(question);
      host.end(child.id).catch(() => {}); // it ends with this login at the latest
    };
    this.#made.set(question, setTimeout(unused, this.#times.done));
    this.#channel?.postMessage({ let: question, from: this.#name, ...child });
  }
}
