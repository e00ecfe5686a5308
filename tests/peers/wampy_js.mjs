/** Wampy as a puppet. */
import { readFileSync } from "node:fs";
import nacl from "tweetnacl";
import { Wampy } from "wampy";
import { CborSerializer } from "wampy/CborSerializer.js";
import { JsonSerializer } from "wampy/JsonSerializer.js";
import { sign } from "wampy/cryptosign.js";
import { sign as answer } from "wampy/wampcra.js";
import { MsgpackSerializer } from "wampy/MsgpackSerializer.js";
import { WebSocket } from "ws";
import { hear, obey } from "./lines.mjs";

const SERIALIZERS = { json: JsonSerializer, msgpack: MsgpackSerializer, cbor: CborSerializer };
const sessions = {};
const kept = {};

const both = ({ argsList, argsDict }) => [argsList ?? [], argsDict ?? {}];

const procedures = {
  echo: ({ argsList = [], argsDict = {} }) => ({ argsList, argsDict }),
  fail: ({ argsList }) => {
    throw { error: "com.example.broken", argsList, argsDict: { n: 7 } };
  },
  stream: ({ argsList, result_handler: yields }) => {
    for (let n = 0; n < argsList[0]; n++) yields({ argsList: [n], options: { progress: true } });
    return { argsList: ["end"] };
  },
  hang: () => new Promise(() => {}),
};

const logins = {
  cryptosign: (seed) => {
    const { publicKey } = nacl.sign.keyPair.fromSeed(Buffer.from(seed, "hex"));
    return {
      authextra: { pubkey: Buffer.from(publicKey).toString("hex"), channel_binding: null },
      authPlugins: { cryptosign: sign(seed) },
    };
  },
  ticket: (ticket) => ({ authPlugins: { ticket: () => ticket } }),
  wampcra: (secret) => ({ authPlugins: { wampcra: answer(secret) } }),
  tls: () => ({ authPlugins: { tls: () => "" } }),
};
const loggingIn = ({ method, authid, secret }) => ({
  authid,
  authmethods: [method],
  authMode: "auto",
  ...logins[method](secret),
});

/** The WebSocket that shows a certificate: wampy's own options for that are of another package than `ws`. */
const showing = (tls) =>
  tls == null
    ? WebSocket
    : class extends WebSocket {
        constructor(url, protocols) {
          const pem = readFileSync(tls.certificate);
          super(url, protocols, { ca: readFileSync(tls.ca), cert: pem, key: pem });
        }
      };

await obey(
  {
    open: async ({ session, url, realm, login, tls }) => {
      const wampy = (sessions[session] = new Wampy(url, {
        realm,
        ws: showing(tls),
        serializer: new SERIALIZERS[session.split("-")[0]](),
        ...(login && loggingIn(login)),
        autoReconnect: false,
        onClose: () => hear(session, { closed: null }),
      }));
      const { roles, authid, authrole } = await wampy.connect();
      return { roles: Object.keys(roles), authid, authrole };
    },
    register: ({ session, uri, kind }) => sessions[session].register(uri, procedures[kind]).then(() => null),
    unregister: ({ session, uri }) => sessions[session].unregister(uri).then(() => null),
    call: async ({ session, uri, args, kwargs, progress, cancel_after: cancelAfter }) => {
      const wampy = sessions[session];
      const steps = [];
      let request;
      const call = wampy.call(
        uri,
        { argsList: args, argsDict: kwargs },
        progress && {
          progress_callback: (step) => {
            steps.push(both(step)[0]);
            if (steps.length === cancelAfter) wampy.cancel(request, { mode: "killnowait" });
          },
        },
      );
      request = wampy.getOpStatus().reqId;
      const result = both(await call);
      return progress ? [...result, steps] : result;
    },
    subscribe: async ({ session, topic }) => {
      kept[session + topic] = await sessions[session].subscribe(topic, ({ argsList, argsDict }) =>
        hear(session, { topic, args: argsList ?? [], kwargs: argsDict ?? {} }),
      );
    },
    unsubscribe: ({ session, topic }) =>
      sessions[session].unsubscribe(kept[session + topic].subscriptionKey).then(() => null),
    publish: ({ session, topic, args, kwargs }) =>
      sessions[session].publish(topic, { argsList: args, argsDict: kwargs }).then(() => null),
    close: ({ session }) => sessions[session].disconnect().then(() => null),
  },
  (error) => ({ error: error.errorUri ?? error.error ?? String(error), args: error.argsList, kwargs: error.argsDict }),
);
