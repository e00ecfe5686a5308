/**
 * The topics a page listens to: one WAMP subscription for each, however many handlers; renewed on every new connection.
 * @module
 */
import { safely } from "./events.js";
import { LimenError } from "./exc.js";
import { untag } from "./values.js";
import { SUBSCRIBE, UNSUBSCRIBE } from "./wamp.js";

/**
 * Gets the positional arguments of an event; where it has named ones too, an object of them comes last.
 * @typedef {(...args: any[]) => void} Handler
 */
/**
 * @typedef {{uri: string, match?: string, handlers: Set<Handler>, id?: number, renewed?: boolean, ready: Deferred}}
 * Topic
 */
/** @typedef {{promise: Promise<void>, resolve: () => void, reject: (error: LimenError) => void}} Deferred */
/** @returns {Deferred} */
function deferred() {
  /** @type {any} */
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  parts.promise.catch(() => {}); // whoever waits hears of it
  return parts;
}

export class Subscriptions {
  /** @type {Map<string, Topic>} */ #topics = new Map();
  /** @type {Map<number, Topic>} */ #byId = new Map();
  #requests;
  #missed;

  /**
   * @param {import("./requests.js").Requests} requests
   * @param {(topics: string[]) => void} missed told of an event that could not be read
   */
  constructor(requests, missed) {
    this.#requests = requests;
    this.#missed = missed;
  }

  /** Names of the topics listened to. */
  get names() {
    return [...this.#topics.values()].map((topic) => topic.uri);
  }

  /**
   * @param {string} uri
   * @param {Handler} handler
   * @param {string} [match] "prefix" or "wildcard"
   * @returns {Promise<() => void>} undo
   */
  async add(uri, handler, match) {
    const key = `${match ?? ""} ${uri}`;
    let topic = this.#topics.get(key);
    if (!topic) {
      topic = { uri, match, handlers: new Set(), ready: deferred() };
      this.#topics.set(key, topic);
      this.#subscribe(key, topic);
    }
    const own = /** @type {Handler} */ ((...args) => handler(...args)); // the same function may listen twice
    topic.handlers.add(own);
    await topic.ready.promise;
    return () => this.#remove(key, /** @type {Topic} */ (topic), own);
  }

  /** @param {string} key @param {Topic} topic */
  #subscribe(key, topic) {
    this.#requests.ask(
      (request) => [SUBSCRIBE, request, topic.match ? { match: topic.match } : {}, topic.uri],
      (error, reply) => {
        if (error) {
          if (this.#topics.get(key) === topic) this.#topics.delete(key);
          // a renewal has nobody who waits for it
          if (topic.renewed) console.error(`Limen: ${topic.uri} is heard no more: ${error.message}`);
          return topic.ready.reject(error);
        }
        topic.id = reply?.subscription;
        this.#byId.set(/** @type {number} */ (topic.id), topic);
        topic.ready.resolve();
        if (!topic.handlers.size) this.#unsubscribe(key, topic); // undone meanwhile
      },
    );
  }

  /** @param {string} key @param {Topic} topic @param {Handler} handler */
  #remove(key, topic, handler) {
    topic.handlers.delete(handler);
    if (!topic.handlers.size && topic.id !== undefined) this.#unsubscribe(key, topic);
  }

  /** @param {string} key @param {Topic} topic */
  #unsubscribe(key, topic) {
    if (this.#topics.get(key) === topic) this.#topics.delete(key);
    const id = /** @type {number} */ (topic.id);
    this.#byId.delete(id);
    this.#requests.ask(
      (request) => [UNSUBSCRIBE, request, id],
      () => {},
    );
  }

  /** Subscribes anew, on a new connection. */
  renew() {
    this.#byId.clear();
    for (const [key, topic] of [...this.#topics]) {
      topic.id = undefined;
      topic.renewed = true;
      if (topic.handlers.size) this.#subscribe(key, topic);
      else this.#topics.delete(key);
    }
  }

  /** Ends all, e.g. because the session ended. @param {LimenError} error for those who still wait */
  end(error) {
    for (const topic of this.#topics.values()) topic.ready.reject(error);
    this.#topics.clear();
    this.#byId.clear();
  }

  /** @param {import("./wamp.js").Message} event */
  deliver(event) {
    const topic = this.#byId.get(event.subscription);
    if (!topic) return;
    /** @type {any[]} */
    let args;
    try {
      args = payload(event);
    } catch {
      this.#missed([topic.uri]); // what someone published is no value here: that must not end the connection
      return;
    }
    for (const handler of [...topic.handlers]) safely(() => handler(...args));
  }
}

/**
 * The arguments that a handler gets.
 * @param {import("./wamp.js").Message} event
 */
function payload(event) {
  const args = (event.args ?? []).map((arg, i) => untag(arg, `$[${i}]`, 1));
  const named = Object.entries(event.kwargs ?? {});
  if (named.length) args.push(Object.fromEntries(named.map(([name, value]) => [name, untag(value, `$.${name}`, 1)])));
  return args;
}
