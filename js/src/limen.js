/**
 * Limen in the page: functions on the server, as if they were here.
 *
 *     <script src="/limen/limen.js"></script>                       the global Limen
 *     import { login, safe_call } from "/limen/limen.mjs";          or the module
 *
 *     await Limen.login("ada", password);
 *     const todo = await Limen.safe_call("add", "Play with Limen");
 *     await Limen.subscribe("todo.changed", (todo) => show(todo));
 *
 * @module
 */
import { spread } from "./calls.js";
import { LimenError, handle } from "./exc.js";
import { LimenFile, ahead, bound, holds } from "./files.js";
import { call as httpCall } from "./http.js";
import { safely } from "./events.js";
import { listen } from "./listen.js";
import { domainName, uriOf } from "./names.js";
import { Session } from "./session.js";
import { Slots } from "./slots.js";
import { Tabs } from "./tabs.js";
import { Tagged, decimal, isPlain } from "./values.js";

export { LimenError, LimenFile, Tagged, decimal };

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./calls.js").Options} CallOptions */
/** @typedef {import("./calls.js").Stream} Stream */

/** Where this file came from: `…/limen/limen.js`; the address tree's root is one folder up. */
const SOURCE = new URL(
  (typeof document === "object" && /** @type {HTMLScriptElement | null} */ (document.currentScript)?.src) ||
    import.meta.url,
);
const BASE = new URL("../", SOURCE);
/** `<script src="/limen/limen.js" data-lane="http">`, or of the page's module. */
const TAG = typeof document === "object" && (document.currentScript ?? document.querySelector("script[data-lane]"));
const SAID = /** @type {HTMLElement | null} */ (TAG || null)?.dataset ?? {};

const tabs = new Tabs();
if (SAID.tabs === "off") tabs.allowed = false;
const session = new Session({
  url: new URL("ws", BASE).href.replace(/^http/, "ws"),
  base: BASE.href,
  lane: SAID.lane || "ws",
  loadLane: () => import(/* @vite-ignore */ new URL("lane.mjs", SOURCE).href),
  domain: domainName(BASE.hostname),
  slots: new Slots(),
  tabs,
  loadLogin: async () => {
    const part = await import(/* @vite-ignore */ new URL("login.mjs", SOURCE).href);
    return part.loginPart(new URL("argon2.js", SOURCE).href);
  },
});

/** For node.mjs, which has nodes take part in this session. */
export { session as _session };

/**
 * What the page does with errors, by name; `exc.Error` hears of those that have no handler. The promise rejects all the
 * same.
 * @type {import("./exc.js").Handlers}
 */
export const exc = {};

/**
 * Tells the page's handlers of a rejection, unless the page itself cancelled.
 * @template {Promise<any>} P
 * @param {P} promise
 * @returns {P}
 */
function reported(promise) {
  promise.catch((error) => {
    if (!(error instanceof LimenError) || error.exc === "Canceled") return;
    safely(() => handle(exc, error));
    if (Array.isArray(error.facts.frames) && typeof document === "object") void showFailure(error);
  });
  return promise;
}

/** Shows a failure of a server in development, over the page. @param {LimenError} error */
async function showFailure(error) {
  try {
    (await import(/* @vite-ignore */ new URL("dev.mjs", SOURCE).href)).show(error);
  } catch (problem) {
    console.warn("Limen: the failure can't be shown here", problem, error.facts.traceback);
  }
}

/**
 * A promise that a mistake in the arguments rejects, rather than an exception here.
 * @template {Promise<any>} P
 * @param {() => P} work
 * @returns {P}
 */
function attempt(work) {
  try {
    return reported(work());
  } catch (error) {
    return reported(/** @type {any} */ (iterable(Promise.reject(error))));
  }
}

/** A plain promise as a stream: of the items of its result. @param {Promise<any>} promise @returns {Stream} */
const iterable = (promise) =>
  Object.assign(promise, {
    async *[Symbol.asyncIterator]() {
      const value = await promise;
      yield* Array.isArray(value) ? value : value === null ? [] : [value];
    },
  });

