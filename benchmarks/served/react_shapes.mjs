// The same as react_shapes.py, by js/src/react.js and by @preact/signals-core bare, in one process each.
import { createInterface } from "node:readline";
import * as bare from "@preact/signals-core";
import * as limen from "../../js/src/react.js";

const WIDTH = 100;
const kit =
  process.argv[2] === "limen"
    ? { value: (v) => new limen.Value(v), computed: (f) => new limen.Computed(f), effect: limen.effect }
    : { value: bare.signal, computed: bare.computed, effect: bare.effect };

function shape(name, { value, computed, effect }) {
  const first = value(0);
  if (name === "chain") {
    let last = first;
    for (let step = 0; step < WIDTH; step++) {
      const above = last;
      last = computed(() => above.value + 1);
    }
    effect(() => void last.value);
    return first;
  }
  const many = Array.from({ length: WIDTH }, (_, step) => computed(() => first.value + step));
  if (name === "wide") {
    const total = computed(() => many.reduce((sum, node) => sum + node.value, 0));
    effect(() => void total.value);
  } else for (const node of many) effect(() => void node.value);
  return first;
}

const shapes = Object.fromEntries(["chain", "wide", "effects"].map((name) => [name, shape(name, kit)]));
let value = 0;
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  const [name, count] = line.split(" ");
  const first = shapes[name];
  const begun = process.cpuUsage();
  for (let turn = 0; turn < Number(count); turn++) first.value = ++value;
  const { user, system } = process.cpuUsage(begun);
  console.log((user + system) / Number(count));
}
