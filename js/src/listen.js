/** What a page hears without a login: topics that are for everybody, as Server-Sent Events. @module */
import { safely } from "./events.js";
import { LimenError } from "./exc.js";

const CLOSED = 2; // EventSource.CLOSED

/**
 * Listens until it is undone, over lost connections too.
 * @param {URL} base of the server's addresses
 * @param {string} uri of the topic
 * @param {import("./subscriptions.js").Handler} handler
 * @param {() => void} missed told when something may have been missed
 * @returns {Promise<() => void>} undo; rejects with Unauthorized for a topic that is not there, or not for everybody
 */
export const listen = (base, uri, handler, missed) =>
  new Promise((resolve, reject) => {
    const source = new EventSource(new URL(`limen/events/${encodeURIComponent(uri)}`, base));
    source.addEventListener(uri, ({ data }) => {
      const { args, kwargs } = JSON.parse(data);
      safely(() => handler(...args, ...(Object.keys(kwargs).length ? [kwargs] : [])));
    });
    source.addEventListener("missed", missed);
    source.onopen = () => resolve(() => source.close());
    source.onerror = () => {
      if (source.readyState === CLOSED) reject(new LimenError("Unauthorized", ["You must log in to listen to this."]));
    };
  });
