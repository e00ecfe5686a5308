/**
 * Calling: how a node reaches others, and how what comes for it is run. The half of `Node` that stands on the tree.
 * @module
 */
import { report } from "../events.js";
import { LimenError } from "../exc.js";
import { NEAR, during, wrapped } from "./context.js";
import { declared } from "./declared.js";
import { STANDING } from "./growth.js";
import { joined, split } from "./kwargs.js";
import { across, every, incoming, outgoing } from "./passing.js";
import { run_handlers } from "./signal.js";
import { State } from "./state.js";
import { nothing, parted } from "./tree.js";

/** @typedef {import("./context.js").Said} Said */
/** @typedef {import("./port.js").Invoked} Invoked */
/** @typedef {import("./signal.js").Handler} Handler */
/** @typedef {Record<string, unknown>} Named */
/** @typedef {{ topic: string, args: unknown[], kwargs: Named, details: Record<string, any> }} Heard */
/**
 * *timeout*: seconds that a call may take. *offline*: what becomes of one while the connection is lost: it waits for
 * it to
 * come back, as long as the time-out allows, or fails at once. *signal*: aborted, the call is canceled, here and there.
 * *push*: gets the values of a stream one by one.
 * @typedef {{ timeout?: number | undefined, offline?: "wait" | "fail" | undefined, signal?: AbortSignal | undefined,
 *    push?: ((value: any) => void) | undefined }} CallOptions
 */

export class Calling extends State {
  /** @type {import("../path.js").Path | null} */ _path = null;
  /** @type {Said | null} */ _context = null;

  get _tree() {
    return /** @type {import("./tree.js").Tree} */ (this._where().tree);
  }

  /** @returns {Said} */
  _where() {
    if (this._context) return this._context;
    throw new LimenError("InvalidCall", [
      `This ${this.constructor.name} is not bound: await node_bind(path, context) first.`,
    ]);
  }

  /** @returns {import("./node.js").Node} */
  get _self() {
    return /** @type {any} */ (this);
  }

  /** A node that offers its state only now: its router need not have known of it. @override */
  _state_began() {
    const { _self: self } = this;
    if (self._stage === STANDING) self._tree.tell(self._stem, [self]).catch(report);
  }

  // -- calls that go out ------------------------------------------------------------------------------------------
  /**
   * @param {string} address
   * @param {unknown[]} args
   * @param {Named} kwargs
   * @param {CallOptions} options
   * @returns {Promise<any>}
   */
  async _call_from(address, args, kwargs, options) {
    const context = this._where();
    if (!("wrap_call" in context)) return this._call(address, args, kwargs, options);
    return wrapped(context, "wrap_call", (...call) => this._call(...call, options))(address, args, kwargs);
  }

  /**
   * @param {string} address
   * @param {unknown[]} args
   * @param {Named} kwargs
   * @param {CallOptions} options
   * @returns {Promise<any>}
   */
  async _call(address, args, kwargs, options) {
    const { _tree: tree, _self: self } = this;
    const found = tree.find(address);
    if (found) return near(self, found, address, args, kwargs, options);
    const { session } = tree;
    if (!session) throw nothing(address);
    const { offline, push, ...rest } = options;
    if (offline === "fail" && session.state !== "online")
      throw new LimenError("ConnectionLost", [`The connection is lost, so ${address} was not called.`]);
    const [out, named] = every(outgoing, args, kwargs, self);
    const pushed = push && ((/** @type {unknown} */ value) => push(incoming(value, self)));
    return incoming(await session.apply(address, out, named, pushed ? { ...rest, push: pushed } : rest), self);
  }

  // -- calls that come in -----------------------------------------------------------------------------------------
  /** @param {string} method @param {Invoked} invoked @returns {Promise<any>} */
  async _run(method, invoked) {
    const context = this._where();
    if (!("wrap_invocation" in context)) return this._perform(method, invoked, invoked.args, invoked.kwargs);
    const last = wrapped(context, "wrap_invocation", (_, args, kwargs) => this._perform(method, invoked, args, kwargs));
    return during({ call: invoked }, () => last(invoked.uri, invoked.args, invoked.kwargs));
  }

