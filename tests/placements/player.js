/**
 * Plays the nodes of vectors/three_nodes.json with Limen's own, in Node.js (player_in_node.mjs) and in a page: the verbs
 * of player.py.
 */

/**
 * @param {any} limen what /limen/node.mjs exports
 * @param {(node: string, method: string, args: unknown[], kwargs: object) => void} note hears what nodes are called with
 */
export function player(limen, note) {
  const { Connection, LimenError, Node, Path, Signal, call, handler, kwargs, when_connected } = limen;
  const connections = {};
  const contexts = {};
  const nodes = {};
  const listening = new Map();

  const Kwargs = kwargs({}).constructor;
  /** Arguments by place and by name, as they came. */
  const both = (args) => (args.at(-1) instanceof Kwargs ? [args.slice(0, -1), { ...args.at(-1) }] : [args, {}]);
  const written = (args, named) => (Object.keys(named).length ? [...args, kwargs(named)] : args);

  const does = {
    keep: (node, name) => (...args) => void note(node, name, ...both(args)),
    echo: () => (...args) => both(args),
    fail: () => (...args) => {
      throw new LimenError("Broken", args, {}, "com.example.broken");
    },
    greet: () => (other) => other.called("a greeting"),
  };

  const nodeOf = (name, { signals = [], calls = {}, handlers = {} }) => {
    const Made = class extends Node {};
    for (const signal of signals) Made[signal] = new Signal();
    for (const [called, kind] of Object.entries(calls)) {
      const method = called === "." ? "itself" : called;
      Made[method] = call(called);
      Made.prototype[method] = does[kind](name, called);
    }
    for (const [method, address] of Object.entries(handlers)) {
      Made[method] = handler(address);
      Made.prototype[method] = does.keep(name, method);
    }
    return new Made();
  };

  const verbs = {
    async open({ connection, url, realm }) {
      const opened = (connections[connection] = new Connection(url, realm));
      await when_connected(opened);
      contexts[connection] = opened.new_context();
    },
    async close({ connection }) {
      await connections[connection].close();
    },
    async bind({ node, connection, path, base, spec, under }) {
      const made = (nodes[node] = nodeOf(node, spec));
      if (under) await nodes[under].node_add(path.split(".").at(-1), made);
      else await made.node_bind(new Path(base).add(path), contexts[connection]);
    },
    async unbind({ node }) {
      await nodes[node].node_unbind();
    },
    async call({ node, to, name, args, kwargs: named, nodes: themselves, proxies }) {
      const remote = nodes[node].remote(to);
      const passed = [...themselves.map((one) => nodes[one]), ...proxies.map((one) => nodes[node].remote(one))];
      const all = written([...args, ...passed], named);
      return name === "." ? remote(...all) : remote[name](...all);
    },
    async notify({ node, signal, args, kwargs: named }) {
      await nodes[node][signal].notify(...written(args, named));
    },
    async say({ node, to, signal, args, kwargs: named }) {
      await nodes[node].remote(to)[signal].notify(...written(args, named));
    },
    async listen({ node, to, signal }) {
      const heard = (...args) => note(node, signal, ...both(args));
      listening.set(`${node} ${to} ${signal}`, heard);
      await nodes[node].remote(to)[signal].connect(heard);
    },
    async deafen({ node, to, signal }) {
      await nodes[node].remote(to)[signal].disconnect(listening.get(`${node} ${to} ${signal}`));
    },
  };
  const failure = (error) => ({ error: error.uri ?? error.name, why: String(error.stack ?? error) });

  return { verbs, failure };
}
