// Nodes in JavaScript, near and over the router at the port that is said: µs of this process for each; ms for a tree,
// bytes of memory.
import { createInterface } from "node:readline";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { WebSocket } from "ws";
import { Connection, when_connected } from "../../js/src/node/connection.js";
import { NodeContext } from "../../js/src/node/context.js";
import { call } from "../../js/src/node/declared.js";
import { Node } from "../../js/src/node/node.js";
import { Signal } from "../../js/src/node/signal.js";

class Works extends Node {
  static on_foo = new Signal();
  static echo = call();
  async echo(value) {
    return value;
  }
  static two = call();
  two() {}
  static three = call();
  three() {}
}
class Bare extends Node {}

async function tree(size, Class) {
  const root = new Class();
  for (let i = 1; i < size; i++) await root.node_add(`child${i}`, new Class());
  return root;
}

const url = `ws://127.0.0.1:${process.argv[2]}/ws`;
const connect = () => when_connected(new Connection(url, "localhost", { WebSocket }));
const [here, there] = [await connect(), await connect()];
const [asks, near, far] = [new Node(), new Works(), new Works()];
await asks.node_bind("asks", here.new_context());
await near.node_bind("near", here.new_context());
await far.node_bind("far", there.new_context());
await there.session.register("bare.echo", async ({ args }) => args[0]);
const planted = await tree(1000, Works);
const proxies = { near: asks.remote("near"), far: asks.remote("far") };

/** Processor time (µs) of *count* times *work*, for each. */
async function cost(count, work) {
  const begun = process.cpuUsage();
  for (let i = 0; i < count; i++) await work();
  const { user, system } = process.cpuUsage(begun);
  return (user + system) / count;
}

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc");

async function settled() {
  for (let i = 0; i < 4; i++) {
    gc();
    await new Promise(setImmediate);
  }
  return process.memoryUsage().heapUsed;
}

const shapes = {
  near: (count) => cost(count, () => proxies.near.echo("hello")),
  remote: (count) => cost(count, () => asks.remote("near").echo("hello")),
  nodes: (count) => cost(count, () => proxies.far.echo("hello")),
  bare: (count) => cost(count, () => here.session.apply("bare.echo", ["hello"])),
  tree: async (count) =>
    (await cost(count, async () => {
      await planted.node_bind("tree", here.new_context());
      await planted.node_unbind();
    })) / 1000,
  memory: async (count) => {
    const before = await settled();
    const root = await tree(count, Bare);
    await root.node_bind("root", new NodeContext());
    const each = ((await settled()) - before) / count;
    await root.node_unbind();
    return each;
  },
};

console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  const [shape, count] = line.split(" ");
  console.log(await shapes[shape](Number(count)));
}
