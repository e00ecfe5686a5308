/** What a page listens to: names and their handlers. Subscribing returns its undo. @module */

/** A handler of the page's that throws is the page's error, not ours. @param {() => void} work */
export function safely(work) {
  try {
    work();
  } catch (error) {
    if (typeof reportError === "function") reportError(error);
    else console.error(error);
  }
}

/** An error that nobody waits for is the page's. @param {unknown} error */
export const report = (error) =>
  safely(() => {
    throw error;
  });

/** Does all, one after the other; what one rejects with keeps no other back. @param {(() => Promise<unknown>)[]} works */
export async function inTurn(works) {
  for (const work of works) await work().catch((error) => console.warn("Limen:", error));
}

export class Events {
  /** @type {Map<string, Set<(detail: any) => void>>} */ #handlers = new Map();

  /** @param {string} name @param {(detail: any) => void} handler @returns {() => void} undo */
  on(name, handler) {
    const handlers = this.#handlers.get(name) ?? new Set();
    this.#handlers.set(name, handlers.add(handler));
    return () => void handlers.delete(handler);
  }

  /** @param {string} name @param {any} [detail] */
  emit(name, detail) {
    for (const handler of [...(this.#handlers.get(name) ?? [])]) safely(() => handler(detail));
  }
}
