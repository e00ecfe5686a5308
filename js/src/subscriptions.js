/**
 * The topics a page listens to: one WAMP subscription for each, however many handlers; renewed on every new connection.
 * @module
 */
import { safely } from "./events.js";
import { LimenError } from "./exc.js";
import { named } from "./payload.js";
import { SUBSCRIBE, UNSUBSCRIBE } from "./wamp.js";

/**
 * Gets the positional arguments of an event; where it has named ones too, an object of them comes last.
 * @typedef {(...args: any[]) => void} Handler
 */
/**
 * Gets an event as it is, with EVENT.Details.
 * @typedef {(topic: string, args: any[], kwargs: Record<string, any>, details: Record<string, any>) => void} Whole
 */
/**
 * @typedef {{uri: string, match?: string, handlers: Set<Whole>, id?: number, renewed?: boolean, ready: Deferred}}
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
  #tell;
  #read;

  /**
   * @param {import("./requests.js").Requests} requests
   * @param {(event: string, detail: any) => void} tell of `missed` ({topics}): an event could not be read; of `revoked`
   *   ({uri, match, error}): the router does not let it be heard any more
   * @param {import("./payload.js").Read} read
   */
  constructor(requests, tell, read) {
    this.#requests = requests;
    this.#tell = tell;
    this.#read = read;
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
  add(uri, handler, match) {
    return this.whole(uri, (_, args, kwargs) => handler(...args, ...(Object.keys(kwargs).length ? [kwargs] : [])), match);
  }

  /**
   * As `add`, for a handler of whole events.
   * @param {string} uri
   * @param {Whole} handler
   * @param {string} [match]
   * @returns {Promise<() => Promise<void>>} undo; what it returns resolves when the router has confirmed it
   */
  async whole(uri, handler, match) {
    const key = `${match ?? ""} ${uri}`;
    let topic = this.#topics.get(key);
    if (!topic) {
      topic = { uri, match, handlers: new Set(), ready: deferred() };
      this.#topics.set(key, topic);
      this.#subscribe(key, topic);
    }
    const own = /** @type {Whole} */ ((...event) => handler(...event)); // the same function may listen twice
    topic.handlers.add(own);
    await topic.ready.promise;
    return () => this.#remove(key, /** @type {Topic} */ (topic), own);
  }

  /** @param {string} key @param {Topic} topic @returns {Promise<void>} settled with the answer, or without one */
  #subscribe(key, topic) {
    return this.#requests.ask(
      (request) => [SUBSCRIBE, request, topic.match ? { match: topic.match } : {}, topic.uri],
      (error, reply) => {
        if (error) {
          if (this.#topics.get(key) === topic) this.#topics.delete(key);
          if (topic.renewed) this.#revoked(topic, error); // nobody waits for a renewal
          return topic.ready.reject(error);
        }
        topic.id = reply?.subscription;
        this.#byId.set(/** @type {number} */ (topic.id), topic);
        topic.ready.resolve();
        if (!topic.handlers.size) void this.#unsubscribe(key, topic); // undone meanwhile
      },
    );
  }

  /** @param {Topic} topic @param {LimenError} error */
  #revoked({ uri, match = "exact" }, error) {
    console.error(`Limen: ${uri} is heard no more: ${error.message}`);
    this.#tell("revoked", { uri, match, error });
  }

  /** @param {string} key @param {Topic} topic @param {Whole} handler */
  async #remove(key, topic, handler) {
    if (topic.handlers.delete(handler) && !topic.handlers.size && topic.id !== undefined)
      await this.#unsubscribe(key, topic);
  }

  /** @param {string} key @param {Topic} topic */
  #unsubscribe(key, topic) {
    if (this.#topics.get(key) === topic) this.#topics.delete(key);
    const id = /** @type {number} */ (topic.id);
    this.#byId.delete(id);
    return this.#requests.ask((request) => [UNSUBSCRIBE, request, id]);
  }

  /** Subscribes anew, on a new connection. Resolves when all is answered. */
  renew() {
    this.#byId.clear();
    /** @type {Promise<void>[]} */ const answers = [];
    for (const [key, topic] of [...this.#topics]) {
      topic.id = undefined;
      topic.renewed = true;
      if (topic.handlers.size) answers.push(this.#subscribe(key, topic));
      else this.#topics.delete(key);
    }
    return Promise.all(answers);
  }

  /** Ends all, e.g. because the session ended. @param {LimenError} error for those who still wait */
  over(error) {
    for (const topic of this.#topics.values()) {
      topic.id = undefined; // a later undo must not end what has been subscribed since
      topic.ready.reject(error);
    }
    this.#topics.clear();
    this.#byId.clear();
  }

  /** @param {import("./wamp.js").Message} event */
  deliver({ subscription, details, args, kwargs }) {
    const topic = this.#byId.get(subscription);
    if (!topic) return;
    /** @type {[any[], Record<string, any>]} */ let event;
    try {
      event = [(args ?? []).map((arg, i) => this.#read(arg, `$[${i}]`, 1)), named(kwargs, this.#read)];
    } catch {
      this.#tell("missed", { topics: [topic.uri] }); // what someone published is no value here: that must not end the connection
      return;
    }
    for (const handler of [...topic.handlers]) safely(() => handler(details.topic ?? topic.uri, ...event, details));
  }
}
