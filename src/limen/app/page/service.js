/**
 * One service: what it says of itself, and a form to try it.
 * @module
 */
import { LimenFile, apply, safe_apply } from "../limen.mjs";
import { el, fill } from "./element.js";
import { Field } from "./field.js";

/** @returns {(Node | null)[]} */
export function show(service, { schemas, types }) {
  const { name, summary, body, safe, roles, streams, timeout, raises, result, parameters } = service;
  const signs = [
    el("li", { class: safe ? "safe" : "" }, safe ? "sealed: log in" : `plain HTTP: ${service.methods.join(", ")}`),
    roles.length ? el("li", {}, `role ${roles.join(" or ")}`) : null,
    streams ? el("li", {}, "streams") : null,
    timeout ? el("li", {}, `within ${timeout} s`) : null,
    ...raises.map((error) => el("li", {}, error)),
  ];
  return [
    el("h2", {}, name),
    el("ul", { class: "signs" }, ...signs),
    summary ? el("p", {}, summary) : null,
    body ? el("p", { class: "body" }, body) : null,
    el("pre", { "aria-label": "Signature" }, signature(name, parameters, result, streams)),
    meant(signature(name, parameters, result, streams), types),
    form(service, schemas),
  ];
}

/** The types that *text* speaks of, and those that they speak of. */
function meant(text, types) {
  const found = new Set();
  const look = (words) => {
    for (const [word] of words.matchAll(/[A-Za-z_]\w*/g)) {
      if (!Object.hasOwn(types, word) || found.has(word)) continue;
      found.add(word);
      look(types[word]);
    }
  };
  look(text);
  if (!found.size) return null;
  const told = [...found].map((name) => `${name} = ${types[name]}`).join("\n\n");
  return el("details", {}, el("summary", {}, "Types"), el("pre", {}, told));
}

function signature(name, parameters, result, streams) {
  const told = parameters.map(({ name, how, type, required, default: value }) => {
    const stars = { rest: "…", "rest named": "……" }[how] ?? "";
    const otherwise = required || stars ? "" : value === undefined ? " = …" : ` = ${JSON.stringify(value)}`;
    return `${stars}${name}: ${type}${otherwise}`;
  });
  const inside = told.join(", ").length > 60 ? `\n  ${told.join(",\n  ")}\n` : told.join(", ");
  return `${name}(${inside}) → ${streams ? `stream of ${result}` : result}`;
}

function form(service, schemas) {
  const fields = service.parameters.map((parameter) => new Field(parameter, schemas));
  const output = el("pre", { "aria-label": "Answer", "aria-live": "polite", hidden: true });
  const note = el("span", { class: "faint" });
  const send = el("button", {}, "Call");
  const stop = el("button", { type: "button", class: "quiet", hidden: true }, "Cancel");
  const line = el("pre", { "aria-label": "The same by curl", hidden: service.safe });
  const made = el(
    "form",
    { class: "card", "aria-label": `Try ${service.name}`, novalidate: true },
    el("h3", {}, "Try it"),
    ...fields.map((field) => field.element),
    el("div", { class: "actions" }, send, stop, note),
  );
  const asked = () => {
    const args = fields.filter((field) => field.inOrder).flatMap((field) => field.values());
    const kwargs = Object.assign({}, ...fields.filter((field) => !field.inOrder).map((field) => field.named()));
    return [args, kwargs];
  };
  const retell = () => {
    try {
      line.textContent = curl(service, ...asked());
    } catch {
      line.textContent = ""; // what is typed is not whole yet
    }
  };
  made.addEventListener("input", retell);
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    await ask(service, asked, { output, note, send, stop });
  });
  retell();
  return el("div", {}, made, output, service.safe ? null : el("h3", {}, "curl"), line);
}

async function ask(service, asked, { output, note, send, stop }) {
  const control = new AbortController();
  const cancel = () => control.abort();
  const began = performance.now();
  output.hidden = false;
  output.classList.remove("bad");
  fill(output);
  note.textContent = "…";
  send.disabled = true;
  stop.hidden = false;
  stop.addEventListener("click", cancel);
  let count = 0;
  try {
    const progress = service.streams
      ? { progress: (value) => void (count++, output.append(`${text(value)}\n`)) }
      : {};
    const call = service.safe ? safe_apply : apply;
    const value = await call(service.name, ...asked(), { signal: control.signal, ...progress });
    if (value instanceof LimenFile) fill(output, ...offered(value));
    else if (!count) output.textContent = text(value);
    note.textContent = `${Math.round(performance.now() - began)} ms${count ? `, ${count} values` : ""}`;
  } catch (error) {
    output.classList.add("bad");
    output.append(`${error.exc ?? error.name}: ${error.message}\n`);
    for (const [path, why] of Object.entries(error.facts?.fields ?? error.fields ?? {})) {
      output.append(`${path}: ${why}\n`);
    }
    note.textContent = "refused";
  } finally {
    send.disabled = false;
    stop.hidden = true;
    stop.removeEventListener("click", cancel);
  }
}

/** What is sent over plain HTTP. */
function requested({ path, verb }, args, kwargs) {
  const method = verb || "POST";
  const url = new URL([`..${path}`, ...args.map((value) => encodeURIComponent(String(value)))].join("/"), document.baseURI);
  if (["GET", "HEAD", "DELETE"].includes(method)) {
    for (const [name, value] of Object.entries(kwargs)) {
      for (const each of [value].flat()) url.searchParams.append(name, String(each));
    }
    return { method, url: url.href };
  }
  if (!Object.keys(kwargs).length) return { method, url: url.href };
  if (Object.values(kwargs).some((value) => value instanceof File)) return { method, url: url.href, form: kwargs };
  return { method, url: url.href, body: JSON.stringify(kwargs), headers: { "Content-Type": "application/json" } };
}

/** A file that came. @param {LimenFile} file */
const offered = (file) => [
  `${file.filename}, ${file.content_type}, ${file.size} bytes `,
  el("button", { type: "button", class: "quiet", onclick: () => void file.save() }, "Save"),
];

/** A value as somebody reads it. */
function text(value) {
  const plain = (key, item) => {
    if (item instanceof Map) return Object.fromEntries([...item].map(([k, v]) => [String(k), v]));
    if (item instanceof Set) return [...item];
    if (typeof item === "bigint") return String(item);
    if (item instanceof Uint8Array) return `${item.length} bytes`;
    return item;
  };
  return JSON.stringify(value, plain, 2) ?? "undefined";
}

function curl(service, args, kwargs) {
  const { method, url, body, form } = requested(service, args, kwargs);
  const quoted = (words) => `'${words.replaceAll("'", "'\\''")}'`;
  const part = ([name, value]) => ` -F ${quoted(`${name}=${value instanceof File ? `@${value.name}` : value}`)}`;
  if (form) return `curl ${quoted(url)}${Object.entries(form).map(part).join("")}`;
  const how = body ? ` --json ${quoted(body)}${method === "POST" ? "" : ` -X ${method}`}` : method === "GET" ? "" : ` -X ${method}`;
  return `curl ${quoted(url)}${how}`;
}
