/**
 * NodeContext: what a node stands in. It inherits like a prototype: a branch of the tree sees what its parents have,
 * and may have its own of anything.
 *
 *     const root = new NodeContext({ principal: "ada" });
 *     const branch = root.new({ wrap_call: logged });   // calls from this branch are logged, those from above are not
 *     branch.principal;                                 // "ada"
 *
 * What Limen itself looks for in it:
 *
 *     connection, session, tree   by what the branch is reached; absent: it lives in this process alone
 *     resolvers                   what finds `#role`; those said nearest are asked first
 *     principal                   as whom the branch acts, for those who ask
 *     call, event                 what is in progress; nothing follows it through `await`: read it before the first
 *     wrap_call, wrap_publish, wrap_subscribe, wrap_invocation, wrap_event
 *                                 stand round what goes out of a branch, and round what comes in
 *
 * @module
 */

/**
 * Stands round what a node does: `next(uri, args, kwargs)` goes on. The oldest ancestor's is the outermost.
 * @typedef {(next: Next, uri: string, args: unknown[], kwargs: Record<string, unknown>) => unknown} Wrapper
 */
/** @typedef {(uri: string, args: unknown[], kwargs: Record<string, unknown>) => any} Next */
/** What a context says. @typedef {NodeContext & Known & Record<string, any>} Said */
/** @typedef {"wrap_call" | "wrap_invocation" | "wrap_publish" | "wrap_subscribe" | "wrap_event"} Wraps */

/**
 * @typedef {object} Known
 * @property {any} [connection]
 * @property {import("./port.js").Session} [session]
 * @property {import("./tree.js").Tree} [tree]
 * @property {readonly import("../path.js").Resolver[]} [resolvers]
 */

/**
 * An event that came from elsewhere, and who has said it, where the router discloses that.
 * @typedef {{ topic: string, details: Record<string, any>, publisher?: number, publisher_authid?: string,
 *    publisher_authrole?: string }} Event
 */

/** `Invoked.details`, the very object, of calls from the same connection. @type {Record<string, any>} */
export const NEAR = Object.freeze({});

/** What stands on the stack. @type {{ call: import("./port.js").Invoked | null, event: Event | null }} */
const IN_PROGRESS = { call: null, event: null };

/**
 * What *work* gives, with *what* in progress until it first waits.
 * @template T
 * @param {Partial<typeof IN_PROGRESS>} what
 * @param {() => T} work
 */
export function during({ call = null, event = null }, work) {
  const before = { ...IN_PROGRESS };
  IN_PROGRESS.call = call;
  IN_PROGRESS.event = event;
  try {
    return work();
  } finally {
    IN_PROGRESS.call = before.call;
    IN_PROGRESS.event = before.event;
  }
}

export class NodeContext {
  /** @param {Record<string, unknown>} [names] */
  constructor(names) {
    Object.assign(this, names);
  }

  /**
   * The call in progress: who called (`caller`, `caller_authid`), what, and the `signal` that says if they gave up.
   */
  get call() {
    return IN_PROGRESS.call;
  }

  /** The event in progress, where it came from elsewhere: its `topic`, and who says it (`publisher`). */
  get event() {
    return IN_PROGRESS.event;
  }

  /** A context below this one. @param {Record<string, unknown>} [more] @returns {Said} */
  new(more) {
    return Object.assign(Object.create(this), more);
  }

  /** The member *name*, of this context or the nearest above it. @param {string} name @param {unknown} [otherwise] */
  get(name, otherwise) {
    return this.has(name) ? /** @type {any} */ (this)[name] : otherwise;
  }

  /** @param {string} name */
  has(name) {
    return name in this && !(name in NodeContext.prototype);
  }

  /** The names of all members that are seen from here, the nearest first. @returns {IterableIterator<string>} */
  *[Symbol.iterator]() {
    const seen = new Set();
    for (const each of upwards(this)) {
      for (const name of Object.keys(each)) {
        if (!seen.has(name)) yield name;
        seen.add(name);
      }
    }
  }
}

/** A context and those above it. @param {NodeContext} context @returns {Generator<Said>} */
function* upwards(context) {
  for (let each = context; each !== NodeContext.prototype; each = Object.getPrototypeOf(each)) yield each;
}

/** What is asked for roles in *context*, in turn. @param {NodeContext} context */
export const resolversOf = (context) =>
  [...upwards(context)].flatMap((each) => (Object.hasOwn(each, "resolvers") ? [...(each.resolvers ?? [])] : []));

/**
 * *last* behind all wrappers of *kind*; the one said farthest above comes first.
 * @param {NodeContext} context
 * @param {Wraps} kind
 * @param {Next} last
 * @returns {Next}
 */
export function wrapped(context, kind, last) {
  if (!(kind in context)) return last;
  for (const each of upwards(context)) {
    const wrapper = Object.hasOwn(each, kind) ? each[kind] : undefined;
    if (!wrapper) continue;
    const next = last;
    last = (uri, args, kwargs) => wrapper(next, uri, args, kwargs);
  }
  return last;
}
