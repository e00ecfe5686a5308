/**
 * WAMP v2 messages in JSON, as a client says and hears them (the subprotocol limen.1.json).
 *
 * What goes out is an array, `[CALL, 1, {}, "add", ["text"]]`; what comes in is an object by name, checked for its
 * shape:
 *
 *     decode('[50, 1, {}, [3]]') → {type: RESULT, request: 1, details: {}, args: [3], kwargs: undefined}
 *
 * @module
 */
import { base64, unbase64 } from "./bytes.js";

export const HELLO = 1;
export const WELCOME = 2;
export const ABORT = 3;
export const CHALLENGE = 4;
export const AUTHENTICATE = 5;
export const GOODBYE = 6;
export const ERROR = 8;
export const PUBLISH = 16;
export const PUBLISHED = 17;
export const SUBSCRIBE = 32;
export const SUBSCRIBED = 33;
export const UNSUBSCRIBE = 34;
export const UNSUBSCRIBED = 35;
export const EVENT = 36;
export const CALL = 48;
export const CANCEL = 49;
export const RESULT = 50;
export const REGISTER = 64;
export const REGISTERED = 65;
export const UNREGISTER = 66;
export const UNREGISTERED = 67;
export const INVOCATION = 68;
export const INTERRUPT = 69;
export const YIELD = 70;

/** What a client announces in HELLO, and does; the half of callees is in `node/`. */
export const ROLES = {
  caller: { features: { progressive_call_results: true, call_canceling: true, call_timeout: true } },
  callee: { features: { progressive_call_results: true, call_canceling: true } },
  publisher: {},
  subscriber: {},
};

/**
 * What was heard; which fields it has, its type says.
 * @typedef {{
 *   type: number, session: number, request: number, requestType: number, subscription: number, publication: number,
 *   registration: number, details: Record<string, any>, extra: Record<string, any>, uri: string, method: string,
 *   args?: any[], kwargs?: Record<string, any>
 * }} Message
 */

/** @type {Record<string, (value: any) => boolean>} */
const IS = {
  id: (value) => Number.isSafeInteger(value) && value >= 0,
  uri: (value) => typeof value === "string",
  dict: (value) => value !== null && typeof value === "object" && !Array.isArray(value),
  list: (value) => Array.isArray(value),
};

/**
 * type → fields in order; `?` begins those that may be left out.
 * @type {Record<number, [field: string, kind: string][]>}
 */
const SHAPES = Object.fromEntries(
  Object.entries({
    [WELCOME]: "session:id details:dict",
    [ABORT]: "details:dict uri:uri",
    [CHALLENGE]: "method:uri extra:dict",
    [GOODBYE]: "details:dict uri:uri",
    [ERROR]: "requestType:id request:id details:dict uri:uri args?:list kwargs?:dict",
    [PUBLISHED]: "request:id publication:id",
    [SUBSCRIBED]: "request:id subscription:id",
    [UNSUBSCRIBED]: "request:id details?:dict",
    [EVENT]: "subscription:id publication:id details:dict args?:list kwargs?:dict",
    [RESULT]: "request:id details:dict args?:list kwargs?:dict",
    [REGISTERED]: "request:id registration:id",
    [UNREGISTERED]: "request:id details?:dict",
    [INVOCATION]: "request:id registration:id details:dict args?:list kwargs?:dict",
    [INTERRUPT]: "request:id details:dict",
  }).map(([type, fields]) => [
    type,
    fields.split(" ").map((field) => /** @type {[string, string]} */ (field.split(":"))),
  ]),
);

/** @param {any[]} message */
export const encode = (message) => JSON.stringify(message);

/**
 * One message a server may send.
 * @param {string} json
 * @returns {Message}
 * @throws {SyntaxError} for anything else
 */
export const decode = (json) => parse(JSON.parse(json));

/** As `decode`, of the array. @param {any} fields @returns {Message} @throws {SyntaxError} */
export function parse(fields) {
  const shape = Array.isArray(fields) ? SHAPES[fields[0]] : undefined;
  if (!shape) throw new SyntaxError("this is no WAMP message that a client may be sent");
  /** @type {Record<string, any>} */
  const message = { type: fields[0] };
  shape.forEach(([field, kind], i) => {
    const value = fields[i + 1];
    const optional = field.endsWith("?");
    if (!(optional && value === undefined) && !IS[kind]?.(value))
      throw new SyntaxError(`a WAMP message ${fields[0]} has a bad ${field}`);
    message[optional ? field.slice(0, -1) : field] = value;
  });
  return /** @type {any} */ (message);
}

/**
 * Bytes inside JSON outside of a tagged payload, as WAMP writes them: U+0000, then base64.
 * @param {Uint8Array} bytes
 */
export const binary = (bytes) => "\0" + base64(bytes);

/** @param {unknown} value @param {number} size in bytes @throws {SyntaxError} */
export function unbinary(value, size) {
  if (typeof value !== "string" || value[0] !== "\0") throw new SyntaxError("bytes were expected");
  const bytes = unbase64(value.slice(1));
  if (bytes.length !== size) throw new SyntaxError(`${size} bytes were expected, ${bytes.length} came`);
  return bytes;
}
