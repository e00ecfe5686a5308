import * as oracle from "@serenity-kit/opaque";
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { utf8 } from "../src/bytes.js";
import {
  ClientLogin,
  ClientRegistration,
  OpaqueError,
  Server,
  blindFrom,
  deriveDiffieHellmanKeyPair,
  oprfBlind,
  oprfFinalize,
} from "../src/seal/opaque.js";
import { allBytes, bytes, vectors } from "./support.js";

const { oprf, opaque } = vectors("opaque");
const identity = (input) => input;
const random = (size) => crypto.getRandomValues(new Uint8Array(size));

for (const suite of oprf) {
  for (const vector of suite.vectors) {
    test(`RFC 9497: the OPRF of ${vector.Input.slice(0, 8)}`, () => {
      const { Input, Blind, BlindedElement, EvaluationElement, Output } = allBytes(vector);
      assert.deepEqual(oprfBlind(Input, Blind), BlindedElement);
      assert.deepEqual(oprfFinalize(Input, Blind, EvaluationElement), Output);
    });
  }
}

const serverOf = (inputs) =>
  new Server({
    privateKey: inputs.server_private_key,
    publicKey: inputs.server_public_key,
    oprfSeed: inputs.oprf_seed,
  });
const identitiesOf = (inputs) => ({ client: inputs.client_identity, server: inputs.server_identity });

for (const [i, vector] of opaque.filter((vector) => vector.config.Fake === "False").entries()) {
  const inputs = allBytes(vector.inputs);
  const outputs = allBytes(vector.outputs);
  const identities = identitiesOf(inputs);
  const context = bytes(vector.config.Context);

  test(`RFC 9807: registration ${i + 1}, both ends`, async () => {
    const client = new ClientRegistration({ password: inputs.password, blind: inputs.blind_registration });
    assert.deepEqual(client.request, outputs.registration_request);
    const response = serverOf(inputs).registrationResponse(client.request, inputs.credential_identifier);
    assert.deepEqual(response, outputs.registration_response);
    const { record, exportKey } = await client.finish(response, {
      stretch: identity,
      envelopeNonce: inputs.envelope_nonce,
      identities,
    });
    assert.deepEqual(record, outputs.registration_upload);
    assert.deepEqual(exportKey, outputs.export_key);
  });

  test(`RFC 9807: login ${i + 1}, both ends`, async () => {
    const client = new ClientLogin({
      password: inputs.password,
      blind: inputs.blind_login,
      nonce: inputs.client_nonce,
      keyshareSeed: inputs.client_keyshare_seed,
    });
    assert.deepEqual(client.ke1, outputs.KE1);
    const server = serverOf(inputs).login({
      ke1: client.ke1,
      record: outputs.registration_upload,
      credentialIdentifier: inputs.credential_identifier,
      context,
      identities,
      maskingNonce: inputs.masking_nonce,
      nonce: inputs.server_nonce,
      keyshareSeed: inputs.server_keyshare_seed,
    });
    assert.deepEqual(server.ke2, outputs.KE2);
    const { ke3, sessionKey, exportKey } = await client.finish(server.ke2, { stretch: identity, context, identities });
    assert.deepEqual(ke3, outputs.KE3);
    assert.deepEqual(sessionKey, outputs.session_key);
    assert.deepEqual(exportKey, outputs.export_key);
    server.finish(ke3);
    assert.deepEqual(server.sessionKey, outputs.session_key);
  });

  test(`login ${i + 1}: KE2 with a bit changed anywhere is refused`, async () => {
    for (let at = 0; at < 320; at += 7) {
      const client = new ClientLogin({
        password: inputs.password,
        blind: inputs.blind_login,
        nonce: inputs.client_nonce,
        keyshareSeed: inputs.client_keyshare_seed,
      });
      const ke2 = outputs.KE2.slice();
      ke2[at] ^= 1 << (at % 8);
      await assert.rejects(client.finish(ke2, { stretch: identity, context, identities }), OpaqueError);
    }
  });
}

test("RFC 9807: the answer for an unknown user", () => {
  const vector = opaque.find((vector) => vector.config.Fake === "True");
  const inputs = allBytes(vector.inputs);
  const record = Uint8Array.from([...inputs.client_public_key, ...inputs.masking_key, ...new Uint8Array(96)]);
  const { ke2 } = serverOf(inputs).login({
    ke1: inputs.KE1,
    record,
    credentialIdentifier: inputs.credential_identifier,
    context: bytes(vector.config.Context),
    identities: identitiesOf(inputs),
    maskingNonce: inputs.masking_nonce,
    nonce: inputs.server_nonce,
    keyshareSeed: inputs.server_keyshare_seed,
  });
  assert.deepEqual(ke2, bytes(vector.outputs.KE2));
});

