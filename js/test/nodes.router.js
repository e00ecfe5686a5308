/**
 * Nodes through a real router, at the address in `ROUTER`, realm `realm1`: the scenarios of vectors/nodes.json, and the
 * three nodes of which one is a client that knows nothing of nodes. tests/node/test_javascript.py starts it.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import autobahn from "autobahn";
import { Wampy } from "wampy";
import { JsonSerializer } from "wampy/JsonSerializer.js";
import { WebSocket } from "ws";
import { Connection, when_connected } from "../src/node/connection.js";
import { call, handler } from "../src/node/declared.js";
import { Node } from "../src/node/node.js";
import { Signal } from "../src/node/signal.js";
import { Tree } from "../src/node/tree.js";
import { Path } from "../src/path.js";
import { play, settled } from "./nodes.scenarios.js";
import { vectors } from "./support.js";

globalThis.WebSocket ??= WebSocket; // autobahn takes it from there
const URL = process.env.ROUTER;
const REALM = "realm1";

/** As many connections as asked for, for the length of *work*. */
async function connected(n, work) {
  const connections = Array.from({ length: n }, () => new Connection(URL, REALM, { WebSocket }));
  try {
    return await work(...(await Promise.all(connections.map(when_connected))));
  } finally {
    await Promise.all(connections.map((connection) => connection.close()));
  }
}

for (const scenario of vectors("nodes").scenarios) {
  test(`${scenario.name}, through a router`, () =>
    connected(2, async (x, y) => {
      const contexts = { x: x.new_context(), y: y.new_context() };
      const placement = { contextOf: (place) => contexts[place], settle: () => settled([x, y]), left: new Tree().size };
      await play(scenario, placement);
    }));
}

class Second extends Node {
  static on_foo = new Signal();
  async call_third() {
    return this.remote("@third").rpc("hello");
  }
}

class Third extends Node {
  handler_args = null;
  something = null;
  #heard = Promise.withResolvers?.() ?? deferred();
  heard = this.#heard.promise;
  static do_on_second_foo = handler("@first.second");
  do_on_second_foo(...args) {
    this.handler_args = args;
    this.#heard.resolve();
  }
  static rpc = call();
  async rpc(something) {
    this.something = something;
    return `${something}, too`;
  }
}

function deferred() {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
}

test("three nodes, through a router", () =>
  connected(2, async (one, other) => {
    const [base, first, second, third] = [new Path("test"), new Node(), new Second(), new Third()];
    await first.node_bind(base.add("first"), one.new_context());
    await third.node_bind(base.add("third"), other.new_context());
    await first.node_add("second", second);
    await second.call_third();
    await second.on_foo.notify("hello handler");
    await third.heard;
    assert.deepEqual([third.something, third.handler_args], ["hello", ["hello handler"]]);
    await first.node_unbind();
    await third.node_unbind();
  }));

/** Clients that others wrote: what the two of them do is the same. */
const CLIENTS = {
  wampy: async () => {
    const wampy = new Wampy(URL, { realm: REALM, ws: WebSocket, serializer: new JsonSerializer() });
    await wampy.connect();
    return {
      register: (uri, work) => wampy.register(uri, ({ argsList = [] }) => ({ argsList: [work(...argsList)] })),
      subscribe: (uri, heard) => wampy.subscribe(uri, ({ argsList = [] }) => heard(...argsList)),
      call: async (uri, ...args) => (await wampy.call(uri, { argsList: args })).argsList?.[0],
      publish: (uri, ...args) => wampy.publish(uri, { argsList: args }),
      close: () => wampy.disconnect(),
      failed: (error) => error.errorUri,
    };
  },
  autobahn: async () => {
    const connection = new autobahn.Connection({ url: URL, realm: REALM, max_retries: 0 });
    const session = await new Promise((resolve, reject) => {
      connection.onopen = resolve;
      connection.onclose = (...why) => reject(new Error(why.join(" "))) ?? true;
      connection.open();
    });
    connection.onclose = () => true;
    return {
      register: (uri, work) => session.register(uri, (args = []) => work(...args)),
      subscribe: (uri, heard) => session.subscribe(uri, (args = []) => heard(...args)),
      call: (uri, ...args) => session.call(uri, args),
      publish: (uri, ...args) => session.publish(uri, args, {}, { acknowledge: true }),
      close: () => connection.close(),
      failed: (error) => error.error,
    };
  },
};

for (const [name, open] of Object.entries(CLIENTS)) {
  test(`three nodes, of which ${name} is one`, () =>
    connected(1, async (one) => {
      const client = await open();
      const [base, first, second] = [new Path("test"), new Node(), new Second()];
      const heard = deferred();
      await client.register("test.third.rpc", (text) => `${text}, too`);
      await client.subscribe("test.first.second.on_foo", (...args) => heard.resolve(args));
      await first.node_bind(base.add("first"), one.new_context());
      await first.node_add("second", second);
      assert.equal(await second.call_third(), "hello, too");
      await second.on_foo.notify("hello handler");
      assert.deepEqual(await heard.promise, ["hello handler"]);
      await first.node_unbind();
      await client.close();
    }));

  test(`${name} calls a node, says its signal, and is told what is not there`, () =>
    connected(1, async (one) => {
      const [client, third, second] = [await open(), new Third(), new Second()];
      await third.node_bind(new Path("test").add("third"), one.new_context());
      await second.node_bind(new Path("test").add("second"), one.new_context());
      assert.equal(await client.call("test.third.rpc", "hello"), "hello, too");
      const said = deferred();
      second.on_foo.connect((...args) => said.resolve(args));
      await client.publish("test.second.on_foo", "from elsewhere", [1]);
      assert.deepEqual(await said.promise, ["from elsewhere", [1]]);
      for (const what of ["_private", "constructor", "toString", "node_unbind", "on_foo", "rpc.deeper", "third"])
        await assert.rejects(client.call(`test.third.${what}`), (error) => {
          assert.equal(client.failed(error), "wamp.error.no_such_procedure", what);
          return true;
        });
      await client.publish("test.third.on_node_unbind");
      await client.publish("test.second.constructor", "x");
      assert.equal(await client.call("test.third.rpc", "still"), "still, too");
      await client.close();
    }));
}
