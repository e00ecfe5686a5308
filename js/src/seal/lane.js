/**
 * The client's half of the HTTP lane (docs/security.md, "The HTTP lane"): each request has a number, a key of its own,
 * and a chain of keys for its answer.
 *
 *     const lane = new Lane({ send, receive, th });            // two chain keys, the transcript hash
 *     const { number, frame, answer } = await lane.seal(bytes);
 *     for (const part of await answer.feed(chunk)) …           // rejects with BadFrame; answer.whole says that it ended
 *
 * @module
 */
import { concat, i2osp, lp } from "../bytes.js";
import { BadFrame, VERSION } from "./channel.js";

/** @typedef {import("../bytes.js").Bytes} Bytes */

export const LANE = "http";
const NONCE = new Uint8Array(12);
const LAST = 2 ** 31;
const OVERHEAD = 16;

/** (message key, next chain key). @param {Bytes} chain @returns {Promise<[Bytes, Bytes]>} */
async function ratchet(chain) {
  const key = await crypto.subtle.importKey("raw", chain, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const [mk, ck] = await Promise.all([1, 2].map((n) => crypto.subtle.sign("HMAC", key, Uint8Array.of(n))));
  return [new Uint8Array(/** @type {ArrayBuffer} */ (mk)), new Uint8Array(/** @type {ArrayBuffer} */ (ck))];
}

/** The frames of one answer, in their order. */
export class Answer {
  whole = false;
  #chain;
  #count = 0;
  #head;
  #tail;
  #limit;
  /** @type {Bytes} */ #left = new Uint8Array(0);

  /** @param {Bytes} seed @param {number} number @param {Uint8Array} th @param {number} [limit] bytes of one frame */
  constructor(seed, number, th, limit = LAST - 1) {
    this.#chain = seed;
    this.#head = lp(VERSION, LANE, "s2c", i2osp(number, 8));
    this.#tail = lp(th);
    this.#limit = limit;
  }

  /** None of its frames has been opened: it may come anew, from its beginning. */
  get fresh() {
    return this.#count === 0;
  }

  rewind() {
    this.#left = new Uint8Array(0);
  }

  /**
   * What the frames hold that are complete with *data*; one call after the other.
   * @param {Uint8Array} data
   * @returns {Promise<Bytes[]>}
   */
  async feed(data) {
    this.#left = concat(this.#left, data);
    const found = [];
    while (this.#left.length >= 4) {
      const head = new DataView(this.#left.buffer).getUint32(0);
      const last = head >= LAST;
      const size = last ? head - LAST : head;
      if (this.whole || size > this.#limit || (size ? size < OVERHEAD : last))
        throw new BadFrame("this is no answer of the lane");
      if (this.#left.length < 4 + size) break;
      const frame = this.#left.slice(4, 4 + size);
      this.#left = this.#left.slice(4 + size);
      if (!size) continue; // a sign of life
      found.push(await this.#open(frame, last));
      this.whole = last;
    }
    if (this.whole && this.#left.length) throw new BadFrame("something follows the answer's end");
    return found;
  }

  /** @param {Bytes} frame @param {boolean} last */
  async #open(frame, last) {
    const [raw, next] = await ratchet(this.#chain);
    this.#chain = next;
    const key = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["decrypt"]);
    const additionalData = concat(this.#head, lp(i2osp(this.#count++, 8), last ? "last" : "more"), this.#tail);
    try {
      return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv: NONCE, additionalData }, key, frame));
    } catch {
      throw new BadFrame("this answer does not open");
    }
  }
}

/** Requests, one number after the other. */
export class Lane {
  #send;
  #receive;
  #th;
  #next = 0;
  /** @type {Promise<unknown>} */ #last = Promise.resolve();

  /** @param {{send: Bytes, receive: Bytes, th: Uint8Array}} keys */
  constructor({ send, receive, th }) {
    this.#send = send;
    this.#receive = receive;
    this.#th = th;
  }

  /**
   * The next request. *make*: its bytes, once it has a number; calls may overlap.
   * @param {(number: number) => Bytes} make
   * @returns {Promise<{number: number, frame: Bytes, answer: Answer}>}
   */
  seal(make) {
    const number = this.#next++;
    const plain = make(number);
    return this.#step(number, async (raw, answer) => {
      const key = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt"]);
      const additionalData = lp(VERSION, LANE, "c2s", i2osp(number, 8), this.#th);
      const frame = await crypto.subtle.encrypt({ name: "AES-GCM", iv: NONCE, additionalData }, key, plain);
      return { number, frame: new Uint8Array(frame), answer };
    });
  }

  /** The answer to number 0, whose request was the login's last message and not sealed. @returns {Promise<Answer>} */
  begin() {
    return this.#step(this.#next++, async (_, answer) => answer);
  }

  /**
   * @template T
   * @param {number} number
   * @param {(key: Bytes, answer: Answer) => Promise<T>} work
   * @returns {Promise<T>}
   */
  async #step(number, work) {
    const before = this.#last;
    const step = (async () => {
      await before;
      const [request, seed] = await Promise.all([ratchet(this.#send), ratchet(this.#receive)]);
      this.#send = request[1];
      this.#receive = seed[1];
      return /** @type {const} */ ([request[0], seed[0]]);
    })();
    this.#last = step;
    const [key, seed] = await step;
    return work(key, new Answer(seed, number, this.#th));
  }
}