  /**
   * @param {string} method
   * @param {Invoked} invoked
   * @param {unknown[]} args
   * @param {Named} kwargs
   * @returns {Promise<any>}
   */
  async _perform(method, invoked, args, kwargs) {
    const written = joined(...every(incoming, args, kwargs, this._self));
    const result = await during({ call: invoked }, () => /** @type {any} */ (this)[method](...written));
    return iterates(result) ? outwards(result) : outgoing(result);
  }

  // -- signals ----------------------------------------------------------------------------------------------------
  /**
   * The router, when the signal *name* of this node is notified; with wrappers round it, whoever else listens, too.
   * @param {string} name
   * @param {unknown[]} written
   * @returns {Promise<unknown> | undefined}
   */
  _signal_notified(name, written) {
    const { _context: context, _path: path } = this;
    if (!context || !path) return undefined;
    const call = /** @type {const} */ ([`${path}.${name}`, ...split(written)]);
    if (!("wrap_publish" in context)) return this.#sent(...call);
    return Promise.resolve(wrapped(context, "wrap_publish", (...what) => this._publish(...what))(...call));
  }

  /** Who else of this connection listens to the signal *name* of this node. @param {string} name */
  _signal_listeners(name) {
    const { _context: context, _path: path } = this;
    return context && path && !("wrap_publish" in context) ? this.#listeners(String(path), name) : [];
  }

  /** @param {string} topic @param {unknown[]} args @param {Named} kwargs @returns {Promise<unknown> | undefined} */
  #sent(topic, args, kwargs) {
    const [out, named] = every(outgoing, args, kwargs, this._self);
    return this._tree.session?.publish(topic, out, named);
  }

  /** Each gets what it would get over the wire. @param {string} address @param {string} name @returns {Handler[]} */
  #listeners(address, name) {
    return this._tree.listeners(address, name).map(([node, handler]) => (...written) => {
      const [args, kwargs] = split(written);
      return handler(...joined(...every(across, args, kwargs, node)));
    });
  }

  /**
   * Says the signal at *topic*, whose node may be here or elsewhere.
   * @param {string} topic
   * @param {unknown[]} written
   */
  async _notify_from(topic, written) {
    const context = this._where();
    const [address, name] = parted(topic);
    const node = /** @type {any} */ (this._tree.nodes.get(address));
    if (node && declared(node.constructor).signals.has(name)) return node[name].notify(...written);
    return wrapped(context, "wrap_publish", (...what) => this._publish(...what))(topic, ...split(written));
  }

  /**
   * The router, and listeners of this connection.
   * @param {string} topic
   * @param {unknown[]} args
   * @param {Named} kwargs
   */
  async _publish(topic, args, kwargs) {
    const sent = this.#sent(topic, args, kwargs);
    await run_handlers(topic, this.#listeners(...parted(topic)), joined(args, kwargs), sent);
  }

  /** @param {string} address @param {Handler} handler @returns {Promise<() => Promise<void>>} */
  async _listen(address, handler) {
    const { _tree: tree, _self: self } = this;
    const listen = (/** @type {string} */ where) => tree.listen(self, where, handler);
    await wrapped(this._where(), "wrap_subscribe", listen)(address, [], {});
    return () => tree.listenNoMore(self, address, handler);
  }

  /** @param {string} address @param {Handler} handler */
  async _listen_no_more(address, handler) {
    await this._tree.listenNoMore(this._self, address, handler);
  }

  /** What somebody elsewhere has said, for a handler of this node. @param {Handler} handler @param {Heard} event */
  _hear(handler, event) {
    return this.#heard(event, (written) => handler(...written));
  }

  /** Somebody elsewhere has said the signal *name* of this node. @param {string} name @param {Heard} event */
  _say_here(name, event) {
    return this.#heard(event, (written) => /** @type {any} */ (this)[name].heard(written));
  }

  /** @param {Heard} event @param {(written: unknown[]) => unknown} work */
  async #heard({ topic, args, kwargs, details }, work) {
    if (!this._context || this._self._ending) return;
    try {
      const { publisher, publisher_authid, publisher_authrole } = details;
      const event = { topic, details, publisher, publisher_authid, publisher_authrole };
      const last = (/** @type {string} */ _, /** @type {unknown[]} */ given, /** @type {Named} */ named) =>
        during({ event }, () => work(joined(...every(incoming, given, named, this._self))));
      await during({ event }, () => wrapped(this._where(), "wrap_event", last)(topic, args, kwargs));
    } catch (error) {
      report(error);
    }
  }
}

