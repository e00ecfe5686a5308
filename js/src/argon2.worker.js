/** The worker that stretches a password: bytes in; `{done}` now and then, `{output}` at the end. @module */
import { argon2id } from "@noble/hashes/argon2.js";

/** Argon2id's parameters are those of docs/security.md; they never come off the wire. */
const PARAMETERS = { t: 3, m: 65536, p: 4, dkLen: 64, version: 0x13 };

self.onmessage = ({ data }) => {
  try {
    const output = argon2id(data, new Uint8Array(16), {
      ...PARAMETERS,
      onProgress: (done) => self.postMessage({ done }),
    });
    self.postMessage({ output });
  } catch (error) {
    self.postMessage({ error: String(error) }); // e.g. 64 MiB are not to be had
  }
};
