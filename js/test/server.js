/**
 * A small server of limen.1.json in memory, for the tests of the session: the other roles of our own seal, tabs that
 * remember
 * calls by their id as docs/security.md says, and switches for everything that can go wrong on a network.
 */
import { lp, text, unbase64, utf8 } from "../src/bytes.js";
import { LimenError } from "../src/exc.js";
import { Channel } from "../src/seal/channel.js";
import { KK, generate } from "../src/seal/noise.js";
import { ClientLogin } from "../src/seal/login.js";
import * as opaque from "../src/seal/opaque.js";
import { tag, untag } from "../src/values.js";
import { binary } from "../src/wamp.js";

const random = (size) => crypto.getRandomValues(new Uint8Array(size));
const unbinary = (value) => unbase64(value.slice(1));
const hex = (bytes) => Buffer.from(bytes).toString("hex");
export const stretch = (input) => input; // Argon2id has its own tests

/** The login part, without a worker. */
export const loginPart = {
  login: ({ user, password, progress }, { domain, subprotocol }) =>
    new ClientLogin({ user, password, domain, subprotocol, stretch: (input) => (progress?.(1), stretch(input)) }),
};

export class TestServer {
  domain = "localhost";
  subprotocol = "limen.1.json";
  services = {};
  /** Everything on the wire: [direction, data]. */
  wire = [];
  connections = new Set();
  opened = 0;
  ran = [];
  slots = new Map();
  topics = new Map();
  /** Where all that is no service of its own goes: a MemoryRouter. */ router = undefined;
  /** Switches. */
  reachable = true;
  abortHello = undefined; // [uri, details]
  loseWelcome = false;
  unsealedAbort = false;
  #keys = opaque.deriveDiffieHellmanKeyPair(random(32));
  #opaque = new opaque.Server({ ...this.#keys, oprfSeed: random(64) });
  #domainKey = generate();
  #records = new Map();

  async addUser(user, password) {
    const client = new opaque.ClientRegistration({ password: utf8(password), blind: opaque.blindFrom(random(64)) });
    const response = this.#opaque.registrationResponse(client.request, lp(this.domain, user));
    const { record } = await client.finish(response, {
      stretch,
      envelopeNonce: random(32),
      identities: this.#identities(user),
    });
    this.#records.set(user, record);
  }
  #identities = (user) => ({ client: utf8(user), server: utf8(this.domain) });

  /** The class that a page would call WebSocket. */
  get WebSocket() {
    const server = this;
    return class {
      readyState = 0;
      constructor(url, protocols) {
        server.opened++;
        this.url = url;
        setImmediate(() => {
          if (!server.reachable) return this.lose();
          this.readyState = 1;
          this.protocol = protocols.includes(server.subprotocol) ? server.subprotocol : "";
          this.peer = new Connection(server, this);
          server.connections.add(this.peer);
          this.onopen?.({});
          return undefined;
        });
      }
      send(data) {
        server.wire.push(["c2s", data]);
        if (this.readyState === 1) setImmediate(() => this.peer.received(data));
      }
      deliver(data) {
        server.wire.push(["s2c", data]);
        setImmediate(
          () =>
            this.readyState === 1 &&
            this.onmessage?.({
              data: typeof data === "string" ? data : data.buffer.slice(data.byteOffset, data.byteOffset + data.length),
            }),
        );
      }
      close() {
        if (this.readyState >= 2) return;
        this.readyState = 2;
        setImmediate(() => this.lose());
      }
      /** The server's close: what it sent before arrives. */
      end() {
        setImmediate(() => this.lose());
      }
      lose() {
        if (this.readyState === 3) return;
        this.readyState = 3;
        if (this.peer) this.peer.lost();
        this.onclose?.({});
      }
    };
  }

  /** Cuts every connection, as a network does. */
  cut() {
    for (const connection of [...this.connections]) connection.socket.lose();
  }

  /** A restart: tabs and their calls are forgotten, slots are not. */
  restart() {
    for (const slot of this.slots.values()) slot.tab = undefined;
    this.cut();
  }

  publish(uri, ...args) {
    this.publishTagged(uri, ...args.map((arg) => tag(arg)));
  }

  /** As `publish`, of what stands on the wire. */
  publishTagged(uri, ...args) {
    for (const connection of this.connections) connection.event(uri, args);
  }

  get opaque() {
    return this.#opaque;
  }
  get domainKey() {
    return this.#domainKey;
  }
  record(user) {
    return (
      this.#records.get(user) ??
      Uint8Array.from([...opaque.deriveDiffieHellmanKeyPair(utf8(user.padEnd(32))).publicKey, ...new Uint8Array(160)])
    );
  }
  identities(user) {
    return this.#identities(user);
  }
}

