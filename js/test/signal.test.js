import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { LimenError } from "../src/exc.js";
import { call, declared, handler, listenedTo, OWN } from "../src/node/declared.js";
import { Node } from "../src/node/node.js";
import { Signal, signal } from "../src/node/signal.js";
import { vectors } from "./support.js";

const list = (what) => (Array.isArray(what) ? what : [what]);

class World {
  classes = {};
  objects = {};
  functions = {};
  undos = {};
  gates = {};
  underWay = {};
  log = [];

  gate(name) {
    return (this.gates[name] ??= Promise.withResolvers?.() ?? resolvers());
  }

  /** What is logged as *name*. */
  function(name, spec) {
    if (spec.async)
      return async (...args) => {
        await this.gate(name).promise;
        this.log.push([name, ...args]);
        for (const step of spec.does ?? []) await this.take(step);
        if (spec.throws) throw new Error(spec.throws);
      };
    return (...args) => {
      this.log.push([name, ...args]);
      for (const step of spec.does ?? []) this.do(step);
      if (spec.throws) throw new Error(spec.throws);
    };
  }

  signal(made, name, spec) {
    const { log } = this;
    const options = { order: spec.order };
    if (spec.notifying)
      options.notifying = async function (notify, number) {
        assert.ok(this instanceof made);
        log.push(["before", number]);
        if (number) {
          await notify(number * 10);
          log.push(["after", number]);
        }
      };
    if (spec.connecting)
      options.connecting = (connect, f) => {
        f("is connected");
        return connect((...args) => f("round", ...args));
      };
    if (!spec.takes) return new Signal(options);
    made.prototype[name] = (one, _) => {
      if (one === "refuse") throw new LimenError("InvalidCall", ["The body refuses."]);
    };
    return signal(options);
  }

  make({ class: name, of, signals = {}, methods = {}, without = [], publishes }) {
    const world = this;
    const made = of ? class extends this.classes[of] {} : class {};
    Object.defineProperty(made, "name", { value: name });
    const say = (member, value) => Object.defineProperty(made, member, { value });
    for (const [member, spec] of Object.entries(signals)) say(member, this.signal(made, member, spec));
    for (const [member, spec] of Object.entries(methods)) {
      const run = this.function(spec.logs ?? member, spec);
      Object.defineProperty(made.prototype, member, { value: (...args) => run(...args) });
      const marks = list(spec.handles ?? []).map(handler);
      if (spec.call) marks.unshift(spec.call === true ? call() : call(spec.call));
      if (marks.length) say(member, marks.length === 1 ? marks[0] : marks);
    }
    for (const member of without) say(member, null);
    if (publishes)
      made.prototype._signal_notified = (member, args) => {
        if (args.includes("never")) throw new LimenError("InvalidValue");
        world.log.push(["published", member, ...args]);
      };
    declared(made);
    return made;
  }

  bound(address) {
    const [name, member] = address.split(".");
    return this.objects[name][member];
  }

  /** What connect and disconnect are called with. */
  handler(name, step) {
    if (step.of) return [this.objects[step.of], step.method];
    return [(this.functions[name] ??= this.function(name, step))];
  }

  do(step) {
    if (step.class) {
      if (step.wrong) {
        const refused = (error) => error instanceof TypeError || error.exc === "InvalidAddress";
        assert.throws(() => this.make(step), (error) => refused(error) && error.message.includes(step.wrong));
      } else this.classes[step.class] = this.make(step);
    } else if (step.declared) {
      const table = declared(this.classes[step.declared]);
      assert.deepEqual(Object.fromEntries(table.calls), step.calls);
      assert.deepEqual([...table.signals.keys()], step.signals);
      assert.deepEqual(Object.fromEntries(table.own), step.own);
      assert.deepEqual(
        table.elsewhere.map(({ attribute, address, signal: one }) => [attribute, address, one]),
        step.elsewhere,
      );
    } else if (step.object) this.objects[step.object] = new this.classes[step.of]();
    else if (step.connect) this.undos[step.connect] = this.bound(step.to).connect(...this.handler(step.connect, step));
    else if (step.disconnect) {
      const gave = this.bound(step.from).disconnect(...this.handler(step.disconnect, step));
      assert.equal(gave, step.gives ?? gave);
    } else if (step.is_connected)
      assert.equal(this.bound(step.to).is_connected(...this.handler(step.is_connected, step)), step.gives);
    else if (step.keep) this.undos[step.as] = this.undos[step.keep];
    else if (step.undo) this.undos[step.undo]();
    else if (step.connected)
      for (const [address, number] of Object.entries(step.connected)) assert.equal(this.bound(address).size, number);
    else if (step.open) this.gate(step.open).resolve();
    else if (step.log) assert.deepEqual(this.log.splice(0), step.log);
    else assert.fail(JSON.stringify(step));
  }

