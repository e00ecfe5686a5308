/**
 * OPAQUE-3DH (RFC 9807) with OPRF(ristretto255, SHA-512), HKDF, HMAC and SHA-512: both ends, without I/O or entropy of
 * their own.
 *
 * The client of a page uses `ClientLogin` and `ClientRegistration`; `Server` is here so that both languages' vectors
 * and other
 * implementations can be run against both roles (the build leaves it out). Names are the RFC's, in camel case.
 * @module
 */
import { ristretto255, ristretto255_hasher as hasher } from "@noble/curves/ed25519.js";
import { bytesToNumberLE } from "@noble/curves/utils.js";
import { expand as hkdfExpand, extract as hkdfExtract } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { concat, equal, i2osp, utf8 } from "../bytes.js";

/** @typedef {import("../bytes.js").Bytes} Bytes */
/**
 * Stretches the OPRF's output; its parameters are fixed by the protocol.
 * @typedef {(input: Bytes) => Bytes | Promise<Bytes>} Stretch
 */
/**
 * Who takes part; absent identities are the public keys.
 * @typedef {{client?: Uint8Array, server?: Uint8Array}} Identities
 */
/** @typedef {{privateKey: Bytes, publicKey: Bytes}} KeyPair */

const { Point } = ristretto255;
const N = 32; // Nn, Nseed, Npk, Nsk, Nok
const NH = 64; // Nh, Nm, Nx
const ENVELOPE = N + NH;
const SUITE = concat(utf8("OPRFV1-"), i2osp(0, 1), utf8("-ristretto255-SHA512"));
const NONE = new Uint8Array(0);

/** The other end is not who knows the password, or the message is broken. */
export class OpaqueError extends Error {}

/** @param {Uint8Array} salt @param {Uint8Array} ikm */
const extract = (salt, ikm) => /** @type {Bytes} */ (hkdfExtract(sha512, ikm, salt));
/** @param {Uint8Array} prk @param {Uint8Array} info @param {number} length */
const expand = (prk, info, length) => /** @type {Bytes} */ (hkdfExpand(sha512, prk, info, length));
/** @param {Uint8Array} key @param {Uint8Array} message */
const mac = (key, message) => /** @type {Bytes} */ (hmac(sha512, key, message));
/** @param {Uint8Array} message */
const hash = (message) => /** @type {Bytes} */ (sha512(message));
/** A vector with its length in two bytes. @param {Uint8Array} bytes */
const vector = (bytes) => concat(i2osp(bytes.length, 2), bytes);

// -- the group and the OPRF (RFC 9497, mode 0) -------------------------------------------------------------------
/** @param {string} label */
const dst = (label) => concat(utf8(label), SUITE);

/** An element that is not the identity. @param {Uint8Array} bytes */
function element(bytes) {
  try {
    const point = Point.fromBytes(bytes);
    if (!point.is0()) return point;
  } catch {
    // falls through to the one error for all broken elements
  }
  throw new OpaqueError("not an element of the group");
}

/** A scalar that is not zero. @param {Uint8Array} bytes */
function scalar(bytes) {
  const value = Point.Fn.fromBytes(bytes);
  if (value === 0n) throw new OpaqueError("a scalar must not be zero");
  return value;
}

/**
 * A random scalar from 64 random bytes: little endian, modulo the group's order.
 * @param {Uint8Array} uniform
 * @returns {Bytes}
 */
export const blindFrom = (uniform) =>
  /** @type {Bytes} */ (Point.Fn.toBytes(Point.Fn.create(bytesToNumberLE(uniform))));

/** @param {Uint8Array} seed @param {string} info @returns {KeyPair} */
function deriveKeyPair(seed, info) {
  const input = concat(seed, vector(utf8(info)));
  for (let counter = 0; counter < 256; counter++) {
    const sk = hasher.hashToScalar(concat(input, i2osp(counter, 1)), { DST: dst("DeriveKeyPair") });
    if (sk !== 0n)
      return {
        privateKey: /** @type {Bytes} */ (Point.Fn.toBytes(sk)),
        publicKey: /** @type {Bytes} */ (Point.BASE.multiply(sk).toBytes()),
      };
  }
  throw new OpaqueError("no key pair can be derived");
}

/** @param {Uint8Array} seed */
export const deriveDiffieHellmanKeyPair = (seed) => deriveKeyPair(seed, "OPAQUE-DeriveDiffieHellmanKeyPair");

/** @param {Uint8Array} privateKey @param {Uint8Array} publicKey */
const diffieHellman = (privateKey, publicKey) =>
  /** @type {Bytes} */ (element(publicKey).multiply(scalar(privateKey)).toBytes());

/** @param {Uint8Array} input @param {Uint8Array} blind @returns {Bytes} */
export function oprfBlind(input, blind) {
  const point = hasher.hashToCurve(input, { DST: dst("HashToGroup-") });
  if (point.is0()) throw new OpaqueError("this password cannot be used");
  return /** @type {Bytes} */ (point.multiply(scalar(blind)).toBytes());
}

