/**
 * Elements, made of texts only: nothing that a service says is ever read as HTML.
 * @module
 */

/**
 * @param {string} name
 * @param {Record<string, any>} [attributes] "on…" are listeners; false and undefined are left out
 * @param {...(Node | string | null | undefined)} children
 */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== undefined) made.setAttribute(key, value);
  }
  return fill(made, ...children);
}

/** Puts *children* in the place of what is in *element*. */
export function fill(element, ...children) {
  element.replaceChildren(...children.filter((child) => child !== null && child !== undefined));
  return element;
}
