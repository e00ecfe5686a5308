/** The transcripts of vectors/channel.json and login.json: what Python wrote, byte for byte. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { text } from "../src/bytes.js";
import { Channel } from "../src/seal/channel.js";
import { ClientLogin, NewPassword } from "../src/seal/login.js";
import { ClientResume } from "../src/seal/resume.js";
import * as opaque from "../src/seal/opaque.js";
import { argon2id } from "@noble/hashes/argon2.js";
import { bytes, vectors, x25519 } from "./support.js";

const base64 = (data) => "\0" + Buffer.from(data).toString("base64");
const KSF = {
  identity: (input) => input,
  argon2id: (input) => argon2id(input, new Uint8Array(16), { t: 3, m: 65536, p: 4, dkLen: 64 }),
};

/** Runs the frames of a transcript through the channels of both ends. */
async function frames(keys, { c2s, s2c }) {
  const client = new Channel({ ...keys, direction: "c2s" });
  const server = new Channel({ send: keys.receive, receive: keys.send, th: keys.th, direction: "s2c" });
  for (const [from, to, list] of [
    [client, server, c2s],
    [server, client, s2c],
  ]) {
    const sealed = await Promise.all(list.map((frame) => from.seal(bytes(frame.plaintext))));
    assert.deepEqual(
      sealed,
      list.map((frame) => bytes(frame.frame)),
    );
    const opened = await Promise.all(list.map((frame) => to.open(bytes(frame.frame))));
    assert.deepEqual(
      opened,
      list.map((frame) => bytes(frame.plaintext)),
    );
  }
}

for (const vector of vectors("channel").cases) {
  test(`channel: ${vector.name}`, () =>
    frames({ send: bytes(vector.chain_key_c2s), receive: bytes(vector.chain_key_s2c), th: bytes(vector.th) }, vector));
}

const { login, resume, ksf } = vectors("login");

for (const { name, input, output } of ksf) {
  test(`key stretching: ${name}`, () =>
    assert.deepEqual(KSF[name]?.(bytes(input)) ?? KSF.argon2id(bytes(input)), bytes(output)));
}

for (const [i, vector] of login.entries()) {
  test(`login ${i + 1}: ${vector.subprotocol}, ${vector.ksf}, ${vector.typed_user} becomes ${vector.user}`, async () => {
    const { entropy } = vector;
    const draws = [entropy.login_blind_entropy, entropy.client_nonce, entropy.client_keyshare_seed].map(bytes);
    const client = new ClientLogin({
      user: vector.typed_user,
      password: vector.typed_password,
      domain: vector.domain,
      subprotocol: vector.subprotocol,
      stretch: KSF[vector.ksf] ?? KSF.argon2id,
      random: () => draws.shift(),
    });
    assert.deepEqual(client.hello(), { authid: vector.user, authextra: { ke1: base64(bytes(vector.ke1)) } });
    assert.deepEqual(await client.answer({ ke2: base64(bytes(vector.ke2)) }), { ke3: base64(bytes(vector.ke3)) });
    const keys = await client.keys({
      hello: bytes(vector.hello),
      challenge: bytes(vector.challenge),
      authenticate: bytes(vector.authenticate),
    });
    assert.deepEqual(keys, {
      send: bytes(vector.chain_key_c2s),
      receive: bytes(vector.chain_key_s2c),
      th: bytes(vector.th),
    });
    await frames(keys, vector);
  });

  test(`login ${i + 1}: a wrong password, an unknown user and a false server are InvalidCredential`, async () => {
    const client = () =>
      new ClientLogin({
        user: vector.user,
        password: "another",
        domain: vector.domain,
        subprotocol: vector.subprotocol,
        stretch: (input) => input,
      });
    await assert.rejects(client().answer({ ke2: base64(bytes(vector.ke2)) }), { exc: "InvalidCredential" });
    await assert.rejects(client().answer({ ke2: base64(new Uint8Array(320)) }), { exc: "InvalidCredential" });
    await assert.rejects(client().answer({ ke2: base64(new Uint8Array(319)) }), SyntaxError);
    await assert.rejects(client().answer({}), SyntaxError);
  });
}

test("a new password makes the record that a server needs", async () => {
  const pair = opaque.deriveDiffieHellmanKeyPair(new Uint8Array(32));
  const server = new opaque.Server({ ...pair, oprfSeed: new Uint8Array(64) });
  const id = new Uint8Array(4);
  const fresh = new NewPassword({ user: "Ada", password: "new", domain: "localhost", stretch: (input) => input });
  const record = await fresh.finish(server.registrationResponse(fresh.request, id));
  assert.equal(record.length, 192);
});

for (const [i, vector] of resume.entries()) {
  test(`resume ${i + 1}: ${vector.subprotocol}, epoch ${vector.epoch}`, async () => {
    const own = await x25519(vector.client_private_key);
    const slot = { handle: bytes(vector.slot), key: bytes(vector.server_public_key), epoch: vector.epoch, own };
    const client = await ClientResume.start(slot, vector, await x25519(vector.client_ephemeral));
    assert.deepEqual(client.hello().authextra, { slot: base64(bytes(vector.slot)), kk1: base64(bytes(vector.kk1)) });
    assert.deepEqual(await client.answer({ kk2: base64(bytes(vector.kk2)) }), {});
    const keys = await client.keys({ hello: bytes(vector.hello), challenge: bytes(vector.challenge) });
    assert.deepEqual(keys, {
      send: bytes(vector.chain_key_c2s),
      receive: bytes(vector.chain_key_s2c),
      th: bytes(vector.th),
    });
    if (vector.subprotocol.endsWith("json")) assert.equal(text(bytes(vector.c2s[0].plaintext)), '[5,"",{}]');
    await frames(keys, vector);
  });
}