  async take(step) {
    if (step.notify) {
      const work = this.bound(step.notify).notify(...(step.args ?? []));
      if (step.as) this.underWay[step.as] = work;
      else await this.ends(step, work);
    } else if (step.heard) await this.ends(step, this.bound(step.heard).heard(step.args));
    else if (step.ends) await this.ends(step, this.underWay[step.ends]);
    else if (step.settle) await new Promise((done) => setImmediate(done));
    else this.do(step);
  }

  async ends(step, work) {
    if (step.raises)
      await assert.rejects(work, (error) => {
        assert.ok(error instanceof AggregateError);
        assert.deepEqual(
          error.errors.map(({ message }) => message),
          step.raises,
        );
        return true;
      });
    else if (step.refused) await assert.rejects(work, (error) => error.is(step.refused));
    else await work;
  }
}

function resolvers() {
  const made = {};
  made.promise = new Promise((resolve) => (made.resolve = resolve));
  return made;
}

for (const scenario of vectors("signals").scenarios)
  test(`signals: ${scenario.name}`, async () => {
    const world = new World();
    for (const step of scenario.steps) await world.take(step);
    assert.deepEqual(world.log, []);
  });

class Bell {
  static on_ring = new Signal();
}
declared(Bell);

test("the signal of an object is one, whenever it is asked for, and is not assigned", () => {
  const bell = new Bell();
  assert.equal(bell.on_ring, bell.on_ring);
  assert.notEqual(bell.on_ring, new Bell().on_ring);
  assert.notEqual(bell.on_ring, Object.create(bell).on_ring);
  assert.throws(() => (bell.on_ring = () => 1), /on_ring\.connect/);
  assert.deepEqual(Object.keys(bell), []);
});

test("handlers are called before notify returns its promise, also when one notifies again", () => {
  const bell = new Bell();
  const heard = [];
  bell.on_ring.connect((text) => {
    heard.push(["first", text]);
    if (text === "outer") void bell.on_ring.notify("inner");
  });
  bell.on_ring.connect((text) => heard.push(["second", text]));
  void bell.on_ring.notify("outer");
  assert.deepEqual(heard, [
    ["first", "outer"],
    ["first", "inner"],
    ["second", "inner"],
    ["second", "outer"],
  ]);
});

test("a method by its name is the one that the object has when it is called", async () => {
  const bell = new Bell();
  const ear = { hear: () => assert.fail() };
  bell.on_ring.connect(ear, "hear");
  const heard = [];
  ear.hear = function (text) {
    heard.push(this === ear, text);
  };
  await bell.on_ring.notify("ding");
  bell.on_ring.disconnect(ear, "hear");
  await bell.on_ring.notify("dong");
  assert.deepEqual(heard, [true, "ding"]);
});

test("what can not be called is no handler", () => {
  const bell = new Bell();
  assert.throws(() => bell.on_ring.connect({}), /connect\(object, "name"\)/);
  assert.throws(() => bell.on_ring.connect({}, "hear"), /Object has no method hear/);
  assert.equal(bell.on_ring.size, 0);
});

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc");

test("a function that was disconnected is not held", async () => {
  const bell = new Bell();
  let gone = false;
  const registry = new FinalizationRegistry(() => (gone = true));
  await (async () => {
    const f = () => {};
    registry.register(f);
    const undo = bell.on_ring.connect(f);
    await bell.on_ring.notify();
    undo();
  })();
  while (!gone) {
    await new Promise((done) => setImmediate(done));
    gc();
  }
});

