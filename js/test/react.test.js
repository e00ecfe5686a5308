import assert from "node:assert/strict";
import { test } from "node:test";
import { build } from "esbuild";
import { ABSENT, batch, Computed, Cycle, effect, ReactiveDict, untracked, Value } from "../src/react.js";
import { vectors } from "./support.js";

const DEEP = 10_000;
const OPERATORS = { "+": (a, b) => a + b, "*": (a, b) => a * b, ">": (a, b) => a > b };

class World {
  nodes = {};
  effects = {};
  runs = {};
  saw = {};
  gates = {};

  find(what) {
    if (typeof what === "string") return this.nodes[what].value;
    if (!Array.isArray(what)) return what;
    const [sign, one, other, last] = what;
    if (sign === "if") return this.find(this.find(one) ? other : last);
    if (sign === "throw") throw new Error(one);
    return OPERATORS[sign](this.find(one), this.find(other));
  }

  ran(name) {
    this.runs[name] = (this.runs[name] ?? 0) + 1;
  }

  see(name, what) {
    (this.saw[name] ??= []).push(what);
  }

  take(step) {
    if (step.cycle)
      assert.throws(
        () => this.do(step),
        (error) => error instanceof Cycle && step.cycle.every((name) => error.names.includes(name)),
      );
    else if (step.raises) assert.throws(() => this.do(step), { message: step.raises });
    else return this.do(step);
  }

  do(step) {
    const [verb] = Object.keys(step);
    const name = step[verb];
    return this[verb](name, step);
  }

  value(name, { is }) {
    this.nodes[name] = new Value(is, { name });
  }

  computed(name, { of }) {
    const compute = () => (this.ran(name), this.find(of));
    this.nodes[name] = new Computed(compute, { name });
  }

  effect(name, { of, sets, ends }) {
    const run = () => {
      this.ran(name);
      const found = this.find(of);
      this.see(name, found);
      if (sets) this.nodes[sets[0]].value = this.find(sets[1]);
      if (ends?.[1] === found) this.effects[ends[0]]();
    };
    this.effects[name] = effect(run, { name });
  }

  async(name, { of, lingers }) {
    const run = async (signal) => {
      const found = this.find(of);
      this.see(name, `begins ${found}`);
      const gate = new Promise((open) => (this.gates[name] = open));
      const off = new Promise((_, reject) => signal.addEventListener("abort", reject));
      try {
        await Promise.race([gate, off]);
        this.see(name, `ends ${found}`);
      } catch (error) {
        this.see(name, `is called off ${found}`);
        if (lingers) await gate;
        throw error;
      }
    };
    this.effects[name] = effect(run, { name });
  }

  open(name) {
    this.gates[name]();
  }

  settle() {
    return new Promise((done) => setImmediate(done));
  }

  set(name, { to }) {
    this.nodes[name].value = this.find(to);
  }

  batch(steps) {
    batch(() => steps.forEach((step) => this.take(step)));
  }

  throw(text) {
    throw new Error(text);
  }

  dispose(name) {
    this.effects[name]();
  }

  wide(name, { from, number }) {
    const first = this.nodes[from];
    const all = Array.from({ length: number }, () => new Computed(() => first.value));
    this.nodes[name] = new Computed(() => all.reduce((sum, node) => sum + node.value, 0));
  }

  chain(name, { from }) {
    let node = this.nodes[from];
    for (let index = 0; index < DEEP; index++) {
      const above = node;
      node = new Computed(() => above.value + 1);
    }
    this.nodes[name] = node;
  }

  read(name, { gives }) {
    assert.equal(this.nodes[name].value, gives);
  }

  rises(name, { from }) {
    assert.equal(this.nodes[name].value, from + DEEP);
  }

  expects(names, found) {
    for (const [name, wanted] of Object.entries(names)) assert.deepEqual(found(name), wanted, name);
  }