/** @param {Uint8Array} input @param {Uint8Array} blind @param {Uint8Array} evaluated */
export function oprfFinalize(input, blind, evaluated) {
  const unblinded = element(evaluated)
    .multiply(Point.Fn.inv(scalar(blind)))
    .toBytes();
  return hash(concat(vector(input), vector(unblinded), utf8("Finalize")));
}

/** @param {Uint8Array} password @param {Uint8Array} blind @param {Uint8Array} evaluated @param {Stretch} stretch */
async function randomizedPassword(password, blind, evaluated, stretch) {
  const output = oprfFinalize(password, blind, evaluated);
  return extract(NONE, concat(output, await stretch(output)));
}

// -- the envelope --------------------------------------------------------------------------------------------
/**
 * @param {Bytes} randomized
 * @param {Uint8Array} nonce
 * @param {Uint8Array} serverPublicKey
 * @param {Identities} identities
 */
function openEnvelope(randomized, nonce, serverPublicKey, identities) {
  /** @param {string} label @param {number} size */
  const derive = (label, size) => expand(randomized, concat(nonce, utf8(label)), size);
  const own = deriveDiffieHellmanKeyPair(derive("PrivateKey", N));
  const client = identities.client ?? own.publicKey;
  const server = identities.server ?? serverPublicKey;
  const cleartext = concat(serverPublicKey, vector(server), vector(client));
  const tag = mac(derive("AuthKey", NH), concat(nonce, cleartext));
  return { own, client, server, tag, exportKey: derive("ExportKey", NH) };
}

/** @param {Bytes} randomized */
const maskingKey = (randomized) => expand(randomized, utf8("MaskingKey"), NH);

/** @param {Uint8Array} key @param {Uint8Array} nonce @param {Uint8Array} data */
function mask(key, nonce, data) {
  const pad = expand(key, concat(nonce, utf8("CredentialResponsePad")), N + ENVELOPE);
  return /** @type {Bytes} */ (pad.map((byte, i) => byte ^ (data[i] ?? 0)));
}

// -- the key exchange ----------------------------------------------------------------------------------------
/**
 * @param {{context: Uint8Array, client: Uint8Array, server: Uint8Array, ke1: Uint8Array, inner: Uint8Array}} parts
 *   *inner*: KE2 without its mac
 * @param {Bytes} ikm
 */
function deriveKeys({ context, client, server, ke1, inner }, ikm) {
  const preamble = concat(utf8("OPAQUEv1-"), vector(context), vector(client), ke1, vector(server), inner);
  const prk = extract(NONE, ikm);
  /** @param {Uint8Array} secret @param {string} label @param {Uint8Array} transcript */
  const secret = (secret, label, transcript) => {
    const name = utf8("OPAQUE-" + label);
    return expand(
      secret,
      concat(i2osp(NH, 2), i2osp(name.length, 1), name, i2osp(transcript.length, 1), transcript),
      NH,
    );
  };
  const transcript = hash(preamble);
  const handshake = secret(prk, "HandshakeSecret", transcript);
  const serverMac = mac(secret(handshake, "ServerMAC", NONE), transcript);
  return {
    serverMac,
    clientMac: mac(secret(handshake, "ClientMAC", NONE), hash(concat(preamble, serverMac))),
    sessionKey: secret(prk, "SessionKey", transcript),
  };
}

/** @param {Uint8Array} message @param {number} size @param {string} name */
function sized(message, size, name) {
  if (message.length !== size) throw new OpaqueError(`${name} has ${size} bytes, not ${message.length}`);
  return message;
}

export class ClientRegistration {
  /** @param {{password: Uint8Array, blind: Uint8Array}} input */
  constructor({ password, blind }) {
    this.password = password;
    this.blind = blind;
    this.request = oprfBlind(password, blind);
  }

  /**
   * @param {Uint8Array} response 64 bytes
   * @param {{stretch: Stretch, envelopeNonce: Uint8Array, identities?: Identities}} options
   * @returns {Promise<{record: Bytes, exportKey: Bytes}>} *record*: 192 bytes
   */
  async finish(response, { stretch, envelopeNonce, identities = {} }) {
    sized(response, 2 * N, "a registration response");
    const serverPublicKey = response.slice(N);
    element(serverPublicKey);
    const randomized = await randomizedPassword(this.password, this.blind, response.slice(0, N), stretch);
    const { own, tag, exportKey } = openEnvelope(randomized, envelopeNonce, serverPublicKey, identities);
    return { record: concat(own.publicKey, maskingKey(randomized), envelopeNonce, tag), exportKey };
  }
}

