/**
 * The tree of errors, as in Python's `limen.exc`: a name is a code; it travels as `{exc, err, ...facts}`.
 *
 * A page says what to do with an error once, by its name:
 *
 *     Limen.exc.Unauthorized = (error) => showLogin(error.message);
 *     Limen.exc.Error = (error) => toast(error.exc + ": " + error.err.join(" "));
 *
 * @module
 */

/**
 * Name of an error → [the name it is a kind of, its WAMP URI, its words when none came with it].
 * @type {Record<string, [parent: string, uri: string, words: string]>}
 */
export const TABLE = {
  Error: ["", "limen.error.error", "Something went wrong."],

  InvalidCredential: ["Error", "wamp.error.authentication_failed", "User, password or domain is not right."],
  Unauthorized: ["Error", "wamp.error.not_authorized", "You must log in first, or you may not do this."],
  Forbidden: ["Unauthorized", "wamp.error.authorization_denied", "You are logged in, and you may not do this."],
  UnknownSession: ["Unauthorized", "limen.error.unknown_session", "This session is not known here; log in again."],
  ExpiredSession: ["UnknownSession", "limen.error.expired_session", "This session has expired; log in again."],
  RequireSSL: ["Error", "limen.error.require_ssl", "This service is only offered over TLS."],
  Abusive: ["Error", "limen.error.abusive", "Too many bad requests came from your address; wait and try again."],
  MaxActiveSessions: ["Error", "limen.error.max_active_sessions", "This user has as many sessions as are allowed."],

  NotFound: ["Error", "wamp.error.no_such_procedure", "Nothing stands at this address."],
  MethodNotAllowed: ["Error", "limen.error.method_not_allowed", "This address does not answer to that HTTP method."],
  InvalidCall: ["Error", "wamp.error.invalid_argument", "The arguments do not fit."],
  InvalidArguments: [
    "InvalidCall",
    "limen.error.invalid_arguments",
    "The arguments do not fit; each wrong field is named.",
  ],
  InvalidValue: ["InvalidCall", "limen.error.invalid_value", "A value cannot travel."],
  InvalidAddress: ["InvalidCall", "wamp.error.invalid_uri", "This is not an address."],
  TooLarge: ["InvalidCall", "wamp.error.payload_size_exceeded", "The message is larger than is allowed."],
  UnsupportedMediaType: [
    "InvalidCall",
    "limen.error.unsupported_media_type",
    "The body is of a type that this address does not take.",
  ],

  InternalError: ["Error", "wamp.error.runtime_error", "The service failed; the failure was recorded."],
  Canceled: ["Error", "wamp.error.canceled", "The call was canceled."],
  Timeout: ["Error", "wamp.error.timeout", "The call took longer than was allowed."],
  Busy: ["Error", "wamp.error.unavailable", "There are as many calls under way as can be taken; try again."],
  NoSpace: ["Error", "limen.error.no_space", "The server has no room for this file now."],
  OutcomeUnknown: [
    "Error",
    "limen.error.outcome_unknown",
    "The connection was lost; the call may or may not have run.",
  ],
  ConnectionLost: ["Error", "limen.error.connection_lost", "There is no connection to the server."],
  RemoteError: ["Error", "limen.error.remote_error", "The other side failed."],

  RecordNotFound: ["Error", "limen.error.record_not_found", "There is no such record."],
  RecordVersionMismatch: [
    "Error",
    "limen.error.record_version_mismatch",
    "The record was changed by someone else meanwhile.",
  ],
  RecordValidationError: [
    "Error",
    "limen.error.record_validation_error",
    "The record's fields do not pass their checks.",
  ],
  TransactionConflict: [
    "Error",
    "limen.error.transaction_conflict",
    "Something that was read here was changed by someone else meanwhile; try again.",
  ],
  UndoRefused: [
    "Error",
    "limen.error.undo_refused",
    "What this transaction wrote was changed again since; it can't be undone.",
  ],
  HistoryGone: ["Error", "limen.error.history_gone", "The past is not kept from that far back."],
  StoreError: ["Error", "limen.error.store_error", "The store cannot do this."],
};

