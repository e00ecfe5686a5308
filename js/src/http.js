/** Plain calls: one POST each, readable by whoever carries it; for services with `safe=False`. @module */
import { LimenError, fromWire } from "./exc.js";
import { downloaded, form, holds } from "./files.js";
import { pathOf } from "./names.js";
import { tag, untag } from "./values.js";

const TYPE = "application/limen+json"; // no form can send it: another site's page would have to ask first

/**
 * @param {URL} base what the address is relative to
 * @param {string} name any spelling of an address
 * @param {any[]} args
 * @param {Record<string, any>} kwargs
 * @param {import("./calls.js").Options} [options]
 * @returns {Promise<any>}
 */
export async function call(base, name, args, kwargs, { signal, timeout } = {}) {
  const url = new URL(pathOf(name), base);
  const { body, headers } = holds(args, kwargs) ? form(url, args, kwargs) : values(args, kwargs);
  const clock = timeout ? AbortSignal.timeout(timeout * 1000) : undefined;
  const ended = [signal, clock].filter((signal) => signal !== undefined);
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { ...headers, Accept: TYPE },
      body,
      signal: ended.length > 1 ? either(ended) : (ended[0] ?? null),
    });
    const media = response.headers.get("Content-Type") ?? "";
    const disposition = response.headers.get("Content-Disposition");
    if (response.ok && disposition && !media.startsWith(TYPE)) return await downloaded(response, disposition);
    const text = await response.text();
    const value = media.startsWith(TYPE)
      ? untag(JSON.parse(text))
      : media.startsWith("application/json")
        ? JSON.parse(text)
        : text;
    if (response.ok) return value;
    throw fromWire("", value, [`${response.status} ${response.statusText}`]);
  } catch (error) {
    if (error instanceof LimenError) throw error;
    if (clock?.aborted) throw new LimenError("Timeout");
    if (signal?.aborted) throw new LimenError("Canceled");
    throw new LimenError("ConnectionLost", [`The server did not answer: ${/** @type {Error} */ (error).message}.`]);
  }
}

/** @param {any[]} args @param {Record<string, any>} kwargs @returns {{body: string, headers: Record<string, string>}} */
function values(args, kwargs) {
  const named = Object.entries(kwargs).map(([key, value]) => [key, tag(value, `$.${key}`, 1)]);
  return {
    body: JSON.stringify({ $call: [tag(args), Object.fromEntries(named)] }),
    headers: { "Content-Type": TYPE },
  };
}

/** @param {AbortSignal[]} signals */
function either(signals) {
  const both = new AbortController();
  for (const signal of signals) {
    if (signal.aborted) both.abort();
    signal.addEventListener("abort", () => both.abort(), { once: true });
  }
  return both.signal;
}
