/**
 * The field of a form for one parameter: a choice, a text, or JSON, as its schema says.
 * @module
 */
import { el } from "./element.js";

let count = 0;

export class Field {
  #parameter;
  #input;
  /** "text": what is typed is the value. "word": a choice among JSON values. "json": what is typed is JSON. "file". */
  #kind;

  constructor(parameter, schemas) {
    this.#parameter = parameter;
    const { name, type, required, how } = parameter;
    const id = `field${count++}`;
    const schema = resolved(parameter.schema, schemas);
    const choices = choicesOf(schema);
    const hint = how === "rest" ? "a JSON list" : how === "rest named" ? "a JSON object" : "";
    if (hint) this.#kind = "json";
    else if (type.includes("File | Blob")) this.#kind = "file";
    else this.#kind = choices ? "word" : isText(schema, schemas) ? "text" : "json";
    const attributes = { id, spellcheck: "false", autocomplete: "off", "aria-describedby": `${id}type` };
    if (required) attributes["aria-required"] = "true";
    if (this.#kind === "file") {
      this.#input = el("input", { ...attributes, type: "file", multiple: type.includes("[]") });
    } else if (this.#kind === "word") {
      const options = (required ? [] : [el("option", { value: "" }, "–")]).concat(
        choices.map((value) => el("option", { value: JSON.stringify(value) }, String(value))),
      );
      this.#input = el("select", attributes, ...options);
    } else if (this.#kind === "text" || /^(integer|number)$/.test(schema.type)) {
      this.#input = el("input", { ...attributes, placeholder: placeholder(parameter) });
    } else {
      const example = hint || (required ? "JSON" : placeholder(parameter) || "JSON");
      this.#input = el("textarea", { ...attributes, rows: "3", placeholder: example });
    }
    this.element = el(
      "div",
      { class: "field" },
      el(
        "div",
        { class: "head" },
        el("label", { for: id }, el("strong", {}, name)),
        el("code", { id: `${id}type` }, type),
        required ? null : el("small", { class: "faint" }, "optional"),
      ),
      this.#input,
    );
  }

  get inOrder() {
    return this.#parameter.how === "positional" || this.#parameter.how === "rest";
  }

  /** What was typed, as positional arguments: none or one, of "rest" any number. */
  values() {
    const value = this.#value();
    if (value === undefined) return [];
    return this.#parameter.how === "rest" && Array.isArray(value) ? value : [value];
  }

  /** What was typed, by name; nothing for a field that was left empty. */
  named() {
    const value = this.#value();
    if (value === undefined) return {};
    return this.#parameter.how === "rest named" ? value : { [this.#parameter.name]: value };
  }

  #value() {
    if (this.#kind === "file") {
      const files = [...this.#input.files];
      return this.#input.multiple ? files : files[0];
    }
    const typed = this.#input.value;
    if (this.#kind === "text") return typed === "" && !this.#parameter.required ? undefined : typed;
    if (typed.trim() === "") return undefined;
    try {
      return JSON.parse(typed);
    } catch {
      if (this.#parameter.schema && Object.keys(this.#parameter.schema).length === 0) return typed; // anything: a text, too
      throw new SyntaxError(`${this.#parameter.name}: this is no JSON; a text stands in quotes: "bolt".`);
    }
  }
}

const resolved = (schema, schemas) =>
  schema.$ref ? (schemas[schema.$ref.slice(schema.$ref.lastIndexOf("/") + 1)] ?? {}) : schema;

const placeholder = ({ default: value, schema }) =>
  value !== undefined && value !== null ? (typeof value === "string" ? value : JSON.stringify(value)) : (schema.format ?? "");

/** The values among which one may choose, or null. */
function choicesOf(schema) {
  if (schema.enum) return schema.enum;
  return schema.type === "boolean" ? [true, false] : null;
}

/** Whether the value is a text, or nothing. */
function isText(schema, schemas) {
  if (schema.anyOf) {
    return schema.anyOf.every((each) => each.type === "null" || isText(resolved(each, schemas), schemas));
  }
  return schema.type === "string";
}
