/** Files with calls: sent ahead in pieces, given up, fetched in pieces. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LimenError } from "../src/exc.js";
import { LimenFile, Sent, ahead, bound, form, holds } from "../src/files.js";
import { tag, untag } from "../src/values.js";

const ID = "0".repeat(32);

/** A server's own procedures, in memory. */
function server({ fails = -1 } = {}) {
  const files = new Map();
  const asked = [];
  let written = 0;
  const ask = async (uri, args) => {
    asked.push(uri);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 3)); // answers come in any order
    if (uri === "limen.upload.begin") {
      const id = String(files.size).padStart(32, "0");
      files.set(id, { name: args[0], type: args[1], bytes: new Uint8Array(args[2]) });
      return id;
    }
    if (uri === "limen.upload.write") {
      if (written++ === fails) throw new LimenError("NoSpace");
      files.get(args[0]).bytes.set(args[2], args[1]);
      return args[1] + args[2].length;
    }
    if (uri === "limen.upload.drop") return files.delete(args[0]);
    if (uri === "limen.file.read") return files.get(args[0]).bytes.slice(args[1], args[1] + args[2]);
    return `/limen/link/${args[0]}${args[1]}`;
  };
  return { files, asked, ask };
}
const big = () => new File([Uint8Array.from({ length: 1_000_000 }, (_, i) => i % 251)], "a.bin", { type: "image/png" });

test("files go ahead in pieces, and what stands for them is a tag that no data can forge", async () => {
  const { files, ask, asked } = server();
  const told = [];
  const [args, kwargs] = await ahead(ask, [1, big()], { files: [new Blob(["xy"]), "text"], note: "n" }, {
    uploading: (sent, size) => told.push([sent, size]),
  });
  assert.deepEqual(tag(args), [1, { $upload: ID }]);
  assert.deepEqual(tag(kwargs.files), [{ $upload: ID.replace(/.$/, "1") }, "text"]);
  assert.deepEqual(tag({ $upload: ID }), { $$upload: ID });
  assert.deepEqual(files.get(ID).bytes, new Uint8Array(await big().arrayBuffer()));
  assert.deepEqual([files.get(ID).name, files.get(ID).type], ["a.bin", "image/png"]);
  assert.deepEqual(told.at(-1), [1_000_002, 1_000_002]);
  assert.ok(told.every(([sent], i) => i === 0 || sent > told[i - 1][0]));
  assert.equal(asked.filter((uri) => uri === "limen.upload.write").length, 7);
});

test("what fails or is given up on the way is dropped, all of it", async () => {
  const { files, ask } = server({ fails: 3 });
  await assert.rejects(ahead(ask, [new Blob(["a"]), big()], {}, {}), { exc: "NoSpace" });
  const given = server();
  const stop = new AbortController();
  const uploading = () => stop.abort();
  await assert.rejects(ahead(given.ask, [big()], {}, { signal: stop.signal, uploading }), { exc: "Canceled" });
  while (files.size || given.files.size) await new Promise((resolve) => setTimeout(resolve, 1));
});

test("a file that a call gave is fetched in order, and never becomes a page", async () => {
  const { ask, files } = server();
  await ahead(ask, [big()], {}, {});
  const about = { id: ID, filename: "page.html", content_type: "text/html", size: 1_000_000 };
  const file = await bound(Promise.resolve(untag({ $file: about })), ask, "https://a.example/x/");
  assert.ok(file instanceof LimenFile);
  const blob = await file.blob();
  assert.deepEqual(new Uint8Array(await blob.arrayBuffer()), files.get(ID).bytes);
  assert.equal(blob.type, "application/octet-stream");
  for (const [type, shown] of [["image/png", true], ["image/svg+xml", false], ["text/plain", true], ["application/pdf", true],
    ["application/xhtml+xml", false], ["text/xml", false], ["video/mp4", true], ["text/javascript", false]]) {
    const given = new LimenFile({ filename: "x", content_type: type, size: 0 }, new Blob(["x"]));
    assert.equal((await given.blob()).type === type, shown, type);
  }
  assert.equal(await file.link({ inline: true }), `https://a.example/x/limen/link/${ID}true`);
  let read = 0;
  for await (const piece of file.stream()) read += piece.length;
  assert.equal(read, 1_000_000);
});

test("a file that became shorter is an error, not a short file", async () => {
  const { ask, files } = server();
  await ahead(ask, [big()], {}, {});
  files.get(ID).bytes = new Uint8Array(500_000);
  const file = new LimenFile({ id: ID, filename: "a", content_type: "image/png", size: 1_000_000 });
  file.bind(ask, "https://a.example/");
  await assert.rejects(file.blob(), { exc: "OutcomeUnknown" });
  await assert.rejects(new LimenFile({ filename: "a", content_type: "", size: 1 }, new Blob(["x"])).link(), { exc: "InvalidCall" });
});

test("over plain HTTP one file alone is the body, files by name are a form", async () => {
  const url = new URL("https://a.example/put");
  const alone = form(url, [big()], { note: "n" });
  assert.deepEqual([alone.headers["Content-Type"], url.search], ["image/png", "?note=n"]);
  const json = form(url, [new File(["{}"], "ü.json", { type: "application/json" })], {});
  assert.deepEqual(json.headers, {
    "Content-Type": "application/octet-stream",
    "Content-Disposition": "attachment; filename*=UTF-8''%C3%BC.json",
  });
  const { body } = form(url, [], { file: big(), files: [new Blob(["a"]), new Blob(["b"])], note: 1 });
  assert.deepEqual([...body.keys()], ["file", "files", "files", "note"]);
  for (const [args, kwargs] of [[[big(), 1], {}], [[big()], { file: big() }], [[], { file: big(), note: { a: 1 } }]])
    assert.throws(() => form(url, args, kwargs), { exc: "InvalidCall" });
  assert.equal(holds([1, "x", null], { a: undefined, b: [1] }), false);
  assert.equal(new Sent(ID).id, ID);
});
