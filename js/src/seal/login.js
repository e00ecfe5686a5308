/**
 * The client's half of a login: OPAQUE from HELLO to the chain keys (docs/security.md, "Login"). Loaded when a person
 * logs in.
 * @module
 */
import { expand, extract } from "@noble/hashes/hkdf.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { lp, random as entropy, utf8 } from "../bytes.js";
import { LimenError } from "../exc.js";
import { passwordBytes, userName } from "../names.js";
import { binary, unbinary } from "../wamp.js";
import { LANE, VERSION } from "./channel.js";
import * as opaque from "./opaque.js";

/** @typedef {import("../bytes.js").Bytes} Bytes */
/** @typedef {import("./opaque.js").Stretch} Stretch */
/**
 * Who logs in, and how bytes are stretched and drawn.
 * @typedef {{user: string, password: string, domain: string, subprotocol: string, stretch: Stretch,
 *    lane?: string, random?: (size: number) => Bytes, force?: boolean}} Options *force*: the user's oldest session makes
 *    room
 */

export class ClientLogin {
  method = "opaque";
  sealed = false;
  #login;
  #lane;
  #options;
  #force;
  /** @type {Bytes | undefined} */ #sessionKey;

  /** @param {Options} options @throws {LimenError} InvalidCredential for a name or password that nobody can have */
  constructor({ user, password, domain, subprotocol, stretch, lane = LANE, random = entropy, force = false }) {
    this.#lane = lane;
    this.#force = force;
    this.user = userName(user);
    const blind = opaque.blindFrom(random(64));
    this.#login = new opaque.ClientLogin({
      password: passwordBytes(password),
      blind,
      nonce: random(32),
      keyshareSeed: random(32),
    });
    this.#options = {
      stretch,
      context: lp(VERSION, lane, domain, subprotocol),
      identities: { client: utf8(this.user), server: utf8(domain) },
    };
  }

  /** HELLO's own details. */
  hello() {
    const force = this.#force ? { force: true } : {};
    return { authid: this.user, authextra: { ke1: binary(this.#login.ke1), ...force } };
  }

  /**
   * Details of AUTHENTICATE.
   * @param {Record<string, unknown>} extra
   * @throws {LimenError} InvalidCredential: the password is wrong, or the server false
   */
  async answer(extra) {
    const ke2 = unbinary(extra.ke2, 320);
    try {
      const { ke3, sessionKey } = await this.#login.finish(ke2, this.#options);
      this.#sessionKey = sessionKey;
      return { ke3: binary(ke3) };
    } catch (error) {
      if (error instanceof opaque.OpaqueError) throw new LimenError("InvalidCredential");
      throw error;
    }
  }

  /**
   * The keys of the channel.
   * @param {{hello: Bytes, challenge: Bytes, authenticate: Bytes}} frames the exact payloads
   */
  async keys({ hello, challenge, authenticate }) {
    const th = /** @type {Bytes} */ (sha512(lp(hello, challenge, authenticate)));
    const prk = extract(sha512, /** @type {Bytes} */ (this.#sessionKey), th);
    /** @param {string} direction */
    const chain = (direction) =>
      /** @type {Bytes} */ (expand(sha512, prk, utf8(`${VERSION} ${this.#lane} ${direction}`), 32));
    return { send: chain("c2s"), receive: chain("s2c"), th };
  }
}

/** A new password for the session's user, in two steps: `limen.password.begin` and `limen.password.finish`. */
export class NewPassword {
  #registration;
  #options;

  /** @param {{user: string, password: string, domain: string, stretch: Stretch}} options */
  constructor({ user, password, domain, stretch }) {
    this.#registration = new opaque.ClientRegistration({
      password: passwordBytes(password),
      blind: opaque.blindFrom(entropy(64)),
    });
    this.#options = {
      stretch,
      envelopeNonce: entropy(32),
      identities: { client: utf8(userName(user)), server: utf8(domain) },
    };
  }

  get request() {
    return this.#registration.request;
  }

  /** @param {Uint8Array} response @returns {Promise<Bytes>} the record */
  async finish(response) {
    return (await this.#registration.finish(response, this.#options)).record;
  }
}

/**
 * Stretches with Argon2id (t = 3, 64 MiB, p = 4) in a worker of its own, so that the page stays alive; about a second.
 * @param {string} worker address of argon2.js
 * @param {(done: number) => void} [progress] told 0 … 1
 * @returns {Stretch}
 */
export const stretcher = (worker, progress) => (input) =>
  new Promise((resolve, reject) => {
    const thread = new Worker(worker);
    const end = () => thread.terminate();
    thread.onmessage = ({ data }) => {
      if (data.done !== undefined) return progress?.(data.done);
      end();
      return data.output
        ? resolve(data.output)
        : reject(new LimenError("Error", [`The password could not be stretched: ${data.error}`]));
    };
    thread.onerror = () => {
      end();
      reject(
        new LimenError("Error", [
          `${worker} did not load; does the page's Content-Security-Policy allow workers from its own site?`,
        ]),
      );
    };
    thread.postMessage(input);
  });

/** What `login.mjs` gives the session. @param {string} worker address of argon2.js */
export const loginPart = (worker) => ({
  /**
   * @param {{user: string, password: string, progress?: (done: number) => void, force?: boolean}} who
   * @param {{domain: string, subprotocol: string, lane?: string}} place
   */
  login: ({ user, password, progress, force }, { domain, subprotocol, lane = LANE }) =>
    new ClientLogin({ user, password, domain, subprotocol, lane, stretch: stretcher(worker, progress), force }),
  /** @param {{user: string, password: string, domain: string, least: number, progress?: (done: number) => void}} who */
  newPassword: ({ user, password, domain, least, progress }) => {
    if ([...password].length < least) // the server never sees a password: this is the place to look
      throw new LimenError("InvalidCredential", [`A new password has at least ${least} characters.`]);
    return new NewPassword({ user, password, domain, stretch: stretcher(worker, progress) });
  },
});
