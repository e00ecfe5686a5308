/** Autobahn-JS as a puppet. It takes the WebSocket that Node has (22 and later), else that of `ws`. */
import nacl from "tweetnacl";
import { WebSocket as WsWebSocket } from "ws";

globalThis.WebSocket ??= WsWebSocket;
const { default: autobahn } = await import("autobahn");
const { hear, obey } = await import("./lines.mjs");
autobahn.log.warn = () => {};

const SERIALIZERS = {
  json: autobahn.serializer.JSONSerializer,
  msgpack: autobahn.serializer.MsgpackSerializer,
  cbor: autobahn.serializer.CBORSerializer,
};
const connections = {};
const sessions = {};
const kept = {};

const both = (result) =>
  result instanceof autobahn.Result ? [result.args, result.kwargs] : [result == null ? [] : [result], {}];

const procedures = {
  echo: (args, kwargs) => new autobahn.Result(args, kwargs),
  fail: (args) => {
    throw new autobahn.Error("com.example.broken", args, { n: 7 });
  },
  hang: () => new Promise(() => {}),
};

const signing = (seed) => {
  const key = nacl.sign.keyPair.fromSeed(Buffer.from(seed, "hex"));
  return {
    authmethods: ["cryptosign"],
    authid: "device",
    authextra: { pubkey: autobahn.auth_cryptosign.public_key(key), channel_binding: null },
    onchallenge: (session, method, extra) => autobahn.auth_cryptosign.sign_challenge(key, extra),
  };
};

await obey(
  {
    open: ({ session, url, realm, seed }) =>
      new Promise((resolve, reject) => {
        const connection = new autobahn.Connection({
          url,
          realm,
          serializers: [new SERIALIZERS[session.split("-")[0]]()],
          ...(seed && signing(seed)),
          max_retries: 0,
          on_user_error: () => {},
        });
        connections[session] = connection;
        connection.onopen = (opened, details) => {
          sessions[session] = opened;
          resolve(Object.keys(details.roles));
        };
        connection.onclose = (reason, details) => {
          hear(session, { closed: details.reason });
          reject(new Error(`closed: ${reason} ${details.reason}`));
        };
        connection.open();
      }),
    register: async ({ session, uri, kind }) => {
      kept[session + uri] = await sessions[session].register(uri, procedures[kind]);
    },
    unregister: ({ session, uri }) => sessions[session].unregister(kept[session + uri]),
    call: async ({ session, uri, args, kwargs, progress, cancel_after: cancelAfter }) => {
      const steps = [];
      const call = sessions[session].call(uri, args, kwargs, progress ? { receive_progress: true } : {});
      const result = await call.then(undefined, undefined, (step) => {
        steps.push(both(step)[0]);
        // Without a mode Autobahn-JS forgets the call, and takes the ERROR that answers CANCEL for a violation.
        if (steps.length === cancelAfter) call.cancel({ mode: "kill" });
      });
      return progress ? [...both(result), steps] : both(result);
    },
    subscribe: async ({ session, topic }) => {
      kept[session + topic] = await sessions[session].subscribe(topic, (args, kwargs) =>
        hear(session, { topic, args, kwargs }),
      );
    },
    unsubscribe: ({ session, topic }) => sessions[session].unsubscribe(kept[session + topic]),
    publish: async ({ session, topic, args, kwargs }) => {
      await sessions[session].publish(topic, args, kwargs, { acknowledge: true });
    },
    close: ({ session }) => connections[session].close(),
  },
  (error) => ({ error: error.error ?? String(error), args: error.args, kwargs: error.kwargs }),
);
