/**
 * The frames of a sealed session: one key a frame, a ratchet a direction (docs/security.md, "Frames").
 *
 *     const channel = new Channel({ send, receive, th });     // two chain keys, the transcript hash
 *     socket.send(await channel.seal(bytes));
 *     const bytes = await channel.open(frame);                // rejects with BadFrame
 *
 * WebCrypto is asynchronous and order is not: each direction is a queue of its own, so calls may overlap and still
 * count 0, 1, 2, …
 * Neither browsers nor Node can promise that a used key is wiped from memory; here its last reference is dropped at
 * once.
 * @module
 */
import { concat, i2osp, lp } from "../bytes.js";

/** @typedef {import("../bytes.js").Bytes} Bytes */
/** @typedef {"c2s" | "s2c"} Direction */

export const VERSION = "limen-1";
export const LANE = "ws";
const NONCE = new Uint8Array(12);
const ONE = Uint8Array.of(1);
const TWO = Uint8Array.of(2);

/**
 * A frame that does not open: it was tampered with, replayed, reordered, or is another session's. The channel is dead.
 */
export class BadFrame extends Error {}

/** One direction: the chain key, the number of the next frame, the queue. */
class Ratchet {
  /** @param {Bytes} chainKey @param {Direction} direction @param {Uint8Array} th */
  constructor(chainKey, direction, th) {
    this.chainKey = chainKey;
    this.head = lp(VERSION, LANE, direction);
    this.tail = lp(th);
    this.count = 0;
    /** @type {Promise<unknown>} */
    this.last = Promise.resolve();
  }

  /** The key of the next frame; the chain moves on. @param {KeyUsage} usage */
  async step(usage) {
    const chain = await crypto.subtle.importKey("raw", this.chainKey, { name: "HMAC", hash: "SHA-256" }, false, [
      "sign",
    ]);
    const [mk, ck] = await Promise.all([
      crypto.subtle.sign("HMAC", chain, ONE),
      crypto.subtle.sign("HMAC", chain, TWO),
    ]);
    this.chainKey = new Uint8Array(ck);
    return crypto.subtle.importKey("raw", mk, "AES-GCM", false, [usage]);
  }

  /**
   * Does *work* with the next frame's number, after all that was asked before.
   * @template T
   * @param {(n: number) => Promise<T>} work
   * @returns {Promise<T>}
   */
  next(work) {
    const n = this.count++;
    const done = this.last.then(() => work(n));
    this.last = done;
    done.catch(() => {}); // whoever asked hears of it; a failure fails all that follow
    return done;
  }

  /** @param {number} n */
  algorithm(n) {
    return { name: "AES-GCM", iv: NONCE, additionalData: concat(this.head, lp(i2osp(n, 8)), this.tail) };
  }
}

export class Channel {
  #send;
  #receive;

  /**
   * @param {{send: Bytes, receive: Bytes, th: Uint8Array, direction?: Direction}} keys *direction*: in which this end
   * sends
   */
  constructor({ send, receive, th, direction = "c2s" }) {
    this.#send = new Ratchet(send, direction, th);
    this.#receive = new Ratchet(receive, direction === "c2s" ? "s2c" : "c2s", th);
  }

  /** Frames that were given to `seal`; also the number of the next one. */
  get sent() {
    return this.#send.count;
  }

  /** Frames that were given to `open`. */
  get received() {
    return this.#receive.count;
  }

  /** @param {Bytes} plain @returns {Promise<Bytes>} */
  seal(plain) {
    return this.#send.next(async (n) => {
      const key = await this.#send.step("encrypt");
      return new Uint8Array(await crypto.subtle.encrypt(this.#send.algorithm(n), key, plain));
    });
  }

  /** @param {Bytes} frame @returns {Promise<Bytes>} @throws {BadFrame} then and for ever after */
  open(frame) {
    return this.#receive.next(async (n) => {
      const key = await this.#receive.step("decrypt");
      try {
        return new Uint8Array(await crypto.subtle.decrypt(this.#receive.algorithm(n), key, frame));
      } catch {
        throw new BadFrame(`frame ${n} does not open`);
      }
    });
  }
}
