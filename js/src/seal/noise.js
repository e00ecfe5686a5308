/**
 * Noise_KK_25519_AESGCM_SHA256 (The Noise Protocol Framework, revision 34) on WebCrypto: both ends know each other's
 * static key.
 *
 *     -> e, es, ss        const kk = await KK.start({ role: "initiator", prologue, own, peer });
 *     <- e, ee, se        socket.send(await kk.write());  await kk.read(message);  const [c2s, s2c] = await kk.split();
 *
 * The static private key stays a CryptoKey that cannot be exported.
 * @module
 */
import { concat, utf8 } from "../bytes.js";

/** @typedef {import("../bytes.js").Bytes} Bytes */
/** @typedef {{privateKey: CryptoKey, public: Bytes}} KeyPair */

const EMPTY = new Uint8Array(0);
const NAME = utf8("Noise_KK_25519_AESGCM_SHA256");

/** @param {Uint8Array<ArrayBuffer>} bytes @returns {Promise<Bytes>} */
const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));

/** A fresh X25519 pair whose private half cannot leave the browser. @returns {Promise<KeyPair>} */
export async function generate() {
  const pair = /** @type {CryptoKeyPair} */ (
    await crypto.subtle.generateKey({ name: "X25519" }, false, ["deriveBits"])
  );
  return { privateKey: pair.privateKey, public: new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)) };
}

/** @param {KeyPair} own @param {Bytes} peer public key @returns {Promise<Bytes>} */
async function dh(own, peer) {
  const key = await crypto.subtle.importKey("raw", peer, { name: "X25519" }, false, []);
  return new Uint8Array(await crypto.subtle.deriveBits({ name: "X25519", public: key }, own.privateKey, 256));
}

/**
 * HKDF with two outputs (Noise, section 4.3).
 * @param {Bytes} ck
 * @param {Bytes} ikm
 * @returns {Promise<[Bytes, Bytes]>}
 */
async function hkdf2(ck, ikm) {
  const key = await crypto.subtle.importKey("raw", ikm, "HKDF", false, ["deriveBits"]);
  const both = await crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt: ck, info: EMPTY }, key, 512);
  return [new Uint8Array(both.slice(0, 32)), new Uint8Array(both.slice(32))];
}

export class KK {
  /** @type {Bytes} */ #h = EMPTY;
  /** @type {Bytes} */ #ck = EMPTY;
  /** @type {Bytes} */ #k = EMPTY;
  #n = 0;
  /** @type {Bytes} */ #theirs = EMPTY;

  /** @param {"initiator" | "responder"} role @param {KeyPair} own @param {Bytes} peer @param {KeyPair} ephemeral */
  constructor(role, own, peer, ephemeral) {
    this.role = role;
    this.own = own;
    this.peer = peer;
    this.ephemeral = ephemeral;
  }

  /**
   * @param {{role: "initiator" | "responder", prologue: Bytes, own: KeyPair, peer: Bytes, ephemeral?: KeyPair}} options
   *   *ephemeral*: for test vectors only
   */
  static async start({ role, prologue, own, peer, ephemeral }) {
    const kk = new KK(role, own, peer, ephemeral ?? (await generate()));
    kk.#h = concat(NAME, new Uint8Array(32 - NAME.length)); // a name of at most 32 bytes is padded, not hashed
    kk.#ck = kk.#h;
    await kk.#mixHash(prologue);
    const [initiator, responder] = role === "initiator" ? [own.public, peer] : [peer, own.public];
    await kk.#mixHash(initiator);
    await kk.#mixHash(responder);
    return kk;
  }

  /** The handshake hash; of use after the second message. */
  get hash() {
    return this.#h;
  }

  /** This end's message: 32 bytes of e, then the sealed payload. @param {Bytes} [payload] */
  async write(payload = EMPTY) {
    await this.#mixHash(this.ephemeral.public);
    await this.#agree(true);
    const ciphertext = new Uint8Array(
      await crypto.subtle.encrypt(this.#algorithm(), await this.#key("encrypt"), payload),
    );
    await this.#mixHash(ciphertext);
    return concat(this.ephemeral.public, ciphertext);
  }

  /** The other end's message; gives its payload. Rejects if it is not the peer's. @param {Bytes} message */
  async read(message) {
    if (message.length < 48) throw new Error("a message of KK has at least 48 bytes");
    this.#theirs = message.slice(0, 32);
    const ciphertext = message.slice(32);
    await this.#mixHash(this.#theirs);
    await this.#agree(false);
    const payload = new Uint8Array(
      await crypto.subtle.decrypt(this.#algorithm(), await this.#key("decrypt"), ciphertext),
    );
    await this.#mixHash(ciphertext);
    return payload;
  }

  /** The two keys: initiator → responder, responder → initiator. */
  async split() {
    return hkdf2(this.#ck, EMPTY);
  }

  /** es, ss for the first message; ee, se for the second. @param {boolean} writing */
  async #agree(writing) {
    const initiator = this.role === "initiator";
    if (writing === initiator) {
      await this.#mixKey(initiator ? await dh(this.ephemeral, this.peer) : await dh(this.own, this.#theirs));
      await this.#mixKey(await dh(this.own, this.peer));
    } else {
      await this.#mixKey(await dh(this.ephemeral, this.#theirs));
      await this.#mixKey(initiator ? await dh(this.own, this.#theirs) : await dh(this.ephemeral, this.peer));
    }
  }

  /** @param {Bytes} data */
  async #mixHash(data) {
    this.#h = await sha256(concat(this.#h, data));
  }

  /** @param {Bytes} ikm */
  async #mixKey(ikm) {
    [this.#ck, this.#k] = await hkdf2(this.#ck, ikm);
    this.#n = 0;
  }

  /** @param {KeyUsage} usage */
  #key(usage) {
    return crypto.subtle.importKey("raw", this.#k, "AES-GCM", false, [usage]);
  }

  #algorithm() {
    const iv = new Uint8Array(12); // 32 zero bits, then n in 64 bits, big endian; n never passes 1 here
    iv[11] = this.#n++;
    return { name: "AES-GCM", iv, additionalData: this.#h };
  }
}
