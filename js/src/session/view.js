/**
 * View: the page's half of a context. On the server stands its controller.
 *
 *     class Desktop extends View {
 *       static logout = call();
 *       logout() {
 *         location.reload();
 *       }
 *     }
 *     await start_session(connection, "shop", { views: { Desktop } });
 *
 * @module
 */
import { Node } from "../node.js";

export class View extends Node {
  /** What the server says of it. @type {Record<string, any>} */
  options = {};

  /** The context is over. Does nothing, unless a subclass says what. @returns {unknown} */
  closed() {
    return undefined;
  }
}
