// The browser's half of tests/scenario: each method does one step of scenario.json, and says what came of it.
const heard = [];
let begun;

const signedIn = () => Limen.state.user !== null && Limen.state.user !== undefined;
const apply = (...call) => (signedIn() ? Limen.safe_apply(...call) : Limen.apply(...call));
const told = (error) => ({ raised: error.exc ?? String(error), facts: error.facts ?? {} });

const perform = {
  user: () => Limen.state.user ?? null,
  login: (user, password) => Limen.login(user, password).then(() => null),
  logout: () => Limen.logout(),
  call: (name, args, kwargs, timeout) => apply(name, args, kwargs, timeout ? { timeout } : {}),
  safe_call: (name, args, kwargs) => Limen.safe_apply(name, args, kwargs),
  pass_on: async (name, next) => apply(next, [await apply(name)]),
  stream: async (name, args, take) => {
    const values = [];
    for await (const value of apply(name, args)) {
      values.push(value);
      if (values.length === take) break;
    }
    return values;
  },
  upload: async (name, size) => {
    const gave = await apply(name, [new File([new Uint8Array(size)], "made.bin")]);
    return [gave[0], gave[2]];
  },
  download: async (name, args) => (await (await apply(name, args)).blob()).size,
  begin: (name, args) => {
    begun = apply(name, args).then((gave) => ({ gave }), told);
  },
  begun: () => begun,
  subscribe: async (topic) => {
    await Limen.subscribe(topic, (text) => heard.push(text));
  },
  heard: () => heard,
};

window.step = (name, ...args) => Promise.resolve().then(() => perform[name](...args)).then((gave) => ({ gave: gave ?? null }), told);