class Tab {
  calls = new Map();
  received = undefined;
  constructor(user) {
    this.user = user;
  }
}

class Connection {
  subscriptions = new Map();
  #step = "hello";
  #queue = Promise.resolve();
  onswallowed = () => {}; // while it is deaf

  constructor(server, socket) {
    this.server = server;
    this.socket = socket;
  }

  received(data) {
    if (this.deaf) this.onswallowed();
    else
      this.#queue = this.#queue
        .then(() => this.#hear(data))
        .catch((error) => ((this.error = error), this.socket.lose()));
  }

  lost() {
    this.server.connections.delete(this);
    this.peer?.leave();
    if (this.tab?.connection === this) {
      this.tab.connection = undefined;
      this.tab.received = this.channel.received;
    }
  }

  async #hear(data) {
    if (this.#step === "session") return this.#message(JSON.parse(text(await this.channel.open(new Uint8Array(data)))));
    if (this.#step === "hello") return this.#hello(data, JSON.parse(data));
    return this.#authenticate(data);
  }

  plain(message) {
    const data = JSON.stringify(message);
    this.socket.deliver(data);
    return utf8(data);
  }

  async send(message) {
    const frame = await this.channel.seal(utf8(JSON.stringify(message)));
    this.socket.deliver(frame);
  }

  async #hello(data, [, realm, details]) {
    const { server } = this;
    this.hello = utf8(data);
    if (server.abortHello) {
      this.plain([3, server.abortHello[1] ?? {}, server.abortHello[0]]);
      return this.socket.end();
    }
    if (details.authmethods[0] === "opaque") {
      const user = (this.user = details.authid);
      this.login = server.opaque.login({
        ke1: unbinary(details.authextra.ke1),
        record: server.record(user),
        credentialIdentifier: lp(server.domain, user),
        context: lp("limen-1", "ws", realm, server.subprotocol),
        identities: server.identities(user),
        maskingNonce: random(32),
        nonce: random(32),
        keyshareSeed: random(32),
      });
      this.challenge = this.plain([4, "opaque", { ke2: binary(this.login.ke2) }]);
    } else {
      const handle = unbinary(details.authextra.slot);
      const slot = (this.slot = server.slots.get(hex(handle)));
      if (!slot) {
        this.plain([3, {}, "limen.error.unknown_session"]);
        return this.socket.end();
      }
      this.user = slot.user;
      const prologue = lp("limen-1", "ws", realm, server.subprotocol, handle, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1));
      this.kk = await KK.start({ role: "responder", prologue, own: await server.domainKey, peer: slot.public });
      await this.kk.read(unbinary(details.authextra.kk1));
      this.challenge = this.plain([4, "resume", { kk2: binary(await this.kk.write()) }]);
    }
    this.#step = "authenticate";
    return undefined;
  }