// -- an independent implementation: opaque-ke, by way of @serenity-kit/opaque (it can't set a context) ---------------
const base64 = (data) => Buffer.from(data).toString("base64url");
const unbase64 = (text) => Uint8Array.from(Buffer.from(text, "base64url"));
const NO_CONTEXT = new Uint8Array(0);
const identities = { client: utf8("ada"), server: utf8("localhost") };
const oracleIdentities = { client: "ada", server: "localhost" };
const PASSWORD = "correct horse ÄÖ";
// the oracle's choice of Argon2id parameters must be ours: RFC 9106's second, 64 MiB
const CUSTOM = { "argon2id-custom": { iterations: 3, memory: 65536, parallelism: 4 } };
let stretch;
before(async () => {
  await oracle.ready;
  const { argon2id } = await import("@noble/hashes/argon2.js");
  const known = new Map(); // the same password stretches once
  stretch = (input) => {
    const key = base64(input);
    if (!known.has(key)) known.set(key, argon2id(input, new Uint8Array(16), { t: 3, m: 65536, p: 4, dkLen: 64 }));
    return known.get(key);
  };
});

const registerWith = async (server, id, blind = blindFrom(random(64)), password = PASSWORD) => {
  const client = new ClientRegistration({ password: utf8(password), blind });
  const { registrationResponse } = oracle.server.createRegistrationResponse({
    serverSetup: server,
    userIdentifier: id,
    registrationRequest: base64(client.request),
  });
  const { record } = await client.finish(unbase64(registrationResponse), {
    stretch,
    envelopeNonce: random(32),
    identities,
  });
  return base64(record);
};
const newLogin = (password = PASSWORD, blind = blindFrom(random(64))) =>
  new ClientLogin({ password: utf8(password), blind, nonce: random(32), keyshareSeed: random(32) });

test("our client registers and logs in at the oracle's server; both have one session key", async () => {
  const setup = oracle.server.createSetup();
  const registrationRecord = await registerWith(setup, "ada-id");
  const client = newLogin();
  const { loginResponse, serverLoginState } = oracle.server.startLogin({
    serverSetup: setup,
    userIdentifier: "ada-id",
    registrationRecord,
    startLoginRequest: base64(client.ke1),
    identifiers: oracleIdentities,
  });
  const { ke3, sessionKey } = await client.finish(unbase64(loginResponse), {
    stretch,
    context: NO_CONTEXT,
    identities,
  });
  const server = oracle.server.finishLogin({
    finishLoginRequest: base64(ke3),
    serverLoginState,
    identifiers: oracleIdentities,
  });
  assert.deepEqual(sessionKey, unbase64(server.sessionKey));
});

test("our client refuses the oracle's server for a wrong password and for an unknown user", async () => {
  const setup = oracle.server.createSetup();
  const registrationRecord = await registerWith(setup, "ada-id");
  for (const record of [registrationRecord, undefined]) {
    const client = newLogin("wrong");
    const { loginResponse } = oracle.server.startLogin({
      serverSetup: setup,
      userIdentifier: "ada-id",
      registrationRecord: record,
      startLoginRequest: base64(client.ke1),
      identifiers: oracleIdentities,
    });
    await assert.rejects(
      client.finish(unbase64(loginResponse), { stretch, context: NO_CONTEXT, identities }),
      OpaqueError,
    );
  }
});

test("the oracle's client registers and logs in at our server; both have one session key", async () => {
  const keys = deriveDiffieHellmanKeyPair(random(32));
  const server = new Server({ ...keys, oprfSeed: random(64) });
  const id = utf8("ada-id");
  const start = oracle.client.startRegistration({ password: PASSWORD });
  const { registrationRecord } = oracle.client.finishRegistration({
    password: PASSWORD,
    registrationResponse: base64(server.registrationResponse(unbase64(start.registrationRequest), id)),
    clientRegistrationState: start.clientRegistrationState,
    identifiers: oracleIdentities,
    keyStretching: CUSTOM,
  });
  const login = oracle.client.startLogin({ password: PASSWORD });
  const { ke2, sessionKey, finish } = server.login({
    ke1: unbase64(login.startLoginRequest),
    record: unbase64(registrationRecord),
    credentialIdentifier: id,
    context: NO_CONTEXT,
    identities,
    maskingNonce: random(32),
    nonce: random(32),
    keyshareSeed: random(32),
  });
  const done = oracle.client.finishLogin({
    password: PASSWORD,
    loginResponse: base64(ke2),
    clientLoginState: login.clientLoginState,
    identifiers: oracleIdentities,
    keyStretching: CUSTOM,
  });
  finish(unbase64(done.finishLoginRequest));
  assert.deepEqual(sessionKey, unbase64(done.sessionKey));
});