/**
 * How this page goes about things; to be said before anything else.
 *
 *     Limen.configure({ lane: "http" });    // where no WebSocket gets through: one POST a call
 *     Limen.configure({ tabs: false });     // neither asks other tabs to let it in, nor lets others in
 *
 * `<script src="…" data-lane="http" data-tabs="off">` says so before anything is asked.
 * @param {{lane?: "ws" | "http", tabs?: boolean}} options
 */
export const configure = ({ lane, tabs: allowed = tabs.allowed }) => {
  if (lane) session.lane = lane;
  tabs.allowed = allowed;
};

/**
 * Logs in. Rejects with InvalidCredential, Abusive, ConnectionLost, MaxActiveSessions, or RequireSSL where the page is
 * not secure.
 * @param {string} user
 * @param {string} password never kept, never sent
 * @param {import("./session.js").LoginOptions} [options] *progress*: told 0 … 1 during the second that it takes;
 *   *force*: where the user has as many sessions as are allowed, the oldest ends
 * @returns {Promise<State>}
 */
export const login = (user, password, options) => attempt(() => session.login(user, password, options));

/** Ends the session, here and on the server. @returns {Promise<void>} */
export const logout = () => attempt(() => session.logout());

/**
 * Gives the user of this session a new password; all their other sessions end.
 * @param {string} password
 * @param {{progress?: (done: number) => void}} [options]
 */
export const change_password = (password, options) => attempt(() => session.changePassword(password, options));

/**
 * One open session, for people to look at; times in seconds since 1970. *kind*: "tab", "lane" (over HTTP) or "child" (let
 * in by *parent*). *acting*: as whom its user acts, or "". *this*: the one that asks.
 * @typedef {{id: string, parent: string, kind: string, opened: number, used: number, login: number, origin: string,
 *    acting: string, this: boolean}} OpenSession
 */
/**
 * The open sessions of the user, the oldest first; with a role for it (SESSION_ADMIN_ROLES) those of another.
 * @param {string} [user]
 * @returns {Promise<OpenSession[]>}
 */
export const sessions = (user) => attempt(() => session.own("limen.session.list", user ?? null));

/**
 * Ends one of these.
 * @param {string} id
 * @param {string} [user] whose, if not one's own
 * @returns {Promise<void>}
 */
export const end_session = (id, user) => attempt(() => session.own("limen.session.end", id, user ?? null));

/**
 * Acts as another user of the domain, with a role for it (IMPERSONATOR_ROLES), until `relinquish`; `state` says so.
 * @param {string} user
 * @returns {Promise<State>}
 */
export const impersonate = (user) => attempt(() => session.become("limen.session.impersonate", user));

/** Is oneself again. @returns {Promise<State>} */
export const relinquish = () => attempt(() => session.become("limen.session.relinquish"));

/**
 * A sealed call of a service; exactly one plain object means arguments by name.
 *
 *     await safe_call("add", "text");    await safe_call("update", { id, vsn, done: true });
 *     for await (const row of safe_call("rows")) …
 *
 * @param {string} name "add", "todo.add" or "/todo/add.json"
 * @param {...any} args
 * @returns {Stream}
 */
export const safe_call = (name, ...args) => safe_apply(name, ...spread(args));

/**
 * A sealed call with positional arguments, named ones and options.
 * @param {string} name
 * @param {any[]} [args]
 * @param {Record<string, any>} [kwargs]
 * @param {CallOptions} [options] signal, timeout (seconds), progress, uploading
 * @returns {Stream}
 */
export const safe_apply = (name, args = [], kwargs = {}, options = {}) =>
  attempt(() =>
    holds(list(args), dict(kwargs))
      ? iterable(withFiles(uriOf(name), args, kwargs, options))
      : sealed(uriOf(name), args, kwargs, options),
  );

/** A sealed call of one of Limen's own procedures. @type {import("./files.js").Ask} */
const ask = (uri, args) => session.call(uri, args, {});

/** A sealed call; a file that it gives knows whom to ask. @type {typeof session.call} */
const sealed = (...call) => bound(session.call(...call), ask, BASE.href);

