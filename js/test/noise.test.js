import assert from "node:assert/strict";
import { test } from "node:test";
import { KK, generate } from "../src/seal/noise.js";
import { bytes, vectors, x25519 } from "./support.js";

const pair = async (vector) => {
  const [is, ie, rs, re] = await Promise.all(
    ["init_static", "init_ephemeral", "resp_static", "resp_ephemeral"].map((name) => x25519(vector[name])),
  );
  return [
    await KK.start({
      role: "initiator",
      prologue: bytes(vector.init_prologue),
      own: is,
      peer: bytes(vector.init_remote_static),
      ephemeral: ie,
    }),
    await KK.start({
      role: "responder",
      prologue: bytes(vector.resp_prologue),
      own: rs,
      peer: bytes(vector.resp_remote_static),
      ephemeral: re,
    }),
  ];
};

for (const vector of vectors("noise").vectors) {
  test(`${vector.protocol_name} gives the vector's bytes, to the transport messages`, async () => {
    const [initiator, responder] = await pair(vector);
    const [first, second, ...transport] = vector.messages;
    for (const [from, to, message] of [
      [initiator, responder, first],
      [responder, initiator, second],
    ]) {
      const written = await from.write(bytes(message.payload));
      assert.deepEqual(written, bytes(message.ciphertext));
      assert.deepEqual(await to.read(written), bytes(message.payload));
    }
    assert.deepEqual(initiator.hash, bytes(vector.handshake_hash));
    assert.deepEqual(responder.hash, bytes(vector.handshake_hash));
    const keys = await initiator.split();
    assert.deepEqual(await responder.split(), keys);
    for (const [i, message] of transport.entries()) {
      const key = await crypto.subtle.importKey("raw", keys[i % 2], "AES-GCM", false, ["encrypt"]);
      const iv = new Uint8Array(12);
      iv[11] = Math.floor(i / 2);
      const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, bytes(message.payload));
      assert.deepEqual(new Uint8Array(sealed), bytes(message.ciphertext));
    }
  });
}

test("a message that was changed anywhere is refused, in both directions", async () => {
  const [vector] = vectors("noise").vectors;
  for (let at = 0; at < 48; at++) {
    const [initiator, responder] = await pair(vector);
    const first = await initiator.write();
    const changed = first.slice();
    changed[at] ^= 1;
    await assert.rejects(responder.read(changed));
    const [again, honest] = await pair(vector);
    await honest.read(await again.write());
    const second = await honest.write();
    second[at] ^= 0x80;
    await assert.rejects(again.read(second));
  }
});

test("another prologue, another peer, a short message are refused", async () => {
  const [own, peer, thief] = await Promise.all([generate(), generate(), generate()]);
  const initiator = () => KK.start({ role: "initiator", prologue: bytes("01"), own, peer: peer.public });
  const responder = (prologue, from, to = peer) =>
    KK.start({ role: "responder", prologue: bytes(prologue), own: to, peer: from });
  await (await responder("01", own.public)).read(await (await initiator()).write());
  await assert.rejects((await responder("02", own.public)).read(await (await initiator()).write()));
  await assert.rejects((await responder("01", thief.public)).read(await (await initiator()).write()));
  await assert.rejects((await responder("01", own.public, thief)).read(await (await initiator()).write()));
  await assert.rejects((await responder("01", own.public)).read(new Uint8Array(47)));
});
