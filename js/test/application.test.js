/** What start_session refuses before it asks anybody; all else of sessions is tested from Python, in pages. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { View, start_session } from "../src/application.js";
import { Node } from "../src/node.js";
import { connections } from "../src/testing.js";

test("a view that is no class of View is refused, by the name that it has", async () => {
  const [connection] = connections(1);
  for (const made of [() => new View(), new View(), Node, undefined])
    await assert.rejects(start_session(connection, "shop", { views: { Desktop: made }, store: {} }), {
      exc: "InvalidCall",
      message: /views\.Desktop must be a class that extends View/,
    });
  await connection.close();
});
