/**
 * Sessions of an application, for its pages: the views of what the server has opened for this one.
 *
 *     import { View, start_session } from "/limen/application.mjs";
 *     import { Connection, call } from "/limen/node.mjs";
 *
 *     class Desktop extends View { … }
 *     await start_session(Connection.over(Limen), "shop", { views: { Desktop } });
 *
 * It stands on node.mjs: a View is a Node of that one.
 * @module
 */
export { Joined, start_session } from "./session/joined.js";
export { View } from "./session/view.js";
