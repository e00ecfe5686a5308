/**
 * One tree of live objects: nodes that live at an address, call each other, signal each other and hold reactive state,
 * on the server and in the page, with the same names as in Python.
 *
 *     import { Connection, Node, Signal, call, handler, when_connected } from "/limen/node.mjs";
 *     import * as Limen from "/limen/limen.mjs";
 *
 *     const connection = await when_connected(Connection.over(Limen));      // or new Connection(url, realm)
 *     await new Third().node_bind("test.third", connection.new_context());
 *
 * @module
 */
export { LimenError } from "./exc.js";
export { Connection, when_connected } from "./node/connection.js";
export { NEAR, NodeContext } from "./node/context.js";
export { call, handler } from "./node/declared.js";
export { kwargs } from "./node/kwargs.js";
export { Mirror } from "./node/mirror.js";
export { Node } from "./node/node.js";
export { NodeProxy as Proxy } from "./node/proxy.js";
export { PlainSession } from "./client/session.js";
export { Signal, signal } from "./node/signal.js";
export { Path } from "./path.js";
export { ABSENT, Computed, Cycle, ReactiveDict, Value, batch, effect, untracked } from "./react.js";