/** @param {string} uri @param {any[]} args @param {Record<string, any>} kwargs @param {CallOptions} options */
const withFiles = async (uri, args, kwargs, options) =>
  sealed(uri, ...(await ahead(ask, args, kwargs, options)), options);

/**
 * A plain call over HTTP, for services with `safe=False`.
 * @param {string} name
 * @param {...any} args
 * @returns {Stream}
 */
export const call = (name, ...args) => apply(name, ...spread(args));

/**
 * A plain call with positional arguments, named ones and options.
 * @param {string} name
 * @param {any[]} [args]
 * @param {Record<string, any>} [kwargs]
 * @param {CallOptions} [options]
 * @returns {Stream}
 */
export const apply = (name, args = [], kwargs = {}, options = {}) =>
  attempt(() => iterable(httpCall(BASE, name, list(args), dict(kwargs), options)));

/**
 * Addresses as a tree of functions.
 * @param {(name: string, ...args: any[]) => any} ask
 * @param {string} [path]
 * @returns {any}
 */
const tree = (ask, path = "") =>
  new Proxy(() => {}, {
    // "then": whoever awaits a branch must not call the server
    get: (_, name) =>
      typeof name === "string" && name !== "then" ? tree(ask, path ? `${path}.${name}` : name) : undefined,
    apply: (_, __, args) => ask(path, ...args),
  });

/** Sealed calls as functions in a tree: `services.todo.add("milk")` is `safe_call("todo.add", "milk")`. */
export const services = tree(safe_call);

/** Plain calls as functions in a tree: `plain.hello("Ada")` is `call("hello", "Ada")`. */
export const plain = tree(call);

/**
 * Listens to a topic, over lost connections too (`on("missed")` says when something may have been missed), until the
 * session ends. Signed out it is plain, for topics with `safe=False`, and goes on until it is undone.
 * @param {string} topic
 * @param {import("./subscriptions.js").Handler} handler gets the event's positional arguments; named ones come last, as
 *   an object
 * @param {{match?: "prefix" | "wildcard"}} [options]
 * @returns {Promise<() => void>} undo
 */
export const subscribe = (topic, handler, options) =>
  attempt(() => {
    const uri = uriOf(topic);
    if (session.state.status !== "anonymous") return session.subscribe(uri, handler, options);
    return listen(BASE, uri, handler, () => session.events.emit("missed", { topics: [uri] }));
  });

/**
 * Listens to what happens to the session: `state`, `online`, `offline` (get the state), `missed` ({topics}),
 * `signed_out` ({reason, error}),
 * `taken_over` (the error, whose words say when and from where).
 * @param {"state" | "online" | "offline" | "missed" | "signed_out" | "taken_over"} event
 * @param {(detail: any) => void} handler
 * @returns {() => void} undo
 */
export const on = (event, handler) => session.events.on(event, handler);

/**
 * How things stand: status "anonymous", "signing-in", "online" or "offline"; user, role, roles, profile, domain;
 * secure: one may log in here.
 * @type {State}
 */
export let state = session.state;
session.events.on("state", (now) => (state = now));

if (!state.secure) console.warn("Limen: this page is neither https nor localhost; nobody can log in on it.");

/**
 * Resolves to the state once it is known whether this tab's session goes on; after a reload it does so by itself.
 * @type {Promise<State>}
 */
export const ready = session.resume().then(() => state);

if (typeof window === "object") {
  window.addEventListener("pagehide", ({ persisted }) => persisted && session.suspend());
  window.addEventListener("pageshow", ({ persisted }) => persisted && void session.resume());
  window.addEventListener("online", () => session.nudge());
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && session.nudge());
}

/** @param {unknown} args @returns {any[]} */
function list(args) {
  if (!Array.isArray(args)) throw new LimenError("InvalidCall", ["Positional arguments come as an array."]);
  return args;
}

/** @param {unknown} kwargs @returns {Record<string, any>} */
function dict(kwargs) {
  if (!isPlain(kwargs)) throw new LimenError("InvalidCall", ["Named arguments come as a plain object."]);
  return /** @type {Record<string, any>} */ (kwargs);
}