/** Of calls that nobody can give up. */
const NEVER = new AbortController().signal;

/**
 * A call of a node of the same tree: no wire, the same arguments and results.
 * @param {import("./node.js").Node} caller
 * @param {[node: import("./node.js").Node, method: string]} found
 * @param {string} address
 * @param {unknown[]} args
 * @param {Named} kwargs
 * @param {CallOptions} options
 */
async function near(caller, [node, method], address, args, kwargs, options) {
  const { timeout, signal, push } = options;
  const [plain, named] = every(across, args, kwargs, node);
  const control = timeout !== undefined || signal ? new AbortController() : undefined;
  /** @type {Invoked} */
  const invoked = {
    uri: address,
    args: plain,
    kwargs: named,
    details: NEAR,
    caller: caller._tree.session?.id ?? null,
    caller_authid: null,
    caller_authrole: null,
    push: push ?? null,
    signal: control?.signal ?? NEVER,
  };
  const outcome = control ? within(run(), control, options, address) : run();
  return outcome;

  async function run() {
    try {
      const result = await node._run(method, invoked);
      return across(iterates(result) ? await drained(result, invoked, caller) : result, caller);
    } catch (error) {
      throw known(error);
    }
  }
}

/**
 * What may be known elsewhere of *error*: all of one of ours; of any other that there was one.
 * @param {unknown} error
 */
function known(error) {
  if (error instanceof LimenError) return error;
  report(error);
  return new LimenError("InternalError");
}

/**
 * *work*, unless its time runs out or its caller gives up first; then *control* tells those who do it.
 * @param {Promise<any>} work
 * @param {AbortController} control
 * @param {CallOptions} options
 * @param {string} address
 */
function within(work, control, { timeout, signal }, address) {
  return new Promise((resolve, reject) => {
    const end = (/** @type {LimenError} */ error) => {
      reject(error);
      control.abort(error);
    };
    const late = () => end(new LimenError("Timeout", [`${address} has not answered within ${timeout} s.`]));
    const leave = () => end(new LimenError("Canceled"));
    const timer = timeout === undefined ? undefined : setTimeout(late, timeout * 1000);
    const tidy = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", leave);
    };
    if (signal?.aborted) leave();
    else signal?.addEventListener("abort", leave);
    work.then(resolve, reject).finally(tidy);
  });
}

/** A stream's iterator, which a list or a text is not. @param {any} value */
const iterates = (value) =>
  typeof value?.next === "function" && (Symbol.asyncIterator in value || Symbol.iterator in value);

/**
 * So many values of a stream that waits for nothing, then others have their turn: timers, the network, the screen.
 */
const BREATH = 256;

/** @param {AsyncIterable<unknown>} values */
async function* outwards(values) {
  let come = 0;
  for await (const value of values) {
    yield outgoing(value);
    if (++come % BREATH === 0) await new Promise((resolve) => setTimeout(resolve));
  }
}

/**
 * The values of a stream as they come over the wire: one by one to whoever wants that, else as a list.
 * @param {AsyncIterable<unknown>} values
 * @param {Invoked} invoked
 * @param {import("./node.js").Node} caller
 */
async function drained(values, { push, signal }, caller) {
  /** @type {unknown[]} */ const all = [];
  for await (const value of values) {
    if (signal.aborted) break;
    if (push) push(across(value, caller));
    else all.push(value);
  }
  return push ? null : all;
}
