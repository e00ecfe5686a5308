/** Bytes: text, base64, concatenation, and the length prefix `lp` of docs/security.md. @module */

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** An array over memory of its own, as WebCrypto wants it. @typedef {Uint8Array<ArrayBuffer>} Bytes */

/** Text as UTF-8. @param {string} text @returns {Bytes} */
export const utf8 = (text) => /** @type {Bytes} */ (encoder.encode(text));

/** UTF-8 as text; throws a TypeError for what is none. @param {Uint8Array} bytes */
export const text = (bytes) => decoder.decode(bytes);

/** @param {...Uint8Array} parts @returns {Bytes} */
export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * I2OSP: a whole number up to 2^53 in *size* bytes, big endian.
 * @param {number} n
 * @param {number} size
 * @returns {Bytes}
 */
export function i2osp(n, size) {
  const bytes = new Uint8Array(size);
  for (let i = size - 1; i >= 0; i--) {
    bytes[i] = n % 256;
    n = Math.floor(n / 256);
  }
  return bytes;
}

/** Each part after its length in four bytes. @param {...(Uint8Array | string)} parts */
export const lp = (...parts) =>
  concat(
    ...parts.flatMap((part) => {
      const bytes = typeof part === "string" ? utf8(part) : part;
      return [i2osp(bytes.length, 4), bytes];
    }),
  );

/** @param {Uint8Array} bytes */
export function base64(bytes) {
  let binary = "";
  for (let i = 0; i < bytes.length; i += 0x8000) binary += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(binary);
}

/** Strict: padded, no white space, no stray bits. Throws a SyntaxError. @param {string} encoded @returns {Bytes} */
export function unbase64(encoded) {
  if (encoded.length % 4 || !/^[A-Za-z0-9+/]*={0,2}$/.test(encoded)) throw new SyntaxError("this is no base64");
  const binary = atob(encoded);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  const last = bytes.subarray(bytes.length - (bytes.length % 3)); // its unused bits must be zero
  if (last.length && base64(last) !== encoded.slice(-4)) throw new SyntaxError("this is no base64");
  return bytes;
}

/** @param {Uint8Array} bytes */
export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** @param {string} digits @returns {Bytes} */
export const unhex = (digits) => Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));

/** Bytes from the system's source of randomness. @param {number} size @returns {Bytes} */
export const random = (size) => crypto.getRandomValues(new Uint8Array(size));

/** Compares without stopping at the first difference. @param {Uint8Array} a @param {Uint8Array} b */
export function equal(a, b) {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= /** @type {number} */ (a[i]) ^ (b[i % (b.length || 1)] ?? 0);
  return difference === 0;
}
