/**
 * The client's half of a session: `start_session`. Its twin is `src/limen/session/joined.py`.
 *
 *     const joined = await start_session(connection, "shop", { views: { Desktop } });
 *     await joined.remote("#session").end();                          // calls of the session itself
 *     await joined.views.get("desktop").remote("#controller").save(); // … and of a controller
 *
 * What is open on the server has its view here: made when the context opens, unbound when it closes. After the connection
 * was lost, or the page reloaded, the session goes on as it was; where the server has it no more, a new one begins.
 *
 * The address and a secret that proves the page are kept in sessionStorage, which this tab alone has. The secret travels
 * as an argument, never in a URL, and is another one after each return.
 * @module
 */
import { LimenError, NEAR, Node, Path } from "../node.js";
import { CLIENT, Roles } from "./roles.js";
import { View } from "./view.js";

/** What the server says of a context. @typedef {{name: string, view: string, options: any, roles: any}} Opened */
/** What a page keeps, as `sessionStorage` does. @typedef {Pick<Storage, "getItem" | "setItem" | "removeItem">} Store */
/**
 * *started*: there is a session, again after each loss. *opened*, *closed*: a view. *ended*: the session is over (why).
 * @typedef {"started" | "opened" | "closed" | "ended"} Happening
 */
/**
 * *views*: what makes a view, by the name that the server says; one that is not there is a plain `View`. *store*: where
 * address and secret are kept; sessionStorage, unless said. *details*: what the program is told of this page.
 * @typedef {{views?: Record<string, new () => View>, store?: Store, details?: Record<string, unknown>}} Options
 */

const EVENTS = ["started", "opened", "closed", "ended"];
/** Above the names of what is kept. */
const KEPT = "limen.session.";

/**
 * A session of the application at *address*: the one that this tab had, if the server has it still, else a new one.
 * Resolves when all that is open has its view.
 * @param {import("../node/connection.js").Connection} connection
 * @param {string} address
 * @param {Options} [options]
 */
export async function start_session(connection, address, options = {}) {
  const joined = new Joined(connection, address, options);
  await connection.connected();
  await joined._begin();
  return joined;
}

/** @param {unknown} error @param {string} name */
const is = (error, name) => error instanceof LimenError && error.is(name);

/** Losses of the connection amid a question, after which it is not asked again. */
const LOSSES = 10;

/**
 * Asks again where the connection was lost amid it: all that is asked here may be done twice.
 * @param {() => Promise<any>} ask
 * @returns {Promise<any>}
 */
async function surely(ask) {
  for (let lost = 0; ; lost++)
    try {
      return await ask();
    } catch (error) {
      if (lost === LOSSES || !is(error, "OutcomeUnknown")) throw error;
    }
}

/** Above the views of a page. */
class Client extends Node {}

export class Joined {
  /** By the names of their contexts. @type {Map<string, View>} */ views = new Map();
  /** It began with this `start_session`: it was not found again. */
  new = false;
  /** Of the session; empty where there is none. */
  address = "";
  #connection;
  #application;
  #makers;
  #store;
  #details;
  /** @type {Client | null} */ #client = null;
  /** @type {number | null} */ #server = null;
  /** Views of which the server does not know yet. @type {string[]} */ #untold = [];
  /** The server has the session no more. */
  #lost = false;
  /** Ends the question whether the server has it still. */
  #resuming = new AbortController();
  /** One thing after the other. @type {Promise<unknown>} */ #turn = Promise.resolve();
  /** @type {Map<string, Set<(detail: any) => void>>} */ #handlers = new Map(EVENTS.map((event) => [event, new Set()]));
  /** @type {(() => unknown)[]} */ #undos = [];
  #first = () => this.#resume();

  /** @param {import("../node/connection.js").Connection} connection @param {string} address @param {Options} options */
  constructor(connection, address, { views = {}, store = globalThis.sessionStorage, details = {} }) {
    for (const [name, made] of Object.entries(views))
      if (made !== View && !(/** @type {any} */ (made)?.prototype instanceof View))
        throw new LimenError("InvalidCall", [`views.${name} must be a class that extends View of application.mjs.`]);
    this.#connection = connection;
    this.#application = address;
    this.#makers = views;
    this.#store = store;
    this.#details = details;
  }

  /** Calls *handler* when that happens; gives the undo. @param {Happening} event @param {(detail: any) => void} handler */
  on(event, handler) {
    const handlers = this.#handlers.get(event);
    if (!handlers)
      throw new LimenError("InvalidCall", [`There is no "${event}" here; there are: ${EVENTS.join(", ")}.`]);
    handlers.add(handler);
    return () => void handlers.delete(handler);
  }

