/**
 * Files with calls. A File or Blob among the arguments of a sealed call goes ahead of it, in pieces; a file that a call
 * gives is a `LimenFile`, which is fetched when it is asked for.
 * @module
 */
import { LimenError } from "./exc.js";

/** Bytes of a piece: in base64, with what is round it, a frame stays near 256 KiB. */
const PIECE = 180 * 1024;
/** Pieces under way at once. */
const WINDOW = 4;
/** Types in which nothing runs: a blob: URL of any other would be a page of this site. */
const INERT = /^(image\/(?!svg)|audio\/|video\/|application\/pdf$|text\/plain$)/;

/** @typedef {(uri: string, args: any[]) => Promise<any>} Ask a sealed call */

/** Where a value has the tagged tree that it travels as, if it has one; the same in all files that a page loads. */
export const TRAVELS = Symbol.for("limen.travels");
/** A bundle that reads no files is without their classes. @param {object} value @param {() => any} get */
const travels = (value, get) => Object.defineProperty(value, TRAVELS, { get });

/** What stands for a file that was sent ahead. */
export class Sent {
  /** @param {string} id */
  constructor(id) {
    this.id = id;
    travels(this, () => ({ $upload: id }));
  }
}

/** A file that a call gave. It waits on the server for some minutes. */
export class LimenFile {
  /** @type {Ask | undefined} */ #ask;
  #base = "";
  /** @type {Blob | undefined} */ #blob;
  #id;

  /**
   * @param {{id?: string, filename: string, content_type: string, size: number}} about
   * @param {Blob} [blob] its content, if that is here
   */
  constructor({ id, filename, content_type, size }, blob) {
    this.#id = id;
    /** For people to see. */ this.filename = filename;
    this.content_type = content_type;
    /** In bytes. */ this.size = size;
    this.#blob = blob;
    travels(this, () => this.facts && { $file: this.facts });
  }

  /** As it travels; nothing for one that is here already. */
  get facts() {
    const { filename, content_type, size } = this;
    return this.#id ? { id: this.#id, filename, content_type, size } : undefined;
  }

  /** Whom to ask for it, and what links are relative to. @param {Ask} ask @param {string} base */
  bind(ask, base) {
    this.#ask = ask;
    this.#base = base;
  }

  /** @returns {AsyncGenerator<Uint8Array<ArrayBuffer>, void>} */
  async *#pieces() {
    if (this.#blob) return yield new Uint8Array(await this.#blob.arrayBuffer());
    /** @type {Promise<any>[]} */ const underWay = [];
    let asked = 0;
    while (asked < this.size || underWay.length) {
      for (; asked < this.size && underWay.length < WINDOW; asked += PIECE) {
        const piece = this.#sealed("limen.file.read", asked, Math.min(PIECE, this.size - asked));
        piece.catch(() => {}); // heard of in its turn
        underWay.push(piece);
      }
      const piece = await underWay.shift();
      if (!piece.length) throw new LimenError("OutcomeUnknown", ["The file became shorter while it was read."]);
      yield piece;
    }
  }

  /** @param {string} uri @param {...any} args @returns {Promise<any>} */
  async #sealed(uri, ...args) {
    if (!this.#ask) throw new LimenError("InvalidCall", ["A link is for what came sealed; this came in the open."]);
    return this.#ask(uri, [this.#id, ...args]);
  }

