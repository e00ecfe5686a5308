/**
 * Calling: how a node calls others, and how what is called of it runs. Near and far differ in the wire alone: arguments
 * and results are what they would be from far, and so are errors.
 *
 * @module
 */
import { report } from "../events.js";
import { LimenError } from "../exc.js";
import { NEAR, during, wrapped } from "./context.js";
import { OWN } from "./declared.js";
import { STANDING } from "./growth.js";
import { joined } from "./kwargs.js";
import { across, incoming, outgoing, passed } from "./passing.js";
import { State } from "./state.js";
import { nothing } from "./tree.js";

/** @typedef {import("./context.js").Said} Said */
/** @typedef {import("./port.js").Invoked} Invoked */
/** @typedef {Record<string, unknown>} Named */
/**
 * *timeout*: seconds that a call may take. *offline*: what becomes of one while the connection is lost: it waits for it
 * to come back, as long as the time-out allows, or fails at once. *signal*: aborted, the call is canceled, here and
 * there. *push*: gets the values of a stream one by one.
 * @typedef {{ timeout?: number | undefined, offline?: "wait" | "fail" | undefined, signal?: AbortSignal | undefined,
 *    push?: ((value: any) => void) | undefined }} CallOptions
 */

export class Calling extends State {
  /** @override */
  static [OWN] = true;

  /** @type {import("../path.js").Path | null} */ _path = null;
  /** @type {Said | null} */ _context = null;

  get _tree() {
    return /** @type {import("./tree.js").Tree} */ (this._where().tree);
  }

  /** @returns {Said} */
  _where() {
    if (this._context) return this._context;
    throw new LimenError("InvalidCall", [
      `This ${this.constructor.name} is not bound, or not any more: await node_bind(path, context) first.`,
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
    const [out, named] = passed(outgoing, args, kwargs, self);
    const pushed = push && ((/** @type {unknown} */ value) => push(incoming(value, self)));
    return incoming(await session.apply(address, out, named, pushed ? { ...rest, push: pushed } : rest), self);
  }

  // -- calls that come in -----------------------------------------------------------------------------------------
  /** @param {string} method @param {Invoked} invoked @returns {Promise<any>} */
  async _perform(method, invoked) {
    const context = this._where();
    if (!("wrap_invocation" in context)) return this._do(method, invoked, invoked.args, invoked.kwargs);
    const last = wrapped(context, "wrap_invocation", (_, args, kwargs) => this._do(method, invoked, args, kwargs));
    return during({ call: invoked }, () => last(invoked.uri, invoked.args, invoked.kwargs));
  }

  /**
   * @param {string} method
   * @param {Invoked} invoked
   * @param {unknown[]} args
   * @param {Named} kwargs
   * @returns {Promise<any>}
   */
  async _do(method, invoked, args, kwargs) {
    const written = joined(...passed(incoming, args, kwargs, this._self));
    const result = await during({ call: invoked }, () => /** @type {any} */ (this)[method](...written));
    return iterates(result) ? outwards(result) : outgoing(result);
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
  const [plain, named] = passed(across, args, kwargs, node);
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
      const result = await node._perform(method, invoked);
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