  /**
   * What stands at *address*, counted from the session: `#session`, `@desktop.controller`.
   * @param {import("../path.js").Address} address
   * @param {import("../node/calling.js").CallOptions} [options]
   */
  remote(address, options) {
    if (!this.#client) throw new LimenError("UnknownSession", ["This session has ended."]);
    return this.#client.remote(address, options);
  }

  /** Ends the session, here and on the server. */
  async end() {
    if (!this.#client) return;
    const session = this.remote("#session");
    await surely(() => session.end()).catch((error) => {
      if (!is(error, "NotFound") && !is(error, "ConnectionLost")) throw error;
    });
    await this.#over("end");
  }

  /** Unbinds all of it here, as a page does that is closed: on the server it waits for its time to be up. */
  leave() {
    return this.#inTurn(async () => {
      this.#stop();
      await this.#unbind();
    });
  }

  // -- beginning --------------------------------------------------------------------------------------------------
  /** For `start_session`. */
  async _begin() {
    const { session } = this.#connection;
    session.discloses = true; // the application must know who says something
    session.first.push(this.#first);
    const restored = () => void this.#do(() => this.#goOn());
    this.#undos = [session.on("restored", restored)];
    try {
      this.#undos.push(await this.#heardOf(restored));
      await this.#inTurn(() => this.#start());
    } catch (error) {
      this.#stop(); // nothing is left that would begin a session later, when nobody asks for one
      await this.#unbind();
      throw error;
    }
  }

  /**
   * The server says when the application begins; whom it does not let hear that may begin nothing either.
   * @param {() => void} restored
   */
  async #heardOf(restored) {
    try {
      return await this.#connection.session.subscribe(`${this.#application}.on_begin`, restored);
    } catch (error) {
      if (!is(error, "Unauthorized")) throw error;
      const { exc, message, facts } = /** @type {LimenError} */ (error);
      throw new LimenError(
        exc,
        [
          `"${this.#application}" begins no session for this client: ${message} Either no application stands ` +
            "there, or it asks for a login (SAFE), or for a role (USER_ROLES); another router must let this client " +
            "subscribe what is below that address.",
        ],
        facts,
      );
    }
  }

  /** What this tab had. @returns {{address: string, token: string} | null} */
  #known() {
    try {
      return JSON.parse(this.#store.getItem(KEPT + this.#application) ?? "null");
    } catch {
      return null;
    }
  }

