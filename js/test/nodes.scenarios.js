/** Plays the scenarios of vectors/nodes.json. What a node of theirs is, `about` says there; Python's is the same. */
import assert from "node:assert/strict";
import { LimenError } from "../src/exc.js";
import { call, handler } from "../src/node/declared.js";
import { Node } from "../src/node/node.js";
import { NodeProxy } from "../src/node/proxy.js";
import { Signal } from "../src/node/signal.js";
import { Path } from "../src/path.js";

const TOLD = {
  bind: "on_node_bind",
  unbind: "on_node_unbind",
  register: "on_node_register",
  success: "on_node_registration_success",
  unregister: "on_node_unregister",
  add: "on_node_add",
};

/** A class of its own for each node: *listens* to those addresses, and fails where it is told to. */
function kind(name, { listens = [], fails, grows = {}, leaves }, { nodes, told, heard }) {
  class Scenario extends Node {
    static on_foo = new Signal();
    static on_bar = new Signal();
    static echo = call();
    echo(value) {
      return value;
    }
    static add = call();
    async add(a, b) {
      return a + b;
    }
    static where = call();
    where() {
      return this.node_path;
    }
    static me = call();
    me() {
      return this;
    }
    static ask = call();
    async ask(node, text) {
      return node.echo(text);
    }
    static address = call();
    address(value) {
      return String(value instanceof Path ? value : value.node_path);
    }
    static kind = call();
    kind(value) {
      return value instanceof Path ? "path" : value instanceof NodeProxy ? "node" : "neither";
    }
    static refuse = call();
    refuse() {
      throw new LimenError("Forbidden", ["Not you."]);
    }
    static fail = call();
    fail() {
      throw new TypeError("a secret");
    }
    static count = call();
    async *count(n) {
      for (let i = 0; i < n; i++) yield i;
    }
    static sum_up = call("total");
    sum_up() {
      return 7;
    }
    static itself = call(".");
    itself() {
      return "itself";
    }
    hidden() {}
    _private() {}
    toString() {
      return `Node(${name})`;
    }
  }
  for (const [what, signal] of Object.entries(TOLD)) {
    Scenario[`told_${what}`] = handler(signal);
    Scenario.prototype[`told_${what}`] = (child) => {
      told.push(child ? `${name} ${what} ${child.its_name}` : `${name} ${what}`);
      if (fails === signal) throw new Error("as it was told to");
    };
  }
  Scenario.grow = handler("on_node_bind");
  Scenario.prototype.grow = async function () {
    for (const [as, node] of Object.entries(grows)) await this.node_add(as, nodes[node]);
    if (leaves) void nodes[leaves].node_unbind();
  };
  listens.forEach((address, i) => {
    Scenario[`heard_${i}`] = handler(address);
    Scenario.prototype[`heard_${i}`] = (...args) => void heard(args);
  });
  return Object.assign(new Scenario(), { its_name: name });
}

/** One scenario under way. *contextOf* gives the context of a place. */
class Play {
  nodes = {};
  told = [];
  heard = {};
  undos = {};

  constructor({ contextOf, settle = async () => {}, left }) {
    this.contextOf = contextOf;
    this.settle = settle;
    this.left = left;
  }

  /** Plays one step, and sees to it that it ends as it says. */
  async step(step) {
    const [verb] = Object.keys(step).filter((key) => typeof this[`do_${key}`] === "function");
    assert.ok(verb, `a step is known: ${JSON.stringify(step)}`);
    const done = async () => this[`do_${verb}`](step);
    if (!step.raises) return done();
    const [name, words] = step.raises;
    await assert.rejects(done, (error) => {
      if (name === "many") return error instanceof AggregateError;
      assert.equal(error.exc, name, error);
      assert.ok(error.message.includes(words), `${JSON.stringify(error.message)} says ${JSON.stringify(words)}`);
      return true;
    });
  }