  async #authenticate(data) {
    const { server } = this;
    if (this.login) {
      const [, , extra] = JSON.parse(data);
      this.login.finish(unbinary(extra.ke3));
      const { hkdf } = await import("@noble/hashes/hkdf.js");
      const { sha512 } = await import("@noble/hashes/sha2.js");
      const th = sha512(lp(this.hello, this.challenge, utf8(data)));
      const chain = (direction) => hkdf(sha512, this.login.sessionKey, th, utf8(`limen-1 ws ${direction}`), 32);
      this.channel = new Channel({ send: chain("s2c"), receive: chain("c2s"), th, direction: "s2c" });
      this.tab = new Tab(this.user);
    } else {
      const [receive, send] = await this.kk.split();
      const th = new Uint8Array(await crypto.subtle.digest("SHA-512", lp(this.kk.hash, this.hello, this.challenge)));
      this.channel = new Channel({ send, receive, th, direction: "s2c" });
      if (text(await this.channel.open(new Uint8Array(data))) !== '[5,"",{}]') throw new Error("AUTHENTICATE expected");
      this.slot.tab ??= new Tab(this.user);
      this.tab = this.slot.tab;
      const older = this.tab.connection;
      if (older) {
        await older.send([6, { when: "2026-11-21T11:48:00Z", from: "192.0.2.1" }, "limen.close.taken_over"]);
        this.tab.received = older.channel.received;
        older.socket.end();
      }
    }
    this.tab.connection = this;
    this.#step = "session";
    if (server.unsealedAbort) return (void this.plain([3, {}, "limen.error.unknown_session"]), this.socket.end());
    if (server.loseWelcome) return this.socket.lose();
    this.peer = server.router?.join((message) => message[0] !== 2 && void this.send(message));
    this.peer?.receive([1, server.domain, {}]);
    const x_received = this.slot ? (this.tab.received ?? null) : undefined;
    return this.send([
      2,
      1,
      {
        roles: server.router?.features ?? {},
        authid: this.user,
        authrole: "nurse",
        x_roles: ["nurse"],
        x_profile: { username: this.user },
        x_timeout: 3600,
        x_max_age: 3600,
        x_received,
      },
    ]);
  }

  async #message([type, request, ...rest]) {
    if (this.peer && [8, 16, 32, 34, 49, 64, 66, 70].includes(type)) return this.peer.receive([type, request, ...rest]);
    if (this.peer && type === 48 && !/^limen\./.test(rest[1]) && !this.server.services[rest[1]])
      return this.peer.receive([type, request, ...rest]);
    if (type === 48) return void this.#call(request, ...rest);
    if (type === 49) return this.tab.calls.get(this.byRequest?.get(request))?.cancel?.();
    if (type === 32) {
      this.subscriptions.set(rest[1], this.subscriptions.size + 1);
      return this.send([33, request, this.subscriptions.get(rest[1])]);
    }
    if (type === 34)
      return this.send(rest[0] > 1000 ? [8, 34, request, {}, "wamp.error.no_such_subscription"] : [35, request]);
    if (type === 6) return this.socket.end();
    throw new Error(`unexpected message ${type}`);
  }

  event(uri, args) {
    const id = this.subscriptions.get(uri);
    if (id) void this.send([36, id, 1, {}, args]);
  }

  async #call(request, options, uri, args = [], kwargs = {}) {
    const { tab, server } = this;
    this.byRequest = (this.byRequest ?? new Map()).set(request, options.x_id);
    let call = tab.calls.get(options.x_id);
    if (!call) {
      if (options.x_repeat) return this.send(error(request, new LimenError("OutcomeUnknown")));
      call = this.#run(uri, args, kwargs, options, request);
      tab.calls.set(options.x_id, call);
    }
    call.receiver = [this, request];
    const message = await call.answer;
    const [receiver, asked] = call.receiver;
    return receiver === this && asked === request ? this.send(message(request)) : undefined;
  }

  #run(uri, args, kwargs, options, request) {
    const own = {
      "limen.slot.open": () => this.#openSlot(untag(args[0])),
      "limen.session.logout": () => this.#logout(),
    }[uri];
    const service = own ?? this.server.services[uri];
    if (!service) return { answer: Promise.resolve((request) => error(request, new LimenError("NotFound"))) };
    const call = {};
    const cancelled = new Promise(
      (_, reject) => (call.cancel = () => ((call.cancelled = true), reject(new LimenError("Canceled")))),
    );
    if (!own) this.server.ran.push([uri, ...args.map((arg) => untag(structuredClone(arg)))]);
    const work = async () => {
      const outcome = service(...args.map((arg) => untag(arg)), ...(Object.keys(kwargs).length ? [untag(kwargs)] : []));
      if (!outcome?.[Symbol.asyncIterator]) return outcome;
      const values = [];
      for await (const value of outcome) {
        if (call.cancelled || this.socket.readyState === 3) break; // nobody can ask for a stream again
        if (options.receive_progress) await this.send([50, request, { progress: true }, [tag(value)]]);
        else values.push(value);
      }
      return options.receive_progress ? null : values;
    };
    call.answer = Promise.race([work(), cancelled]).then(
      (value) => (request) => [50, request, {}, [tag(value ?? null)]],
      (problem) => (request) => error(request, problem),
    );
    return call;
  }

  async #openSlot(publicKey) {
    if (this.server.refuseSlot) throw this.server.refuseSlot;
    const handle = random(16);
    this.server.slots.set(hex(handle), { public: publicKey, user: this.user, tab: this.tab });
    return { slot: handle, key: (await this.server.domainKey).public, epoch: 1, number: 1 };
  }

  #logout() {
    for (const [handle, slot] of this.server.slots) if (slot.tab === this.tab) this.server.slots.delete(handle);
    setTimeout(() => void this.send([6, {}, "wamp.close.logout"]));
    return null;
  }
}

const error = (request, problem) => [
  8,
  48,
  request,
  {},
  problem.uri,
  problem.err,
  tag({ exc: problem.exc, err: problem.err, ...problem.facts }),
];

/** What a page keeps, without a browser. */
export class MemorySlots {
  slot = undefined;
  stored = undefined;
  get mayResume() {
    return Boolean(this.slot ?? this.stored);
  }
  async take() {
    return (this.slot ??= this.stored);
  }
  async keep(slot) {
    this.slot = this.stored = slot;
  }
  async drop() {
    this.slot = this.stored = undefined;
  }
  leave() {
    this.slot = undefined;
  }
  release() {}
}
