import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeContext, wrapped } from "../src/node/context.js";
import { Tree } from "../src/node/tree.js";
import { connections } from "../src/testing.js";
import { play, settled } from "./nodes.scenarios.js";
import { vectors } from "./support.js";

const { scenarios, contexts } = vectors("nodes");
const NOTHING = new Tree().size;

/** Where the places of a scenario are. */
const PLACEMENTS = {
  "without a connection": () => {
    const context = new NodeContext({ tree: new Tree() });
    return { contextOf: () => context };
  },
  "of one connection": () => placed(1),
  "of a connection each": () => placed(2),
};

function placed(n) {
  const [x, y = x] = connections(n);
  const contexts = { x: x.new_context(), y: y.new_context() };
  return { contextOf: (place) => contexts[place], settle: () => settled([x, y]) };
}

for (const scenario of scenarios)
  for (const [where, make] of Object.entries(PLACEMENTS))
    test(`${scenario.name}, nodes ${where}`, () => play(scenario, { ...make(), left: NOTHING }));

for (const { name, steps } of contexts) {
  test(name, () => {
    const made = {};
    for (const step of steps) {
      const context = made[step.of ?? step.names];
      if (step.context) {
        const wraps = Object.entries(step.wraps ?? {}).map(([kind, name]) => [kind, wrapper(name)]);
        const names = { ...step.names, ...Object.fromEntries(wraps) };
        made[step.context] = step.below ? made[step.below].new(names) : new NodeContext(names);
      } else if (step.get) assert.equal(context.get(step.get, null), step.is);
      else if (step.has) assert.equal(context.has(step.has), step.is);
      else if (step.set) context[step.set] = step.to;
      else if (step.wrapped) assert.equal(wrapped(context, step.wrapped, (text) => text)("x", [], {}), step.is);
      else assert.deepEqual([...context], step.are);
    }
  });
}

const wrapper = (name) => (next, text, args, kwargs) => `${name}(${next(text, args, kwargs)})`;
