/**
 * The client's half of a resume: Noise KK from HELLO to the chain keys (docs/security.md, "Slots and resume"). @module
 */
import { i2osp, lp } from "../bytes.js";
import { binary, unbinary } from "../wamp.js";
import { LANE, VERSION } from "./channel.js";
import { KK } from "./noise.js";

/** @typedef {import("../bytes.js").Bytes} Bytes */
/**
 * What a tab keeps to come back with.
 * @typedef {{handle: Bytes, key: Bytes, epoch: number, own: import("./noise.js").KeyPair}} Key
 */

export class ClientResume {
  method = "resume";
  /** AUTHENTICATE travels sealed, as the client's frame 0. */
  sealed = true;
  #kk;
  #handle;
  #first;

  /** @param {KK} kk @param {Bytes} handle @param {Bytes} first */
  constructor(kk, handle, first) {
    this.#kk = kk;
    this.#handle = handle;
    this.#first = first;
  }

  /**
   * @param {Key} slot
   * @param {{domain: string, subprotocol: string, lane?: string}} place
   * @param {import("./noise.js").KeyPair} [ephemeral] for vectors only
   */
  static async start(slot, { domain, subprotocol, lane = LANE }, ephemeral) {
    const prologue = lp(VERSION, lane, domain, subprotocol, slot.handle, i2osp(slot.epoch, 8));
    const kk = await KK.start({ role: "initiator", prologue, own: slot.own, peer: slot.key, ephemeral });
    return new ClientResume(kk, slot.handle, await kk.write());
  }

  /** HELLO's own details. */
  hello() {
    return { authextra: { slot: binary(this.#handle), kk1: binary(this.#first) } };
  }

  /**
   * Details of AUTHENTICATE. Rejects unless the challenge comes from the domain that knows this slot.
   * @param {Record<string, unknown>} extra
   */
  async answer(extra) {
    await this.#kk.read(unbinary(extra.kk2, 48));
    return {};
  }

  /** The keys of the channel. @param {{hello: Bytes, challenge: Bytes}} frames the exact payloads */
  async keys({ hello, challenge }) {
    const [send, receive] = await this.#kk.split();
    return {
      send,
      receive,
      th: new Uint8Array(await crypto.subtle.digest("SHA-512", lp(this.#kk.hash, hello, challenge))),
    };
  }
}