  /** @param {string | null} address @param {string | null} token @param {AbortSignal} [signal] */
  #ask(address, token, signal) {
    const { session } = this.#connection;
    return session.apply(`${this.#application}.start_session`, [address, token, this.#details], {}, signal && { signal });
  }

  /**
   * Has a session, the one that is known or a new one, if there is none here yet: the connection may have been lost
   * meanwhile, and it has begun with its return.
   */
  async #start() {
    if (this.address) return;
    const known = this.#known();
    let told = null;
    if (known)
      told = await surely(() => this.#ask(known.address, known.token)).catch((error) => {
        if (!is(error, "UnknownSession")) throw error;
        this.#store.removeItem(KEPT + this.#application);
        return null;
      });
    this.#remember((told ??= await surely(() => this.#ask(null, null))));
    this.address = told.address;
    const client = (this.#client = new Client());
    const place = new Path(this.address);
    await client.node_bind(
      place.add(CLIENT),
      this.#connection.new_context({
        resolvers: [(/** @type {string} */ role) => (role === "session" ? place : null)],
        wrap_invocation: this.#guard,
      }),
    );
    const session = client.remote("#session");
    await Promise.all([
      session.on_open.connect((/** @type {Opened} */ opened) => this.#do(() => this.#open(opened))),
      session.on_close.connect((/** @type {string} */ name) => this.#do(() => this.#close(name))),
      session.on_end.connect((/** @type {string} */ why) => this.#do(() => this.#over(why), false)),
    ]);
    await this.#agree();
    this.#emit("started", this);
  }

  /** @param {{address: string, token: string, new: boolean, server: number}} told */
  #remember({ address, token, new: fresh, server }) {
    this.#store.setItem(KEPT + this.#application, JSON.stringify({ address, token }));
    this.new = fresh;
    this.#server = server;
  }

  /** The connection has returned: the server learns whose it is before anything else is said. */
  async #resume() {
    const known = this.#known();
    if (!this.address || !known) return;
    this.#resuming.abort(); // what was asked before must not be asked after this: the token would be another again
    const { signal } = (this.#resuming = new AbortController());
    try {
      const told = await this.#ask(known.address, known.token, signal);
      if (!signal.aborted) this.#remember(told);
    } catch (error) {
      if (signal.aborted || is(error, "OutcomeUnknown") || is(error, "ConnectionLost")) return; // the next return asks again
      console.warn(`Limen: the session at ${this.#application} was not found again: ${/** @type {Error} */ (error).message}`);
      this.#lost = true; // what there is to do then is done when all else stands again
    }
  }

  /** The server has the session, or it is over and a new one begins. */
  async #goOn(why = "gone") {
    if (this.address && !this.#lost)
      try {
        await this.#agree();
        this.#emit("started", this);
        return;
      } catch (error) {
        if (!is(error, "NotFound")) throw error;
      }
    const had = this.address !== "";
    this.#lost = false;
    await this.#unbind();
    if (had) this.#emit("ended", why);
    await this.#start().catch((error) => {
      if (!is(error, "NotFound")) throw error; // it will say when it has begun
    });
  }

  /** What is open there is open here, and nothing else. */
  async #agree() {
    const session = this.remote("#session");
    /** @type {Opened[]} */ const there = await surely(() => session.contexts());
    for (const name of [...this.views.keys()]) if (!there.some((one) => one.name === name)) await this.#close(name);
    for (const one of there) await this.#open(one);
  }

  // -- what the server says ---------------------------------------------------------------------------------------
  /** @param {Opened} opened */
  async #open({ name, view: kind, options, roles }) {
    const client = this.#client;
    if (!client) return;
    if (!this.views.has(name)) {
      const view = new (Object.hasOwn(this.#makers, kind) ? /** @type {typeof View} */ (this.#makers[kind]) : View)();
      view.options = options;
      const context = client.node_context.new({ resolvers: [Roles(new Path(this.address), name, roles)] });
      await view.node_bind(client.node_path.add(name), context, client);
      this.views.set(name, view);
      this.#emit("opened", view);
    }
    this.#untold.push(name);
  }

  /** The server learns which views there are. Not in turn: what it does then may open more, and wait for it. */
  async #tell() {
    const names = this.#untold.splice(0);
    if (!this.#client) return;
    const session = this.remote("#session");
    const told = names.map((name) => surely(() => session.viewing(name)));
    for (const outcome of await Promise.allSettled(told))
      if (outcome.status === "rejected" && !is(outcome.reason, "NotFound")) throw outcome.reason; // closed meanwhile
  }

  /** @param {string} name */
  async #close(name) {
    const view = this.views.get(name);
    if (!view) return;
    this.views.delete(name);
    await view.node_unbind();
    await view.closed();
    this.#emit("closed", view);
  }

  /** @param {string} why */
  #over(why) {
    return this.#inTurn(async () => {
      if (!this.address) return;
      this.#store.removeItem(KEPT + this.#application);
      if (why === "gone" || why === "stop") {
        this.#lost = true;
        await this.#goOn(why);
        return;
      }
      await this.#unbind();
      this.#stop();
      this.#emit("ended", why);
    });
  }

  /** Views answer the server alone. @type {import("../node/context.js").Wrapper} */
  #guard = async (next, uri, args, kwargs) => {
    const call = this.#client?.node_context.call;
    if (call && call.details !== NEAR) {
      if (call.caller !== this.#server) this.#server = await surely(() => this.remote("#session").server()); // by now another, maybe
      if (call.caller === null || call.caller !== this.#server)
        throw new LimenError("NotFound", [`Nothing is called by ${uri}.`]);
    }
    return next(uri, args, kwargs);
  };

  // -- inside -----------------------------------------------------------------------------------------------------
  async #unbind() {
    const [client, views] = [this.#client, [...this.views.values()]];
    this.#client = null;
    this.address = "";
    this.views.clear();
    await client?.node_unbind();
    for (const view of views) await view.closed();
  }

  #stop() {
    for (const undo of this.#undos.splice(0)) undo();
    const { session } = this.#connection;
    session.first = session.first.filter((work) => work !== this.#first);
  }

  /**
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  async #inTurn(work) {
    const done = this.#turn.then(work, work);
    this.#turn = done.catch(() => {});
    const result = await done;
    await this.#tell();
    return result;
  }

  /** What nobody waits for. @param {() => Promise<unknown>} work */
  #do(work, inTurn = true) {
    (inTurn ? this.#inTurn(work) : work()).catch((error) => queueMicrotask(() => reportError(error)));
  }

  /** @param {Happening} event @param {unknown} detail */
  #emit(event, detail) {
    for (const handler of [...(this.#handlers.get(event) ?? [])]) handler(detail);
  }
}