export class ClientLogin {
  /** @param {{password: Uint8Array, blind: Uint8Array, nonce: Uint8Array, keyshareSeed: Uint8Array}} input */
  constructor({ password, blind, nonce, keyshareSeed }) {
    this.password = password;
    this.blind = blind;
    this.keyshare = deriveDiffieHellmanKeyPair(keyshareSeed);
    this.ke1 = concat(oprfBlind(password, blind), nonce, this.keyshare.publicKey);
  }

  /**
   * @param {Uint8Array} ke2 320 bytes
   * @param {{stretch: Stretch, context: Uint8Array, identities?: Identities}} options
   * @returns {Promise<{ke3: Bytes, sessionKey: Bytes, exportKey: Bytes}>}
   * @throws {OpaqueError} for a wrong password, an unknown user or a false server: they look alike
   */
  async finish(ke2, { stretch, context, identities = {} }) {
    sized(ke2, 320, "KE2");
    const randomized = await randomizedPassword(this.password, this.blind, ke2.slice(0, N), stretch);
    const opened = mask(maskingKey(randomized), ke2.slice(N, 2 * N), ke2.slice(2 * N, 192));
    const serverPublicKey = opened.slice(0, N);
    const { own, client, server, tag, exportKey } = openEnvelope(
      randomized,
      opened.slice(N, 2 * N),
      serverPublicKey,
      identities,
    );
    if (!equal(tag, opened.slice(2 * N))) throw new OpaqueError("the envelope does not open");
    const serverKeyshare = ke2.slice(224, 256);
    const ikm = concat(
      diffieHellman(this.keyshare.privateKey, serverKeyshare),
      diffieHellman(this.keyshare.privateKey, serverPublicKey),
      diffieHellman(own.privateKey, serverKeyshare),
    );
    const keys = deriveKeys({ context, client, server, ke1: this.ke1, inner: ke2.slice(0, 256) }, ikm);
    if (!equal(keys.serverMac, ke2.slice(256))) throw new OpaqueError("the server does not know the record");
    return { ke3: keys.clientMac, sessionKey: keys.sessionKey, exportKey };
  }
}

/** The other end, for tests and for servers in JavaScript. */
export class Server {
  /** @param {{privateKey: Bytes, publicKey: Bytes, oprfSeed: Uint8Array}} keys */
  constructor({ privateKey, publicKey, oprfSeed }) {
    this.privateKey = privateKey;
    this.publicKey = publicKey;
    this.oprfSeed = oprfSeed;
  }

  /** @param {Uint8Array} request @param {Uint8Array} credentialIdentifier */
  evaluate(request, credentialIdentifier) {
    const seed = expand(this.oprfSeed, concat(credentialIdentifier, utf8("OprfKey")), N);
    return diffieHellman(deriveKeyPair(seed, "OPAQUE-DeriveKeyPair").privateKey, sized(request, N, "a request"));
  }

  /** @param {Uint8Array} request @param {Uint8Array} credentialIdentifier */
  registrationResponse(request, credentialIdentifier) {
    return concat(this.evaluate(request, credentialIdentifier), this.publicKey);
  }

  /**
   * @param {{ke1: Uint8Array, record: Uint8Array, credentialIdentifier: Uint8Array, context: Uint8Array, identities?:
   *   Identities,
   *          maskingNonce: Uint8Array, nonce: Uint8Array, keyshareSeed: Uint8Array}} input
   * @returns {{ke2: Bytes, sessionKey: Bytes, finish: (ke3: Uint8Array) => void}} *finish* throws unless KE3 is right
   */
  login({ ke1, record, credentialIdentifier, context, identities = {}, maskingNonce, nonce, keyshareSeed }) {
    sized(ke1, 96, "KE1");
    sized(record, 192, "a record");
    const clientPublicKey = record.slice(0, N);
    const response = concat(
      this.evaluate(ke1.slice(0, N), credentialIdentifier),
      maskingNonce,
      mask(record.slice(N, N + NH), maskingNonce, concat(this.publicKey, record.slice(N + NH))),
    );
    const keyshare = deriveDiffieHellmanKeyPair(keyshareSeed);
    const inner = concat(response, nonce, keyshare.publicKey);
    const clientKeyshare = ke1.slice(64);
    const ikm = concat(
      diffieHellman(keyshare.privateKey, clientKeyshare),
      diffieHellman(this.privateKey, clientKeyshare),
      diffieHellman(keyshare.privateKey, clientPublicKey),
    );
    const client = identities.client ?? clientPublicKey;
    const keys = deriveKeys({ context, client, server: identities.server ?? this.publicKey, ke1, inner }, ikm);
    return {
      ke2: concat(inner, keys.serverMac),
      sessionKey: keys.sessionKey,
      finish(ke3) {
        if (!equal(sized(ke3, NH, "KE3"), keys.clientMac))
          throw new OpaqueError("the client does not know the password");
      },
    };
  }
}
