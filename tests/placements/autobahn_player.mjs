/** As autobahn_player.py, with Autobahn|JS. */
import { createInterface } from "node:readline";
import { WebSocket } from "ws";

globalThis.WebSocket = WebSocket;
const { default: autobahn } = await import("autobahn");
autobahn.log.warn = () => {};

const SAY = { acknowledge: true, exclude_me: false }; // a node hears its own signals, and what else of its connection listens
let connection;
let session;
let root;
const paths = {};
const kept = {};

const plain = (key, value) => (typeof value === "bigint" ? Number(value) : value);
const write = (what) => process.stdout.write(JSON.stringify(what, plain) + "\n");
const address = (to) => (to.startsWith("@") ? `${root}.${to.slice(1)}` : to);

const does = {
  keep: (node, name) => (args, kwargs) => {
    write({ heard: [node, name, args ?? [], kwargs ?? {}] });
  },
  echo: () => (args, kwargs) => [args ?? [], kwargs ?? {}],
  fail: () => (args) => {
    throw new autobahn.Error("com.example.broken", args);
  },
  greet: () => ([other]) => session.call(`${other.$path}.called`, ["a greeting"]),
};

/** Every signal of a node is what has one more component than its path. */
const subscribe = async (key, node, method, topic) => {
  const aSignal = topic.split(".").at(-1).startsWith("on_");
  const [uri, options] = aSignal ? [topic, {}] : [`${topic}.`, { match: "wildcard" }];
  const subscription = await session.subscribe(uri, does.keep(node, method), options);
  (kept[key] ??= []).push(() => session.unsubscribe(subscription));
};
const undo = async (key) => {
  for (const one of kept[key]) await one();
  delete kept[key];
};

const verbs = {
  open: ({ url, realm }) =>
    new Promise((resolve, reject) => {
      connection = new autobahn.Connection({ url, realm, max_retries: 0, on_user_error: () => {} });
      connection.onopen = (opened) => {
        session = opened;
        resolve();
      };
      connection.onclose = (reason, details) => reject(new Error(`closed: ${reason} ${details.reason}`));
      connection.open();
    }),
  close: () =>
    new Promise((resolve) => {
      connection.onclose = resolve;
      connection.close();
    }),
  async bind({ node, path, base, spec: { calls = {}, handlers = {} } }) {
    root = base;
    const at = (paths[node] = `${base}.${path}`);
    for (const [name, kind] of Object.entries(calls)) {
      const uri = name === "." ? at : `${at}.${name}`;
      const registration = await session.register(uri, does[kind](node, name));
      (kept[node] ??= []).push(() => session.unregister(registration));
    }
    for (const [method, heard] of Object.entries(handlers)) {
      await subscribe(node, node, method, heard.startsWith("on_") ? `${at}.${heard}` : address(heard));
    }
  },
  unbind: ({ node }) => undo(node),
  call({ to, name, args, kwargs, nodes, proxies }) {
    const addresses = [...nodes.map((node) => paths[node]), ...proxies.map(address)];
    const passed = addresses.map(($path) => ({ $path, $base: root }));
    return session.call(name === "." ? address(to) : `${address(to)}.${name}`, [...args, ...passed], kwargs);
  },
  notify: ({ node, signal, args, kwargs }) => session.publish(`${paths[node]}.${signal}`, args, kwargs, SAY),
  say: ({ to, signal, args, kwargs }) => session.publish(`${address(to)}.${signal}`, args, kwargs, SAY),
  listen: ({ node, to, signal }) => subscribe(`${node} ${to} ${signal}`, node, signal, `${address(to)}.${signal}`),
  deafen: ({ node, to, signal }) => undo(`${node} ${to} ${signal}`),
};
const NOTHING_TO_GIVE = new Set(["notify", "say", "open", "close"]);

for await (const line of createInterface({ input: process.stdin })) {
  const { id, do: verb, ...what } = JSON.parse(line);
  Promise.resolve()
    .then(() => verbs[verb](what))
    .then(
      (ok) => write({ id, ok: NOTHING_TO_GIVE.has(verb) ? null : (ok ?? null) }),
      (error) => write({ id, failed: { error: error.error ?? String(error), why: String(error.stack ?? error.args) } }),
    );
}
process.exit(0);
