/** Autobahn-JS as a puppet. It takes the WebSocket that Node has (22 and later), else that of `ws`, as here. */
import { readFileSync } from "node:fs";
import nacl from "tweetnacl";
import { WebSocket as WsWebSocket } from "ws";

let certificates;
globalThis.WebSocket = class extends WsWebSocket {
  constructor(url, protocols) {
    super(url, protocols, certificates);
  }
};
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

/** Where a URL leads, in Autobahn-JS's words; its RawSocket speaks JSON only. */
const transport = (url, encoding) => {
  const { protocol, hostname, port, pathname } = new URL(url);
  if (protocol === "unix:") return { transports: [{ type: "rawsocket", path: pathname }] };
  if (protocol === "rs:") return { transports: [{ type: "rawsocket", host: hostname, port: Number(port) }] };
  return { url, serializers: [new SERIALIZERS[encoding]()] };
};

const logins = {
  cryptosign: (seed) => {
    const key = nacl.sign.keyPair.fromSeed(Buffer.from(seed, "hex"));
    return {
      authextra: { pubkey: autobahn.auth_cryptosign.public_key(key), channel_binding: null },
      onchallenge: (session, method, extra) => autobahn.auth_cryptosign.sign_challenge(key, extra),
    };
  },
  ticket: (ticket) => ({ onchallenge: () => ticket }),
  wampcra: (secret) => ({
    onchallenge: (session, method, { challenge, salt, iterations, keylen }) =>
      autobahn.auth_cra.sign(
        salt ? autobahn.auth_cra.derive_key(secret, salt, iterations, keylen) : secret,
        challenge,
      ),
  }),
  tls: () => ({}),
};
const loggingIn = ({ method, authid, secret }) => ({ authmethods: [method], authid, ...logins[method](secret) });

await obey(
  {
    open: ({ session, url, realm, login, tls }) =>
      new Promise((resolve, reject) => {
        certificates = tls && {
          ca: readFileSync(tls.ca),
          cert: readFileSync(tls.certificate),
          key: readFileSync(tls.certificate),
        };
        const connection = new autobahn.Connection({
          ...transport(url, session.split("-")[0]),
          realm,
          ...(login && loggingIn(login)),
          max_retries: 0,
          on_user_error: () => {},
        });
        connections[session] = connection;
        connection.onopen = (opened, details) => {
          sessions[session] = opened;
          const { roles, authid, authrole } = details;
          resolve({ roles: Object.keys(roles), authid, authrole });
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
