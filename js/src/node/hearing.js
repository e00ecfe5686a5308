/**
 * Hearing: how the signals of a node reach others, and how it hears what others say.
 *
 * A signal that is said here reaches its own handlers, listeners of the same connection (with the arguments as they would
 * be from far), and the router. What comes from elsewhere is handled as it comes: synchronous handlers have run, in the
 * order of publication, before the next event is looked at; async ones have begun. A handler that fails is reported.
 *
 * @module
 */
import { report } from "../events.js";
import { Calling } from "./calling.js";
import { during, resolversOf, wrapped } from "./context.js";
import { declared, OWN } from "./declared.js";
import { joined, split } from "./kwargs.js";
import { across, incoming, outgoing, passed } from "./passing.js";
import { run_handlers } from "./signal.js";
import { parted } from "./listening.js";

/** @typedef {import("./calling.js").Named} Named */
/** @typedef {import("./signal.js").Handler} Handler */
/** @typedef {{ topic: string, args: unknown[], kwargs: Named, details: Record<string, any> }} Heard */

export class Hearing extends Calling {
  /** @override */
  static [OWN] = true;

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
    const [out, named] = passed(outgoing, args, kwargs, this._self);
    return this._tree.session?.publish(topic, out, named);
  }

  /** Each gets what it would get over the wire. @param {string} address @param {string} name @returns {Handler[]} */
  #listeners(address, name) {
    return this._tree.listeners.of(address, name).map(([node, handler]) => (...written) => {
      const [args, kwargs] = split(written);
      return handler(...joined(...passed(across, args, kwargs, node)));
    });
  }

  /**
   * Says the signal at *topic*, whose node may be here or elsewhere.
   * @param {string} topic
   * @param {unknown[]} written
   */
  async _notify_from(topic, written) {
    const publish = (/** @type {[string, unknown[], Named]} */ ...what) => this._publish(...what, true);
    await wrapped(this._where(), "wrap_publish", publish)(topic, ...split(written));
  }

  /**
   * To the router, and to listeners of this connection. *anothers*: the node whose signal it is has not heard it, and does
   * if it is here.
   * @param {string} topic
   * @param {unknown[]} args
   * @param {Named} kwargs
   */
  async _publish(topic, args, kwargs, anothers = false) {
    const [address, name] = parted(topic);
    const handlers = this.#listeners(address, name);
    /** @type {unknown[]} */ const errors = [];
    const node = anothers ? /** @type {any} */ (this._tree.nodes.get(address)) : undefined;
    if (node && declared(node.constructor).signals.has(name)) {
      const given = joined(...passed(across, args, kwargs, node));
      node[name].check(given); // what does not fit is not published either
      handlers.unshift(() =>
        node[name].heard(given).catch((/** @type {unknown} */ error) => {
          if (!(error instanceof AggregateError)) throw error;
          errors.push(...error.errors);
        }),
      );
    }
    await run_handlers(topic, handlers, joined(args, kwargs), this.#sent(topic, args, kwargs), errors);
  }

  /** @param {string} address @param {Handler} handler @returns {Promise<() => Promise<void>>} */
  async _listen(address, handler) {
    const { _tree: tree, _self: self } = this;
    const listen = (/** @type {string} */ where) => {
      address = where; // a wrapper may have given another, and that is to be undone
      return tree.listeners.add(self, where, handler);
    };
    await wrapped(this._where(), "wrap_subscribe", listen)(address, [], {});
    return () => tree.listeners.drop(self, address, handler);
  }

  /** @param {string} address @param {Handler} handler */
  async _listen_no_more(address, handler) {
    await this._tree.listeners.drop(this._self, address, handler);
  }

  /** What its class listens to elsewhere. */
  async _listen_as_declared() {
    const self = /** @type {any} */ (this);
    const listens = declared(this.constructor).elsewhere.map(({ attribute, address, signal }) => {
      const path = self.node_path.resolve(address, ...resolversOf(this._where()));
      return this._listen(signal ? `${path}.${signal}` : String(path), (...args) => self[attribute](...args));
    });
    await Promise.all(listens);
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
        during({ event }, () => work(joined(...passed(incoming, given, named, this._self))));
      await during({ event }, () => wrapped(this._where(), "wrap_event", last)(topic, args, kwargs));
    } catch (error) {
      report(error);
    }
  }
}