  #taken(name) {
    const saw = this.saw[name] ?? [];
    delete this.saw[name];
    return saw;
  }

  ["runs?"](counts) {
    this.expects(counts, (name) => this.runs[name] ?? 0);
  }

  ["saw?"](lists) {
    this.expects(lists, (name) => this.#taken(name));
  }

  grown(lists) {
    this.expects(lists, (name) => this.#taken(name).map((n) => n - DEEP));
  }

  last(lasts) {
    this.expects(lasts, (name) => this.saw[name].at(-1));
  }
}

/** The steps whose verb is the name of a field. */
const asked = ({ runs, saw, ...step }) => ({
  ...(runs && { "runs?": runs }),
  ...(saw && { "saw?": saw }),
  ...step,
  ...(step.batch && { batch: step.batch.map(asked) }),
});

for (const { name, steps } of vectors("react").scenarios) {
  test(name, async () => {
    const world = new World();
    for (const step of steps) await world.take(asked(step));
    for (const stop of Object.values(world.effects)) stop();
  });
}

test("a dictionary tells precise changes, one for each key and batch", () => {
  const dict = new ReactiveDict({ a: 1, b: 2 });
  const told = [];
  const undo = dict.watch((changes) => told.push(changes.map((c) => [c.kind, c.key, c.old, c.new])));
  dict.set("c", 3);
  dict.update({ a: 5, b: 2 });
  batch(() => {
    dict.delete("a");
    dict.set("a", 5);
    dict.set("b", 3);
    dict.set("b", 4);
  });
  assert.equal(dict.delete("nobody"), false);
  dict.clear();
  undo();
  dict.set("late", 1);
  assert.deepEqual(told, [
    [["added", "c", ABSENT, 3]],
    [["changed", "a", 1, 5]],
    [["changed", "b", 2, 4]],
    [
      ["removed", "b", 4, ABSENT],
      ["removed", "c", 3, ABSENT],
      ["removed", "a", 5, ABSENT],
    ],
  ]);
});

test("who reads a key follows that key alone, absent or not", () => {
  const dict = new ReactiveDict([["a", 1]]);
  const saw = [];
  const stops = [
    effect(() => void saw.push(["a", dict.get("a")])),
    effect(() => void saw.push(["z", dict.has("z")])),
    effect(() => void saw.push(["size", dict.size])),
  ];
  assert.deepEqual(saw.splice(0), [["a", 1], ["z", false], ["size", 1]]);
  dict.set("a", 2);
  assert.deepEqual(saw.splice(0), [["a", 2]]);
  dict.set("z", 0);
  assert.deepEqual(saw.splice(0).sort(), [["size", 2], ["z", true]]);
  for (const stop of stops) stop();
  dict.set("a", 3);
  assert.deepEqual(saw, []);
  assert.equal(JSON.stringify(dict), '{"a":3,"z":0}');
});

test("a computed value over a dictionary that nobody watches is up to date", () => {
  const dict = new ReactiveDict({ a: 1 });
  const twice = new Computed(() => 2 * dict.get("a"));
  assert.equal(twice.value, 2);
  dict.set("a", 2);
  assert.equal(twice.value, 4);
});

test("a page that does not ask for reactive state does not load it", async () => {
  const entry = new URL("../src/limen.js", import.meta.url).pathname;
  const { metafile } = await build({ entryPoints: [entry], bundle: true, write: false, format: "esm", metafile: true });
  assert.deepEqual(Object.keys(metafile.inputs).filter((name) => /preact|react\.js|path\.js/.test(name)), []);
});

test("a circle names exactly the way round", () => {
  const on = new Value(true);
  const x = new Computed(() => (on.value ? y.value : 7), { name: "x" });
  const y = new Computed(() => z.value, { name: "y" });
  const z = new Computed(() => x.value, { name: "z" });
  const outside = new Computed(() => x.value, { name: "outside" });
  for (let again = 0; again < 2; again++)
    assert.throws(() => outside.value, (error) => error instanceof Cycle && error.names.join() === "x,y,z,x");
  on.value = false;
  assert.deepEqual([x.value, outside.value], [7, 7]);
});

const DEPTH = 10_000;

/** A chain of computed values, each called when `calls` says so. */
function chain(first, calls = () => {}) {
  let node = first;
  for (let index = 0; index < DEPTH; index++) {
    const above = node;
    node = new Computed(() => (calls(), above.value + 1));
  }
  return node;
}

test("deep: what was computed once is asked without calling any function twice", () => {
  let calls = 0;
  const a = new Value(0);
  const last = chain(a, () => calls++);
  const stop = effect(() => void last.value);
  calls = 0;
  a.value = 1;
  assert.deepEqual([last.peek(), calls], [DEPTH + 1, DEPTH]);
  stop();
  calls = 0;
  a.value = 2;
  assert.deepEqual([last.value, calls], [DEPTH + 2, DEPTH]);
});

test("deep: an error at the bottom comes through, and goes again", () => {
  const a = new Value(0);
  const bottom = new Computed(() => {
    if (a.value === 1) throw new Error("no");
    return a.value;
  });
  const last = chain(bottom);
  assert.equal(last.value, DEPTH);
  a.value = 1;
  assert.throws(() => last.value, { message: "no" });
  a.value = 2;
  assert.equal(last.value, DEPTH + 2);
});

test("deep: a function that catches what it is told while it is given up has not seen it", () => {
  const a = new Value(1);
  const last = chain(a);
  const guard = new Computed(() => {
    try {
      return last.value;
    } catch {
      return "caught";
    }
  });
  let saw;
  const stop = effect(() => void (saw = chain(guard).value));
  assert.equal(saw, 2 * DEPTH + 1);
  a.value = 2;
  assert.equal(saw, 2 * DEPTH + 2);
  stop();
});

test("deep: a branch that turns to a deep chain while it is watched", () => {
  const on = new Value(false);
  const a = new Value(0);
  const saw = [];
  const last = chain(a);
  const top = new Computed(() => (on.value ? last.value : -1));
  const stop = effect(() => void saw.push(top.value));
  on.value = true;
  a.value = 1;
  on.value = false;
  a.value = 2;
  stop();
  assert.deepEqual(saw, [-1, DEPTH, DEPTH + 1, -1]);
});

test("deep: a circle of 10,000 is one", () => {
  const first = new Computed(() => last.value, { name: "first" });
  const last = chain(first);
  assert.throws(() => last.value, (error) => error instanceof Cycle && error.names.length > 2);
  assert.throws(() => effect(() => void last.value), Cycle);
  assert.equal(new Computed(() => 1).value, 1);
});

test("deep: a chain that is watched from the bottom up, one by one", () => {
  const a = new Value(0);
  const saw = [];
  const stops = [];
  let node = a;
  for (let index = 0; index < DEPTH; index++) {
    const above = node;
    const made = new Computed(() => above.value + 1);
    stops.push(effect(() => void (saw[index] = made.value)));
    node = made;
  }
  a.value = 1;
  assert.deepEqual([saw[0], saw[DEPTH / 2], saw[DEPTH - 1]], [2, DEPTH / 2 + 2, DEPTH + 1]);
  batch(() => {
    a.value = 5;
    assert.equal(node.value, DEPTH + 5); // before an effect has gone from below
  });
  for (const stop of stops.splice(0, DEPTH / 2)) stop();
  a.value = 2;
  assert.deepEqual([saw[0], saw[DEPTH - 1]], [6, DEPTH + 2]);
  for (const stop of stops) stop();
  a.value = 3;
  assert.deepEqual([saw[DEPTH - 1], node.value], [DEPTH + 2, DEPTH + 3]);
});

for (const [name, width] of [["each", 1], ["150 at a time", 150]])
  test(`deep: chains that are watched, ${name}, turn to each other at once, and back`, () => {
    const a = new Value(0);
    const joined = new Value(false);
    const stops = [];
    const saw = [];
    let last = a;
    for (let index = 0; index < DEPTH; index += width) {
      const below = last;
      last = new Computed(() => 1 + (joined.value ? below.value : a.value));
      for (let more = 1; more < width; more++) {
        const above = last;
        last = new Computed(() => above.value + 1);
      }
      const top = last;
      stops.push(effect(() => void (saw[index / width] = top.value)));
    }
    const length = stops.length * width;
    const expect = (first, final) => assert.deepEqual([saw[0], saw.at(-1), last.value], [first, final, final]);
    const turn = (to, value) =>
      batch(() => {
        joined.value = to;
        a.value = value;
        assert.equal(last.value, value + (to ? length : width)); // before an effect has gone from below
      });
    expect(width, width);
    turn(true, 0);
    expect(width, length);
    turn(true, 1);
    expect(width + 1, length + 1);
    turn(false, 2);
    expect(width + 2, width + 2);
    turn(true, 3);
    expect(width + 3, length + 3);
    turn(false, 4);
    for (const stop of stops) stop();
    joined.value = true; // while nobody watches
    assert.equal(last.value, length + 4);
  });

for (const quiet of [true, false])
  test(`deep: chains of 100 that are watched are joined one by one${quiet ? "" : " while they change"}`, () => {
    const a = new Value(0);
    const saw = [];
    const blocks = [];
    for (let last = a, index = 0; index < DEPTH / 100; index++) {
      const joined = new Value(false);
      const below = last;
      last = new Computed(() => 1 + (joined.value ? below.value : a.value));
      for (let more = 1; more < 100; more++) {
        const above = last;
        last = new Computed(() => above.value + 1);
      }
      const top = last;
      blocks.push({ joined, top, stop: effect(() => void (saw[index] = top.value)) });
    }
    const { top } = blocks.at(-1);
    const turn = (to, value, expected) => {
      for (const { joined, top } of blocks)
        batch(() => {
          joined.value = to;
          if (quiet) return;
          a.value = a.peek() - 1;
          top.value; // before an effect has gone from below
        });
      batch(() => {
        a.value = value;
        assert.equal(top.value, expected);
      });
      assert.equal(saw.at(-1), expected);
    };
    turn(true, 1, DEPTH + 1);
    turn(false, 2, 100 + 2);
    blocks.reverse(); // from the top
    turn(true, 3, DEPTH + 3);
    for (const { stop } of blocks) stop();
  });

test("deep: those that look at each other without following, each watched", () => {
  for (const look of [(node) => node.peek(), (node) => untracked(() => node.value)]) {
    const a = new Value(0);
    const saw = [];
    let node = a;
    const stops = Array.from({ length: DEPTH }, (_, index) => {
      const above = node;
      const made = new Computed(() => (a.value, 1 + look(above)));
      node = made;
      return effect(() => void (saw[index] = made.value));
    });
    batch(() => {
      a.value = 1;
      assert.equal(node.value, DEPTH + 1); // before an effect has gone from below
    });
    assert.deepEqual([saw[0], saw[DEPTH - 1]], [2, DEPTH + 1]);
    for (const stop of stops) stop();
  }
});

test("deep: who is given up before it has followed anything runs again", () => {
  const a = new Value(0);
  const on = new Value(0);
  let below = a;
  const top = new Computed(() => below.peek() + on.value);
  assert.equal(top.value, 0);
  below = chain(a);
  on.value = 1;
  assert.equal(top.value, DEPTH + 1);
});

test("deep: an error that a short one had comes through again when one below has become deep", () => {
  const on = new Value(false);
  const a = new Value(0);
  const last = chain(a);
  const short = new Computed(() => {
    if (!on.value) throw new Error("off");
    return last.value;
  });
  const saw = [];
  const read = () => {
    try {
      saw.push(short.value);
    } catch (error) {
      saw.push(error.message);
    }
  };
  const stop = effect(read);
  on.value = true;
  a.value = 1;
  on.value = false;
  stop();
  assert.deepEqual(saw, ["off", DEPTH, DEPTH + 1, "off"]);
});