const RESERVED = new Set([
  "name",
  "message",
  "stack",
  "cause",
  "exc",
  "err",
  "facts",
  "uri",
  "is",
  "verdict",
  "then",
  "__proto__",
  "constructor",
  "toString",
  "toJSON",
]);

/** Marks an error of this tree, whichever file it came from: limen.js and login.mjs each hold a class of their own. */
const BRAND = Symbol.for("limen.error");

/** What a Limen promise rejects with: `exc` (the name), `err` (sentences for a person) and the facts as properties. */
export class LimenError extends Error {
  /** @override @param {any} value */
  static [Symbol.hasInstance](value) {
    return value?.[BRAND] === true;
  }

  get [BRAND]() {
    return true;
  }

  /** What the error brought along; also reachable as properties where the name is free. @type {Record<string, any>} */
  facts;

  /**
   * @param {string} exc name of the error, e.g. "InvalidCredential"
   * @param {string[]} [err] sentences; without any, those of the table
   * @param {Record<string, any>} [facts]
   * @param {string} [uri] WAMP URI that it came under
   */
  constructor(exc, err = [], facts = {}, uri = "") {
    const words = err.length ? err.map(String) : [TABLE[exc]?.[2] ?? exc];
    super(words.join(" "));
    this.name = exc;
    this.exc = exc;
    this.err = words;
    this.facts = facts;
    this.uri = uri || (TABLE[exc]?.[1] ?? "limen.error.error");
    for (const [key, value] of Object.entries(facts)) {
      if (!RESERVED.has(key))
        Object.defineProperty(this, key, { value, enumerable: true, configurable: true, writable: true });
    }
  }

  /**
   * True for the error's own name and those above it: `new LimenError("ExpiredSession").is("Unauthorized")`.
   * @param {string} name
   */
  is(name) {
    for (let kind = this.exc; kind; kind = TABLE[kind]?.[0] ?? (kind === "Error" ? "" : "Error"))
      if (kind === name) return true;
    return false;
  }

  /** The error as it travels. */
  toJSON() {
    return { exc: this.exc, err: this.err, ...this.facts };
  }
}

/**
 * The error that travelled under *uri* as *wire* (`{exc, err, …}`): by its name, else by its URI, else RemoteError.
 * @param {string} uri
 * @param {unknown} [wire]
 * @param {unknown[]} [args] what else came along; becomes the sentences of an error that has none
 */
export function fromWire(uri, wire, args = []) {
  const { exc, err, ...facts } = /** @type {Record<string, any>} */ (wire && typeof wire === "object" ? wire : {});
  const named = typeof exc === "string" && exc ? exc : Object.keys(TABLE).find((name) => TABLE[name]?.[1] === uri);
  const lines = Array.isArray(err) ? err.map(String) : args.filter((line) => typeof line === "string").map(String);
  return named
    ? new LimenError(named, lines, facts, uri)
    : new LimenError("RemoteError", lines.length ? lines : [uri], facts, uri);
}

/**
 * What the page does with errors, by name.
 * @typedef {Record<string, ((error: LimenError & Record<string, any>) => void) | undefined>} Handlers
 */

/**
 * Calls the page's handler for an error: that of its name, else of what it is a kind of, else `Error`'s.
 * @param {Handlers} handlers
 * @param {LimenError} error
 */
export function handle(handlers, error) {
  for (let kind = error.exc; kind; kind = TABLE[kind]?.[0] ?? (kind === "Error" ? "" : "Error")) {
    const handler = Object.hasOwn(handlers, kind) ? handlers[kind] : undefined;
    if (handler) return handler(/** @type {any} */ (error));
  }
  return undefined;
}