  do_node({ node: name, ...more }) {
    this.heard[name] = [];
    this.nodes[name] = kind(name, more, {
      nodes: this.nodes,
      told: this.told,
      heard: (args) => this.heard[name].push(args),
    });
  }
  async do_bind({ bind, at, base = null, on, roles = {} }) {
    const context = this.contextOf(on).new({ resolvers: [(role) => roles[role]] });
    await this.nodes[bind].node_bind(at.includes("..") ? at : new Path(at, base), context);
  }
  do_add({ add, to, as }) {
    return this.nodes[to].node_add(as, this.nodes[add]);
  }
  do_remove({ remove, from }) {
    return this.nodes[from].node_remove(remove);
  }
  do_unbind({ unbind, times = 1 }) {
    return Promise.all(Array.from({ length: times }, () => this.nodes[unbind].node_unbind()));
  }
  do_assign({ assign, to, as }) {
    this.nodes[to][as] = this.nodes[assign];
  }
  do_path({ path: name, is, base, root, parent, ...more }) {
    const node = this.nodes[name];
    assert.equal(node.node_bound, is !== null);
    if (is === null) return assert.throws(() => node.node_path, { exc: "InvalidCall" });
    assert.equal(String(node.node_path), is);
    if (base) assert.equal(String(node.node_path.base), base);
    if (root) assert.equal(node.node_root, this.nodes[root]);
    if (parent !== undefined) assert.equal(node.node_parent, parent && this.nodes[parent]);
    if (more.name) assert.equal(node.node_name, more.name);
    return undefined;
  }
  do_children({ children, are }) {
    const there = Object.entries(are).map(([name, node]) => [name, this.nodes[node]]);
    assert.deepEqual([...this.nodes[children].node_children], there);
    for (const [name, node] of there) assert.equal(this.nodes[children][name], node);
  }
  do_resolve({ resolve, by, is }) {
    assert.equal(String(this.nodes[by].remote(resolve).node_path), is);
  }
  async do_call({ call: address, what, by, args = [], gives }) {
    const result = await this.nodes[by].remote(address).node_call(
      what,
      args.map((arg) => this.argument(arg, by)),
    );
    if (gives !== undefined) this.same(result, gives);
  }
  async do_values({ values, what, by, args = [], gives }) {
    const come = [];
    for await (const value of this.nodes[by].remote(values).node_values(what, args)) come.push(value);
    this.same(come, gives);
  }
  async do_say({ say, of, at, by, args }) {
    const signal = of ? this.nodes[of][say] : this.nodes[by].remote(at)[say];
    await signal.notify(...args.map((arg) => this.argument(arg, of ?? by)));
  }
  async do_connect({ connect, signal, by }) {
    this.undos[by] ??= (...args) => void this.heard[by].push(args);
    await this.nodes[by].remote(connect)[signal].connect(this.undos[by]);
  }
  async do_disconnect({ disconnect, signal, by }) {
    await this.nodes[by].remote(disconnect)[signal].disconnect(this.undos[by]);
  }
  do_told({ told }) {
    assert.deepEqual(this.told.splice(0), told);
  }
  async do_heard({ heard, is }) {
    await this.settle();
    this.same(this.heard[heard].splice(0), is);
  }
  async do_nothing({ nothing }) {
    assert.deepEqual(this.contextOf(nothing).tree?.size ?? this.left, this.left);
  }

  /** @param {any} arg @param {string} by */
  argument(arg, by) {
    if (Array.isArray(arg)) return arg.map((each) => this.argument(each, by));
    if (arg === null || typeof arg !== "object") return arg;
    if (arg.of) return this.nodes[arg.of];
    if (arg.remote) return this.nodes[by].remote(arg.remote);
    if (arg.path) return new Path(arg.path, arg.base);
    if (arg.function) return () => {};
    return Object.fromEntries(Object.entries(arg).map(([key, each]) => [key, this.argument(each, by)]));
  }

  /** Whether what came is what the scenario says. */
  same(value, said) {
    assert.deepEqual(this.spelt(value), said);
  }
  spelt(value) {
    if (value instanceof Path) return { path: String(value), base: String(value.base) };
    if (value instanceof NodeProxy) return { remote: String(value.node_path) };
    if (Array.isArray(value)) return value.map((each) => this.spelt(each));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, this.spelt(each)]));
  }
}

/** @param {{steps: object[]}} scenario @param {object} placement */
export async function play({ steps }, placement) {
  const scene = new Play(placement);
  for (const [i, step] of steps.entries()) {
    try {
      await scene.step(step);
    } catch (error) {
      error.message = `step ${i + 1}, ${JSON.stringify(step)}: ${error.message}`;
      throw error;
    }
  }
}

/** What was published before has arrived: a router hands a session its events and calls in the order in which they came. */
export async function settled(connections) {
  for (const { session } of new Set(connections)) {
    const undo = await session.register("test.settled", () => null);
    for (const other of connections) await other.session.apply("test.settled");
    await undo();
  }
}
