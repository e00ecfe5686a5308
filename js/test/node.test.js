import assert from "node:assert/strict";
import { test } from "node:test";
import { Node } from "../src/node/node.js";
import { NodeContext } from "../src/node/context.js";
import { call, handler } from "../src/node/declared.js";
import { Signal } from "../src/node/signal.js";
import { Tree } from "../src/node/tree.js";
import { Path } from "../src/path.js";

/** Says into *log* what happens to it. */
class Told extends Node {
  static when_bind = handler("on_node_bind");
  static when_add = handler("on_node_add");
  static when_unbind = handler("on_node_unbind");
  static when_register = handler("on_node_register");
  static when_success = handler("on_node_registration_success");
  static when_failure = handler("on_node_registration_failure");
  static when_unregister = handler("on_node_unregister");
  constructor(name, log) {
    super();
    this.name = name;
    this.log = log;
  }
  when_bind() {
    this.log.push(`${this.name} bind`);
  }
  when_add(child) {
    this.log.push(`${this.name} add ${child.name}`);
  }
  when_unbind() {
    this.log.push(`${this.name} unbind`);
  }
  when_register() {
    this.log.push(`${this.name} register`);
  }
  when_success() {
    this.log.push(`${this.name} success`);
  }
  when_failure(error) {
    this.log.push(`${this.name} failure ${error.message}`);
  }
  when_unregister() {
    this.log.push(`${this.name} unregister`);
  }
}

test("a node stands where it was bound, and knows its way", async () => {
  const [root, child] = [new Node(), new Node()];
  await root.node_bind(new Path("test").add("first"));
  await root.node_add("second", child);
  assert.equal(String(child.node_path), "test.first.second");
  assert.equal(child.node_path.base, new Path("test"));
  assert.deepEqual([child.node_name, child.node_root, child.node_parent, root.second], ["second", root, root, child]);
  assert.deepEqual([...root.node_children], [["second", child]]);
  assert.equal(child.node_context, root.node_context);
  assert.equal(child.node_away, false);
  await root.node_unbind();
  assert.throws(() => child.node_path, { exc: "InvalidCall", message: /not bound, or not any more: await node_bind/ });
  assert.equal(root.second, child, "it stays with its parent, and can be bound again with it");
});

test("the order of what happens, of a tree that grows and goes", async () => {
  const log = [];
  const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => new Told(name, log));
  await a.node_add("b", b);
  await b.node_add("c", c);
  assert.deepEqual(log.splice(0), ["a add b", "b add c"]);
  await a.node_bind("a");
  assert.deepEqual(log.splice(0), [
    ...["a", "b", "c"].map((name) => `${name} bind`),
    ...["a", "b", "c"].map((name) => `${name} register`),
    ...["a", "b", "c"].map((name) => `${name} success`),
  ]);
  await a.node_add("d", d);
  assert.deepEqual(log.splice(0), ["d bind", "d register", "d success", "a add d"]);
  await a.node_unbind();
  const all = ["a", "b", "c", "d"];
  assert.deepEqual(log, [...all.map((name) => `${name} unbind`), ...all.map((name) => `${name} unregister`)]);
});

test("three nodes in one process", async () => {
  class Second extends Node {
    static on_foo = new Signal();
    async call_third() {
      await this.remote("@third").rpc("hello");
    }
  }
  class Third extends Node {
    handler_args = null;
    something = null;
    static do_on_second_foo = handler("@first.second");
    do_on_second_foo(...args) {
      this.handler_args = args;
    }
    static rpc = call();
    async rpc(something) {
      this.something = something;
    }
  }
  const context = new NodeContext();
  const [first, second, third] = [new Node(), new Second(), new Third()];
  const base = new Path("test");
  await first.node_bind(base.add("first"), context);
  await third.node_bind(base.add("third"), context);
  await first.node_add("second", second);
  await second.call_third();
  await second.on_foo.notify("hello handler");
  assert.deepEqual([third.something, third.handler_args], ["hello", ["hello handler"]]);
  await first.node_unbind();
  await third.node_unbind();
  assert.deepEqual(context.tree.size, new Tree().size, "nothing is left");
});

test("a node that nobody bound is added, not assigned", async () => {
  class Wrong extends Node {
    child = new Node();
  }
  const node = new Node();
  assert.throws(() => (node.child = new Node()), {
    exc: "InvalidCall",
    message: /await this.node_add\("child", node\)/,
  });
  await assert.rejects(new Wrong().node_bind("test"), { exc: "InvalidCall", message: /node_add/ });
  const bound = new Node();
  await bound.node_bind("other");
  node.friend = bound;
  assert.equal(node.friend, bound, "one that stands somewhere may be known by others");
});

test("what is taken, or no name, is refused, and nothing is changed by it", async () => {
  const [node, child] = [new Node(), new Node()];
  const context = new NodeContext();
  await node.node_bind("test", context);
  await assert.rejects(new Node().node_bind("test", context), {
    exc: "InvalidAddress",
    message: /stands Node\(test\) already/,
  });
  await assert.rejects(node.node_bind("elsewhere"), { exc: "InvalidCall", message: /is bound already/ });
  await assert.rejects(new Node().node_bind("a..b"), { exc: "InvalidAddress", message: /Part 2/ });
  for (const name of ["_private", "on_foo", "node_x", "then", "a.b", "a b", "", "remote", "toString"])
    await assert.rejects(node.node_add(name, child), { exc: "InvalidAddress" }, name);
  await assert.rejects(node.node_add("self", node), { exc: "InvalidCall" });
  await assert.rejects(node.node_add("text", "child"), { exc: "InvalidCall", message: /must be a Node/ });
  await assert.rejects(node.node_remove("child"), { exc: "NotFound" });
  await node.node_add("child", child);
  await assert.rejects(node.node_add("again", child), { exc: "InvalidCall", message: /somewhere already/ });
  assert.deepEqual([...node.node_children.keys()], ["child"]);
  await node.node_remove("child");
  assert.deepEqual([node.child, child.node_parent, child.node_bound], [undefined, null, false]);
});
