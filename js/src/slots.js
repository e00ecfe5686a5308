/**
 * Where a tab keeps the key that it comes back with: an X25519 private key that cannot be exported, in IndexedDB; its
 * id in
 * sessionStorage, so that a reload finds it and another tab does not; held under a lock, so that a duplicated tab,
 * whose sessionStorage is
 * a copy, does not take the session from the first.
 * @module
 */
import { hex, random } from "./bytes.js";

/**
 * @typedef {import("./seal/resume.js").Key & {user: string, until: number}} Slot *until*: when it is of no more use (ms
 * since 1970)
 */

const ITEM = "limen.slot";
const OUT = "limen.out";
const STORE = "slots";
/** After a reload the old page may hold the lock for a moment (ms). */
const PATIENCE = 2000;

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** @returns {Promise<IDBDatabase>} */
function open() {
  const request = indexedDB.open("limen", 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE);
  return done(request);
}

/**
 * Runs *work* in one transaction that is on disk when this resolves.
 * @template T
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => Promise<T>} work
 * @returns {Promise<T>}
 */
async function within(mode, work) {
  const db = await open();
  try {
    const transaction = db.transaction(STORE, mode, { durability: "strict" });
    const complete = new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error);
    });
    const result = await work(transaction.objectStore(STORE));
    await complete;
    return result;
  } finally {
    db.close();
  }
}

export class Slots {
  /** @type {Slot | undefined} the slot of this tab; also there where storage is not (private windows) */ slot;
  #id = "";
  /** @type {(() => void) | undefined} */ #unlock;

  /** True if this tab may have a slot to come back with; known at once. */
  get mayResume() {
    try {
      return Boolean(this.slot || sessionStorage.getItem(ITEM));
    } catch {
      return Boolean(this.slot); // storage is forbidden here
    }
  }

  /** Somebody has logged out in this tab: no other tab lets it in, until somebody logs in here. */
  get stayOut() {
    try {
      return sessionStorage.getItem(OUT) !== null;
    } catch {
      return true; // storage is forbidden here: a key could not be found again
    }
  }
  set stayOut(out) {
    try {
      if (out) sessionStorage.setItem(OUT, "1");
      else sessionStorage.removeItem(OUT);
    } catch {
      // storage is forbidden here
    }
  }

  /**
   * The slot of this tab, with its lock; undefined if there is none, or another tab holds it.
   * @returns {Promise<Slot | undefined>}
   */
  async take() {
    const id = this.#id || sessionStorage.getItem(ITEM);
    if (!id) return undefined;
    if (!(await this.#lock(id))) {
      sessionStorage.removeItem(ITEM); // this tab is a copy of one that lives
      this.slot = undefined;
      return undefined;
    }
    this.#id = id;
    this.slot ??= await within("readonly", (store) => done(store.get(id))).catch(() => undefined);
    if (!this.slot || this.slot.until < Date.now()) await this.drop();
    return this.slot;
  }

  /** Keeps a slot for this tab. Where nothing can be stored it lives as long as the page. @param {Slot} slot */
  async keep(slot) {
    await this.drop();
    this.stayOut = false;
    this.slot = slot;
    const id = hex(random(16));
    try {
      await this.#lock(id);
      await within("readwrite", async (store) => {
        const [keys, all] = await Promise.all([done(store.getAllKeys()), done(store.getAll())]);
        for (const [i, key] of keys.entries()) if (!(all[i].until >= Date.now())) store.delete(key);
        store.put(slot, id);
      });
      this.#id = id;
      sessionStorage.setItem(ITEM, id);
    } catch {
      this.release(); // a private window, a full disk: the page says nothing, a reload asks for the password
    }
  }

  /** Forgets the slot of this tab, here and on disk. */
  async drop() {
    const id = this.#id;
    this.slot = undefined;
    this.#id = "";
    try {
      sessionStorage.removeItem(ITEM);
      if (id) await within("readwrite", async (store) => void store.delete(id));
    } catch {
      // it could not be stored either
    }
    this.release();
  }

  /** Lets go of the slot but keeps it on disk: the page asks for the password, a reload tries again. */
  leave() {
    this.slot = undefined;
    this.release();
  }

  /** Lets go of the lock: another page of this tab may take the slot. */
  release() {
    this.#unlock?.();
    this.#unlock = undefined;
  }

  /** @param {string} id @returns {Promise<boolean>} */
  #lock(id) {
    if (this.#unlock || !navigator.locks) return Promise.resolve(true);
    return new Promise((resolve) => {
      navigator.locks
        .request(`limen.slot.${id}`, { signal: AbortSignal.timeout(PATIENCE) }, () => {
          resolve(true);
          return new Promise((unlock) => (this.#unlock = () => unlock(undefined)));
        })
        .catch(() => resolve(false));
    });
  }
}
