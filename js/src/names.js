/**
 * Names and passwords in the one form that both ends agree on; vectors/names.json decides. @module
 */
import { utf8 } from "./bytes.js";
import { LimenError } from "./exc.js";

const LONE_SURROGATE = /\p{Cs}/u;
const CONTROL = /\p{Cc}/u;

/**
 * A host name as WAMP realm and tenant: lower-case A-labels, no port, no trailing dot; an IP address is itself, IPv6
 * without brackets. The page's own comes from `location.hostname`, never from the server.
 * @param {string} host
 * @throws {LimenError} InvalidAddress
 */
export function domainName(host) {
  /** @param {string} why @returns {never} */
  const refuse = (why) => {
    throw new LimenError("InvalidAddress", [`${JSON.stringify(host)} is no host name: ${why}.`]);
  };
  if (typeof host !== "string" || !host) refuse("it is empty");
  const bracketed = /^\[.*\]$/.test(host);
  if (bracketed) host = host.slice(1, -1);
  let name;
  if (bracketed || host.includes(":")) {
    if (!/^[0-9a-fA-F:.]+$/.test(host)) refuse("it is no IPv6 address");
    try {
      return new URL(`http://[${host}]`).hostname.slice(1, -1);
    } catch {
      refuse("it is no IPv6 address");
    }
  }
  if (/[\u0000-\u0020/\\?#@:%<>^|`{}[\]\u007f]/.test(host)) refuse("a character does not belong there");
  try {
    name = new URL(`http://${host}`).hostname.replace(/\.$/, "");
  } catch {
    refuse("it cannot be read as one");
  }
  const labels = /** @type {string} */ (name).split(".");
  if (!labels.every((label) => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label)))
    refuse("its labels hold a-z 0-9 - _, 1 to 63 of them");
  if (/** @type {string} */ (name).length > 253) refuse("it is longer than 253");
  if (/^\d+$/.test(labels.at(-1) ?? "") && host.replace(/\.$/, "") !== name)
    refuse("an IPv4 address has four decimal parts");
  return /** @type {string} */ (name);
}

/**
 * A user's name: full- and half-width characters to their normal forms, lower case, NFC.
 * @param {string} name
 * @throws {LimenError} InvalidCredential
 */
export function userName(name) {
  if (typeof name !== "string" || LONE_SURROGATE.test(name)) throw new LimenError("InvalidCredential");
  const normal = name
    .replace(/[\u3000\uff01-\uffee]/g, (wide) => wide.normalize("NFKC"))
    .toLowerCase()
    .normalize("NFC");
  const length = utf8(normal).length;
  if (!length || length > 255 || CONTROL.test(normal) || /^\p{Zs}|\p{Zs}$/u.test(normal))
    throw new LimenError("InvalidCredential");
  return normal;
}

/**
 * A password as OPAQUE's input: spaces of all kinds to U+0020, NFC, UTF-8.
 * @param {string} password
 * @throws {LimenError} InvalidCredential
 */
export function passwordBytes(password) {
  if (typeof password !== "string" || LONE_SURROGATE.test(password)) throw new LimenError("InvalidCredential");
  const normal = password.replace(/\p{Zs}/gu, " ").normalize("NFC");
  const bytes = utf8(normal);
  if (!bytes.length || bytes.length > 1024 || CONTROL.test(normal)) throw new LimenError("InvalidCredential");
  return bytes;
}

/**
 * The WAMP URI behind any spelling of an address: "get_all", "/get_all.json", "a.b", "/a/b.json".
 * @param {string} name
 * @throws {LimenError} InvalidAddress
 */
export function uriOf(name) {
  const uri =
    String(name).startsWith("/") || String(name).includes("/")
      ? String(name)
          .replace(/^\//, "")
          .replace(/\.json$/, "")
          .replaceAll("/", ".")
      : String(name);
  if (!/^[^\s.#]+(\.[^\s.#]+)*$/.test(uri))
    throw new LimenError("InvalidAddress", [`${JSON.stringify(name)} is no address.`]);
  return uri;
}

/**
 * The path behind any spelling of an address, without ".json" and without a leading slash: "a/b".
 * @param {string} name
 * @throws {LimenError} InvalidAddress
 */
export function pathOf(name) {
  const spelt = String(name);
  const path = spelt.startsWith("//")
    ? ""
    : spelt.includes("/")
      ? spelt.replace(/^\//, "").replace(/\.json$/, "")
      : uriOf(spelt).replaceAll(".", "/");
  if (!path || path.includes("//") || /[\s?#\\]|^\.\.?\/|\/\.\.?(\/|$)/.test(path)) {
    throw new LimenError("InvalidAddress", [`${JSON.stringify(name)} is no address.`]);
  }
  return path;
}
