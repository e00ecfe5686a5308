/**
 * A WAMP router in memory, for tests: it speaks arrays, as they stand on the wire.
 *
 *     const peer = router.join((message) => …);        // hears what is sent to it, in order, a moment later
 *     peer.receive([HELLO, "realm", {}]);
 *     peer.leave();
 *
 * Exact, prefix and wildcard registrations and subscriptions, progressive results, canceling, exclude_me. Nobody has to
 * log in; everybody may do everything. One router is one realm.
 * @module
 */
import * as wamp from "../wamp.js";

/** @typedef {{owner: Peer, id: number, uri: string, match: string, disclose: boolean}} Entry */
/** @typedef {{caller: Peer, request: number, callee: Peer, invocation: number, progress: boolean}} Running */

/** @param {Entry} entry @param {string} uri */
function fits({ match, uri: pattern }, uri) {
  if (match === "prefix") return uri.startsWith(pattern);
  if (match !== "wildcard") return uri === pattern;
  const parts = uri.split(".");
  const wanted = pattern.split(".");
  return parts.length === wanted.length && wanted.every((part, i) => !part || part === parts[i]);
}

/**
 * Exact before prefixes, long ones first, before wildcards, those whose first wild component comes late first.
 * @param {Entry} entry
 */
const rank = ({ match, uri }) => {
  if (match === "wildcard") return [2, ...uri.split(".").map((part) => (part ? 0 : 1))];
  return match === "prefix" ? [1, -uri.length] : [0];
};

/** @param {Entry} one @param {Entry} other */
function byRank(one, other) {
  const [a, b] = [rank(one), rank(other)];
  const at = a.findIndex((each, i) => each !== b[i]);
  return at < 0 ? 0 : Number(a[at]) - Number(b[at] ?? 0);
}

/** One session. */
class Peer {
  id = 0;
  request = 0; // of its last INVOCATION
  /** @type {Map<number, Running>} calls it made, by request */ calls = new Map();
  /** @type {Map<number, Running>} calls it runs, by invocation */ running = new Map();
  #router;
  #deliver;
  #here = true;

  /** @param {MemoryRouter} router @param {(message: any[]) => void} deliver */
  constructor(router, deliver) {
    this.#router = router;
    this.#deliver = deliver;
  }

  /** A message of its own, as an array. @param {any[]} message */
  receive(message) {
    const copy = JSON.parse(JSON.stringify(message));
    if (this.#here) this.#router.heard(this, copy);
  }

  /** @param {any[]} message to it */
  send(message) {
    const copy = JSON.parse(JSON.stringify(message));
    queueMicrotask(() => this.#here && this.#deliver(copy));
  }

  /** It is gone, without a word. */
  leave() {
    this.#here = false;
    this.#router.left(this);
  }
}

export class MemoryRouter {
  /** WELCOME.Details.roles; a test may announce less. @type {Record<string, any>} */
  features = {
    dealer: {
      features: { pattern_based_registration: true, progressive_call_results: true, call_canceling: true },
    },
    broker: { features: { pattern_based_subscription: true, publisher_exclusion: true } },
  };
  /** @type {Set<Peer>} */ sessions = new Set();
  /** @type {Entry[]} */ registrations = [];
  /** @type {Entry[]} */ subscriptions = [];
  #last = 0;

  /** @param {(message: any[]) => void} deliver */
  join(deliver) {
    return new Peer(this, deliver);
  }

  /** @param {Peer} peer */
  left(peer) {
    if (!this.sessions.delete(peer)) return;
    this.registrations = this.registrations.filter(({ owner }) => owner !== peer);
    this.subscriptions = this.subscriptions.filter(({ owner }) => owner !== peer);
    for (const call of [...peer.running.values()]) this.#end(call, ["wamp.error.canceled", ["The callee is gone."]]);
    for (const call of [...peer.calls.values()]) {
      this.#forget(call);
      call.callee.send([wamp.INTERRUPT, call.invocation, {}]);
    }
  }

  /** @param {Peer} peer @param {any[]} message */
  heard(peer, [type, ...rest]) {
    if (type === wamp.HELLO) return this.#hello(peer);
    if (!this.sessions.has(peer)) return peer.send([wamp.ABORT, {}, "wamp.error.protocol_violation"]);
    const [first, second, third, ...payload] = rest;
    switch (type) {
      case wamp.GOODBYE:
        peer.send([wamp.GOODBYE, {}, "wamp.close.goodbye_and_out"]);
        return this.left(peer);
      case wamp.REGISTER:
        return this.#register(peer, first, second, third);
      case wamp.UNREGISTER:
        return this.#drop(peer, "registrations", type, first, second);
      case wamp.SUBSCRIBE:
        return this.#subscribe(peer, first, second, third);
      case wamp.UNSUBSCRIBE:
        return this.#drop(peer, "subscriptions", type, first, second);
      case wamp.PUBLISH:
        return this.#publish(peer, first, second, third, payload);
      case wamp.CALL:
        return this.#call(peer, first, second, third, payload);
      case wamp.CANCEL:
        return this.#cancel(peer.calls.get(first), second);
      case wamp.YIELD:
        return this.#yielded(peer.running.get(first), second, rest.slice(2));
      case wamp.ERROR: // of an INVOCATION: [ERROR, INVOCATION, request, details, uri, …]
        return this.#end(peer.running.get(second), rest.slice(3));
      default:
        return peer.send([wamp.ABORT, {}, "wamp.error.protocol_violation"]);
    }
  }

  /** @param {Peer} peer */
  #hello(peer) {
    peer.id = ++this.#last;
    this.sessions.add(peer);
    peer.send([wamp.WELCOME, peer.id, { roles: this.features }]);
  }

  /** @param {Peer} peer @param {number} request @param {any} options @param {string} uri */
  #register(peer, request, options, uri) {
    const match = options.match ?? "exact";
    if (this.registrations.some((each) => each.match === match && each.uri === uri))
      return peer.send([wamp.ERROR, wamp.REGISTER, request, {}, "wamp.error.procedure_already_exists"]);
    const entry = { owner: peer, id: ++this.#last, uri, match, disclose: options.disclose_caller === true };
    this.registrations.push(entry);
    return peer.send([wamp.REGISTERED, request, entry.id]);
  }

  /** @param {Peer} peer @param {number} request @param {any} options @param {string} uri */
  #subscribe(peer, request, options, uri) {
    const match = options.match ?? "exact";
    const known = this.subscriptions.find((each) => each.owner === peer && each.match === match && each.uri === uri);
    const entry = known ?? { owner: peer, id: ++this.#last, uri, match, disclose: false };
    if (!known) this.subscriptions.push(entry);
    peer.send([wamp.SUBSCRIBED, request, entry.id]);
  }

  /**
   * @param {Peer} peer
   * @param {"registrations" | "subscriptions"} table
   * @param {number} type
   * @param {number} request
   * @param {number} id
   */
  #drop(peer, table, type, request, id) {
    const entry = this[table].find((each) => each.owner === peer && each.id === id);
    this[table] = this[table].filter((each) => each !== entry);
    if (entry) return peer.send([type + 1, request]);
    return peer.send([wamp.ERROR, type, request, {}, `wamp.error.no_such_${table.slice(0, -1)}`]);
  }

