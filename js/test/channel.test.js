/** The matrix: every frame that is not the next one of this very direction of this very session ends the channel. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BadFrame, Channel } from "../src/seal/channel.js";

const random = (size) => crypto.getRandomValues(new Uint8Array(size));
const session = () => ({ c2s: random(32), s2c: random(32), th: random(64) });
const client = ({ c2s, s2c, th }) => new Channel({ send: c2s, receive: s2c, th, direction: "c2s" });
const server = ({ c2s, s2c, th }) => new Channel({ send: s2c, receive: c2s, th, direction: "s2c" });
const END = { client, server };

/** A channel of *end* that has opened *count* honest frames, and those that follow. */
async function after(keys, end, count, frames) {
  const channel = END[end](keys);
  for (const frame of frames.slice(0, count)) await channel.open(frame);
  return channel;
}
const sealed = async (keys, end, count, size = 20) => {
  const channel = END[end](keys);
  return Promise.all(Array.from({ length: count }, () => channel.seal(random(size))));
};
let cases = 0;
const refused = async (channel, frame) => {
  cases++;
  await assert.rejects(channel.open(frame), BadFrame);
  return channel;
};

for (const [from, to] of [
  ["client", "server"],
  ["server", "client"],
]) {
  test(`${from} to ${to}: a frame with any bit changed does not open`, async () => {
    const keys = session();
    for (const size of [0, 1, 20, 300]) {
      const [frame] = await sealed(keys, from, 1, size);
      for (let bit = 0; bit < frame.length * 8; bit++) {
        const changed = frame.slice();
        changed[bit >> 3] ^= 1 << (bit & 7);
        await refused(END[to](keys), changed);
      }
    }
  });

  test(`${from} to ${to}: a frame cut or lengthened anywhere does not open`, async () => {
    const keys = session();
    const [frame] = await sealed(keys, from, 1, 300);
    for (let length = 0; length < frame.length; length++) {
      await refused(END[to](keys), frame.slice(0, length));
      await refused(END[to](keys), frame.slice(frame.length - length));
    }
    for (let more = 1; more <= 64; more++) await refused(END[to](keys), Uint8Array.of(...frame, ...random(more)));
  });

  test(`${from} to ${to}: only the next frame opens: no replay, no gap, no other order`, async () => {
    const keys = session();
    const frames = await sealed(keys, from, 24);
    for (let position = 0; position < frames.length; position++) {
      for (let other = 0; other < frames.length; other++) {
        const channel = await after(keys, to, position, frames);
        if (other === position) await channel.open(frames[other]);
        else await refused(channel, frames[other]);
      }
    }
  });

  test(`${from} to ${to}: reflected frames and those of other sessions, transcripts and keys do not open`, async () => {
    for (let i = 0; i < 100; i++) {
      const keys = session();
      const [own] = await sealed(keys, from, 1);
      await refused(END[from](keys), own); // sent back to whoever sealed it
      const [back] = await sealed(keys, to, 1);
      await refused(END[to](keys), back); // the other direction's
      await refused(END[to]({ ...keys, c2s: keys.s2c, s2c: keys.c2s }), own); // chain keys swapped
      await refused(END[to]({ ...keys, th: random(64) }), own); // another transcript
      await refused(END[to]({ ...keys, th: keys.th.slice(0, 63) }), own);
      await refused(END[to](session()), own);
    }
  });

  test(`${from} to ${to}: after one bad frame nothing opens any more, not even the right one`, async () => {
    for (let i = 0; i < 100; i++) {
      const keys = session();
      const frames = await sealed(keys, from, 3);
      const channel = await after(keys, to, 1, frames);
      await refused(channel, random(36));
      await refused(channel, frames[1]);
      await refused(channel, frames[2]);
    }
  });
}

test("the matrix has at least 10,000 cases", () => assert.ok(cases >= 10_000, `${cases} cases`));

test("overlapping calls keep their order, in both directions", async () => {
  const keys = session();
  const [a, b] = [client(keys), server(keys)];
  const plain = Array.from({ length: 200 }, (_, i) => random(i));
  assert.equal(a.sent, 0);
  const frames = plain.map((bytes) => a.seal(bytes));
  assert.equal(a.sent, 200);
  const opened = await Promise.all((await Promise.all(frames)).map((frame) => b.open(frame)));
  assert.deepEqual(opened, plain);
  assert.equal(b.received, 200);
});

test("the same words never give the same frame", async () => {
  const keys = session();
  const channel = client(keys);
  const frames = await Promise.all(Array.from({ length: 50 }, () => channel.seal(new Uint8Array(8))));
  assert.equal(new Set(frames.map((frame) => Buffer.from(frame).toString("hex"))).size, 50);
});
