/* A page of nodes: `await begin("third")` binds one of the three, by the page's login, or by a router at `at`. */
import { Connection, Node, Path, Signal, call, handler, when_connected } from "/limen/node.mjs";

const seen = [];

class Second extends Node {
  static on_foo = new Signal();
  async call_third(something) {
    return this.remote("@third").rpc(something);
  }
}

class Third extends Node {
  static rpc = call();
  static count = call();
  static slow = call();
  static on_said = new Signal();
  static do_on_second_foo = handler("@first.second");
  rpc(something) {
    return `${something}, ${window.Limen.state.user ?? "nobody"}`;
  }
  async *count(n) {
    for (let i = 1; i <= n; i++) yield i;
  }
  async slow() {
    await new Promise(() => {});
  }
  do_on_second_foo(...args) {
    seen.push(["second", ...args]);
  }
}

async function begin(which, { at, realm, root = "test" } = {}) {
  const connection = at ? new Connection(at, realm) : Connection.over();
  for (const event of ["offline", "restored", "signed_out"]) connection.on(event, () => seen.push([event]));
  const node = which === "first" ? new Node() : which === "third" ? new Third() : new Node();
  await when_connected(connection);
  await node.node_bind(new Path(root).add(which), connection.new_context());
  if (which === "first") await node.node_add("second", new Second());
  return Object.assign(window, { connection, node });
}

Object.assign(window, { begin, seen, started: true });