test("a signal that is taken away is not there", () => {
  class Quiet extends Bell {
    static on_ring = null;
  }
  declared(Quiet);
  assert.equal(new Quiet().on_ring, undefined);
});

test("a handler with an object goes with the object", async () => {
  const bell = new Bell();
  const heard = [];
  (() => bell.on_ring.connect({}, () => heard.push("gone")))();
  bell.on_ring.connect(() => heard.push("held"));
  while (bell.on_ring.size > 1) {
    await new Promise((done) => setImmediate(done));
    gc();
  }
  await bell.on_ring.notify();
  assert.deepEqual(heard, ["held"]);
});

test("other listeners are called after the own, and what was sent is awaited", async () => {
  const said = [];
  const sent = resolvers();
  class Published {
    static on_ring = new Signal();
    static own = handler("on_ring");
    own(text) {
      said.push(`own ${text}`);
    }
    _signal_notified() {
      said.push("sent");
      return sent.promise;
    }
    _signal_listeners() {
      return [(text) => said.push(`other ${text}`)];
    }
  }
  declared(Published);
  const bell = new Published();
  bell.on_ring.connect((text) => said.push(`connected ${text}`));
  let done = false;
  const telling = bell.on_ring.notify(1).then(() => (done = true));
  assert.deepEqual(said, ["sent", "own 1", "connected 1", "other 1"]);
  await new Promise((turn) => setImmediate(turn));
  assert.equal(done, false);
  sent.resolve();
  await telling;
});

test("a signal and its method", () => {
  class NoMethod {
    static on_moved = signal();
  }
  class Both {
    static on_moved = new Signal();
    on_moved() {}
  }
  assert.throws(() => declared(NoMethod), /there is no method on_moved/);
  assert.throws(() => declared(Both), /static on_moved = signal\(\)/);
  class Wrong {
    static rpc = call();
  }
  assert.throws(() => declared(Wrong), /there is no such method/);
});

test("several subclasses share the signals of their base", async () => {
  const heard = [];
  class Base {
    static on_moved = signal();
    on_moved(x) {
      heard.push(`body ${x}`);
    }
  }
  class One extends Base {
    static when = handler("on_moved");
    when(x) {
      heard.push(`one ${x}`);
    }
  }
  class Other extends Base {}
  for (const Class of [One, Other, Base]) declared(Class);
  await new One().on_moved.notify(1);
  await new Other().on_moved.notify(2);
  await new Base().on_moved.notify(3);
  assert.deepEqual(heard, ["body 1", "one 1", "body 2", "body 3"]);
  assert.equal(listenedTo(new Other(), "on_moved"), undefined);
  assert.ok(listenedTo(new One(), "on_moved"));
});

test("a class of the framework keeps its names", () => {
  class Ours {
    static [OWN] = true;
    static node_values = call();
    node_values() {}
    get() {}
  }
  class Theirs extends Ours {
    get() {}
  }
  class Wrong extends Ours {
    static get = call();
    get() {}
  }
  assert.deepEqual([...declared(Theirs).calls.keys()], ["node_values"]);
  assert.throws(() => declared(Wrong), /get is a method of Ours.*call\("get"\)/);
});

test("what the framework calls by itself is not replaced by a method that happens to have its name", () => {
  class Theirs extends Node {
    _note() {}
  }
  class Wrong extends Theirs {
    _call(number) {
      return number;
    }
  }
  declared(Theirs);
  assert.throws(() => new Wrong(), /In the class Wrong: _call is a name that the class above works by itself/);
});

test("what stands there uncalled declares nothing, and is refused with what was meant", () => {
  for (const [uncalled, meant] of [
    [call, "call()"],
    [handler, 'handler("on_foo")'],
    [signal, "signal()"],
    [Signal, "new Signal()"],
  ]) {
    class Wrong extends Node {
      static on_bar = uncalled;
    }
    assert.throws(() => declared(Wrong), { message: `In the class Wrong: static on_bar declares nothing yet: write ${meant}.` });
  }
});
