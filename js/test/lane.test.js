/** The HTTP lane's keys: the vectors that Python runs as well, and that nothing opens out of its place. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { concat, unhex, hex } from "../src/bytes.js";
import { BadFrame } from "../src/seal/channel.js";
import { Answer, Lane } from "../src/seal/lane.js";
import { vectors } from "./support.js";

const file = vectors("lane");
const keys = () => ({
  send: unhex(file.chain_key_c2s),
  receive: unhex(file.chain_key_s2c),
  th: unhex(file.th),
});

test("requests and answers are those of the vectors, however they overlap", async () => {
  const lane = new Lane(keys());
  const all = await Promise.all(file.requests.map((row) => lane.seal(() => unhex(row.plaintext))));
  for (const [i, { number, frame, answer }] of all.reverse().entries()) {
    const row = file.requests[file.requests.length - 1 - i];
    assert.equal(number, row.n);
    assert.equal(hex(frame), row.frame);
    const parts = await answer.feed(concat(...row.answer.map((part) => unhex(part.frame))));
    assert.deepEqual(
      parts.map(hex),
      row.answer.map((part) => part.plaintext),
    );
    assert.equal(answer.whole, true);
  }
});

test("number 0 may be a login's, whose request is not sealed", async () => {
  const lane = new Lane(keys());
  const answer = await lane.begin();
  const [row, next] = file.requests;
  assert.deepEqual((await answer.feed(unhex(row.answer[0].frame))).map(hex), [row.answer[0].plaintext]);
  assert.equal(hex((await lane.seal(() => unhex(next.plaintext))).frame), next.frame);
});

const seed = unhex(file.requests[5].answer_seed);
const frames = file.requests[5].answer.map((part) => unhex(part.frame));
const plain = file.requests[5].answer.map((part) => part.plaintext);

test("an answer may come byte by byte, with signs of life between its frames", async () => {
  const answer = new Answer(seed, 5, unhex(file.th));
  const data = concat(...frames.flatMap((frame) => [new Uint8Array(4), frame]));
  const got = [];
  for (const byte of data) {
    assert.equal(answer.whole, false);
    got.push(...(await answer.feed(Uint8Array.of(byte))));
  }
  assert.deepEqual(got.map(hex), plain);
  assert.equal(answer.whole, true);
});

test("an answer that was cut is not whole, and can't be taken up as a fresh one", async () => {
  const answer = new Answer(seed, 5, unhex(file.th));
  assert.equal(answer.fresh, true);
  await answer.feed(concat(frames[0], frames[1].slice(0, 9)));
  assert.deepEqual([answer.whole, answer.fresh], [false, false]);
});

test("an answer with any byte changed, or in another order, or another's, does not open", async () => {
  const whole = concat(...frames);
  const marked = frames[0].slice();
  marked[0] |= 0x80;
  const unmarked = frames[2].slice();
  unmarked[0] &= 0x7f;
  const wrong = [
    concat(frames[1], frames[0]),
    concat(frames[0], frames[0]),
    marked,
    concat(frames[0], frames[1], unmarked),
    concat(whole, frames[2]),
    concat(whole, Uint8Array.of(1)),
    unhex("80000000"),
    unhex("0000000573686f7274"),
  ];
  for (let i = 4; i < frames[0].length; i++) {
    const changed = frames[0].slice();
    changed[i] ^= 1;
    wrong.push(changed);
  }
  for (const data of wrong)
    await assert.rejects(new Answer(seed, 5, unhex(file.th)).feed(data), BadFrame, hex(data).slice(0, 80));
  await assert.rejects(new Answer(seed, 6, unhex(file.th)).feed(whole), BadFrame);
  await assert.rejects(new Answer(seed, 5, new Uint8Array(64)).feed(whole), BadFrame);
  await assert.rejects(new Answer(seed, 5, unhex(file.th), 20).feed(whole), BadFrame);
});
