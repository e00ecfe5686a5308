/** What the tests share. The package's own tests only; the build leaves it out. */
import { readFileSync } from "node:fs";

/** The cases of `vectors/<name>.json`, which Python runs too. @param {string} name */
export const vectors = (name) =>
  JSON.parse(readFileSync(new URL(`../../vectors/${name}.json`, import.meta.url), "utf8"));

/** Hex as bytes. @param {string} digits */
export const bytes = (digits) => Uint8Array.from(Buffer.from(digits, "hex"));

/** Every value of an object as bytes. @param {Record<string, string>} values */
export const allBytes = (values) =>
  Object.fromEntries(
    Object.entries(values).flatMap(([key, value]) => (typeof value === "string" ? [[key, bytes(value)]] : [])),
  );

/** An X25519 pair from its private scalar, as a vector gives it. @param {string} digits */
export async function x25519(digits) {
  const pkcs8 = bytes("302e020100300506032b656e04220420" + digits);
  const privateKey = await crypto.subtle.importKey("pkcs8", pkcs8, { name: "X25519" }, true, ["deriveBits"]);
  const jwk = await crypto.subtle.exportKey("jwk", privateKey);
  return { privateKey, public: Uint8Array.from(Buffer.from(jwk.x, "base64url")) };
}
