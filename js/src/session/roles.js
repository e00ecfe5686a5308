/**
 * Roles: `#view`, `#controller`, as both sides of a context find them.
 *
 *     shop.sx7….desktop                  the context
 *     shop.sx7….desktop.controller       #controller
 *     shop.sx7….client.desktop           #view: what the page has stands below `client`
 *     shop.sx7…                          #session
 *
 * @module
 */
/** @typedef {import("../path.js").Path} Path */

/** The name below which a page binds what it has of a session; no context has it. */
export const CLIENT = "client";
const VIEW = "view";

/**
 * A resolver of the roles of the context *name* in the session at *place*. *roles*: by role what stands below the context;
 * what begins with `view` is, or is below, the page's view.
 * @param {Path} place
 * @param {string} name
 * @param {Record<string, string>} roles
 * @returns {import("../path.js").Resolver}
 */
export const Roles = (place, name, roles) => (role) => {
  if (role === "session") return place;
  if (role === "context") return place.add(name);
  const found = Object.hasOwn(roles, role) ? roles[role] : undefined;
  if (found === undefined) return null;
  const [side, ...below] = found.split(".");
  return side === VIEW ? place.add([CLIENT, name, ...below].join(".")) : place.add(`${name}.${found}`);
};
