// As signal_shapes.py: a signal to 100 handlers by js/src/node/signal.js, or by Node.js's EventEmitter and EventTarget.
import { EventEmitter } from "node:events";
import { createInterface } from "node:readline";
import { declared } from "../../js/src/node/declared.js";
import { Signal } from "../../js/src/node/signal.js";

const WIDTH = 100;
const handlers = Array.from({ length: WIDTH }, () => (_sender, _number) => {});

const kits = {
  limen() {
    class Speaker {
      static on_said = new Signal();
    }
    declared(Speaker);
    const speaker = new Speaker();
    for (const handler of handlers) speaker.on_said.connect(handler);
    return (number) => speaker.on_said.notify("me", number);
  },
  emitter() {
    const speaker = new EventEmitter().setMaxListeners(WIDTH);
    for (const handler of handlers) speaker.on("said", handler);
    return (number) => speaker.emit("said", "me", number);
  },
  target() {
    const speaker = new EventTarget();
    for (const handler of handlers) speaker.addEventListener("said", (event) => handler("me", event.detail));
    return (number) => speaker.dispatchEvent(new CustomEvent("said", { detail: number }));
  },
};

const say = kits[process.argv[2]]();
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  const count = Number(line);
  const begun = process.cpuUsage();
  for (let number = 0; number < count; number++) await say(number);
  const { user, system } = process.cpuUsage(begun);
  console.log((user + system) / count);
}