  /**
   * All of it. Its type is that of the file if nothing can run in it, else bytes: no blob: URL of it is a page.
   * @returns {Promise<Blob>}
   */
  async blob() {
    const parts = [];
    for await (const piece of this.#pieces()) parts.push(piece);
    return new Blob(parts, { type: INERT.test(this.content_type) ? this.content_type : "application/octet-stream" });
  }

  /** Its pieces, fetched as they are read. @returns {ReadableStream<Uint8Array<ArrayBuffer>>} */
  stream() {
    const pieces = this.#pieces();
    return new ReadableStream(
      {
        pull: async (to) => {
          const { done, value } = await pieces.next();
          if (done) to.close();
          else to.enqueue(value);
        },
        cancel: async () => {
          await pieces.return();
        },
      },
      { highWaterMark: 0 },
    );
  }

  /** Saves it where the browser saves things. @returns {Promise<void>} */
  async save() {
    const url = URL.createObjectURL(await this.blob());
    Object.assign(document.createElement("a"), { href: url, download: this.filename }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  }

  /**
   * A URL by which anybody may fetch it once, within 30 seconds.
   * @param {{inline?: boolean}} [options] *inline*: a browser may show it, if nothing can run in it
   * @returns {Promise<string>}
   */
  async link({ inline = false } = {}) {
    return new URL((await this.#sealed("limen.file.link", inline)).slice(1), this.#base).href;
  }
}

/**
 * @template {Promise<any>} P
 * @param {P} call
 * @param {Ask} ask
 * @param {string} base
 * @returns {P} the same; a file that it gives knows whom to ask
 */
export function bound(call, ask, base) {
  call.then((value) => value instanceof LimenFile && value.bind(ask, base)).catch(() => {}); // whoever waits hears of it
  return call;
}

/** @param {unknown} value */
const isFile = (value) => typeof Blob === "function" && value instanceof Blob;

/** Whether files stand among the arguments. @param {any[]} args @param {Record<string, any>} kwargs */
export const holds = (args, kwargs) =>
  [...args, ...Object.values(kwargs)].some((value) => (Array.isArray(value) ? value.some(isFile) : isFile(value)));

/**
 * The arguments with files sent ahead, and what stands for them in their place.
 * @param {Ask} ask
 * @param {any[]} args
 * @param {Record<string, any>} kwargs
 * @param {{signal?: AbortSignal, uploading?: (sent: number, size: number) => void}} options
 * @returns {Promise<[any[], Record<string, any>]>}
 */
export async function ahead(ask, args, kwargs, { signal, uploading = () => {} }) {
  const values = [...args, ...Object.values(kwargs)].flat();
  const size = values.reduce((sum, value) => sum + (isFile(value) ? value.size : 0), 0);
  let sent = 0;
  /** @type {string[]} */ const ids = [];
  /** @param {any} value @returns {Promise<any>} */
  const one = async (value) => {
    if (!isFile(value)) return value;
    const id = await ask("limen.upload.begin", [value.name ?? "", value.type, value.size]);
    ids.push(id);
    await pieces(ask, id, value, signal, (bytes) => uploading((sent += bytes), size));
    return new Sent(id);
  };
  /** @param {any} value */
  const some = async (value) => {
    if (!Array.isArray(value) || !value.some(isFile)) return one(value);
    const all = [];
    for (const item of value) all.push(await one(item));
    return all;
  };
  try {
    const inOrder = [];
    for (const value of args) inOrder.push(await some(value));
    /** @type {Record<string, any>} */ const byName = {};
    for (const [name, value] of Object.entries(kwargs)) byName[name] = await some(value);
    return [inOrder, byName];
  } catch (error) {
    for (const id of ids) ask("limen.upload.drop", [id]).catch(() => {}); // it goes by itself if nobody can be told
    throw error;
  }
}

/**
 * @param {Ask} ask
 * @param {string} id
 * @param {Blob} blob
 * @param {AbortSignal | undefined} signal
 * @param {(bytes: number) => void} done
 */
async function pieces(ask, id, blob, signal, done) {
  /** @type {Promise<number>[]} */ const underWay = [];
  for (let at = 0; at < blob.size || underWay.length;) {
    if (signal?.aborted) throw new LimenError("Canceled");
    if (at < blob.size && underWay.length < WINDOW) {
      const data = new Uint8Array(await blob.slice(at, at + PIECE).arrayBuffer());
      const written = ask("limen.upload.write", [id, at, data]).then(() => data.length);
      written.catch(() => {}); // heard of in its turn
      underWay.push(written);
      at += data.length;
    } else {
      done(/** @type {number} */ (await underWay.shift()));
    }
  }
}

/**
 * What a plain call with files sends: one file in order is the whole body, files by name are a form.
 * @param {URL} url
 * @param {any[]} args
 * @param {Record<string, any>} kwargs
 * @returns {{body: BodyInit, headers: Record<string, string>}}
 */
export function form(url, args, kwargs) {
  const [first, ...others] = args;
  if (args.length && (others.length || !isFile(first) || holds([], kwargs)))
    throw new LimenError("InvalidCall", ["Over plain HTTP files go by name, or one alone in order."]);
  const fields = args.length ? url.searchParams : new FormData();
  for (const [name, value] of Object.entries(kwargs))
    for (const item of Array.isArray(value) ? value : [value]) {
      if (typeof item === "object" && !isFile(item))
        throw new LimenError("InvalidCall", [`${name}: beside a file plain HTTP takes texts and numbers only.`]);
      if (item !== undefined) fields.append(name, isFile(item) ? item : String(item));
    }
  if (!args.length) return { body: /** @type {FormData} */ (fields), headers: {} };
  const named = `attachment; filename*=UTF-8''${encodeURIComponent(first.name ?? "")}`;
  const odd = /^(application\/(limen\+)?json|multipart\/|application\/x-www-form-urlencoded)/.test(first.type);
  const type = odd ? "" : first.type; // these would be arguments
  return { body: first, headers: { "Content-Type": type || "application/octet-stream", "Content-Disposition": named } };
}

/** The file that a plain answer is. @param {Response} response @param {string} disposition */
export async function downloaded(response, disposition) {
  const blob = await response.blob();
  const [, escaped] = /filename\*=UTF-8''([^;]*)/.exec(disposition) ?? [];
  const [, plain = "file"] = /filename="([^"]*)"/.exec(disposition) ?? [];
  const filename = escaped ? decodeURIComponent(escaped) : plain;
  const content_type = (response.headers.get("Content-Type") ?? "").replace(/;.*/, "");
  return new LimenFile({ filename, content_type, size: blob.size }, blob);
}