  /** @param {Peer} peer @param {number} request @param {any} options @param {string} uri @param {any[]} payload */
  #publish(peer, request, options, uri, payload) {
    const publication = ++this.#last;
    for (const entry of this.subscriptions) {
      if (!fits(entry, uri) || (entry.owner === peer && options.exclude_me !== false)) continue;
      const details = {
        ...(entry.match !== "exact" && { topic: uri }),
        ...(options.disclose_me && { publisher: peer.id }),
      };
      entry.owner.send([wamp.EVENT, entry.id, publication, details, ...payload]);
    }
    if (options.acknowledge) peer.send([wamp.PUBLISHED, request, publication]);
  }

  /** @param {Peer} caller @param {number} request @param {any} options @param {string} uri @param {any[]} payload */
  #call(caller, request, options, uri, payload) {
    const entry = this.registrations.filter((each) => fits(each, uri)).sort(byRank)[0];
    if (!entry) return caller.send([wamp.ERROR, wamp.CALL, request, {}, "wamp.error.no_such_procedure"]);
    const callee = entry.owner;
    const call = { caller, request, callee, invocation: ++callee.request, progress: Boolean(options.receive_progress) };
    caller.calls.set(request, call);
    callee.running.set(call.invocation, call);
    const details = {
      ...(entry.match !== "exact" && { procedure: uri }),
      ...(call.progress && { receive_progress: true }),
      ...((entry.disclose || options.disclose_me) && { caller: caller.id }),
    };
    return callee.send([wamp.INVOCATION, call.invocation, entry.id, details, ...payload]);
  }

  /** @param {Running | undefined} call @param {any} options */
  #cancel(call, { mode = "killnowait" }) {
    if (!call) return; // it has just been answered
    if (mode !== "skip") call.callee.send([wamp.INTERRUPT, call.invocation, { mode }]);
    if (mode !== "kill") this.#end(call, ["wamp.error.canceled"]);
  }

  /** @param {Running | undefined} call @param {any} options @param {any[]} payload */
  #yielded(call, options, payload) {
    if (!call) return;
    const progress = options.progress === true;
    if (progress && !call.progress) return;
    if (!progress) this.#forget(call);
    call.caller.send([wamp.RESULT, call.request, progress ? { progress } : {}, ...payload]);
  }

  /** @param {Running | undefined} call @param {any[]} error */
  #end(call, error) {
    if (!call) return;
    this.#forget(call);
    call.caller.send([wamp.ERROR, wamp.CALL, call.request, {}, ...error]);
  }

  /** @param {Running} call */
  #forget(call) {
    call.caller.calls.delete(call.request);
    call.callee.running.delete(call.invocation);
  }
}
