/**
 * A failure on the server, shown over the page while one develops: source and variables of each frame. Loaded only when
 * an InternalError brings frames along, which no server does outside development.
 *
 * @module
 */

/** @typedef {{file: string, line: number, function: string, first: number, source: string[], own: boolean,
 *   variables?: Record<string, string>}} Frame */

const STYLE = `
:host { all: initial }
dialog { box-sizing: border-box; width: min(60rem, 96vw); max-height: 92vh; padding: 0; overflow: auto; border: 0;
  border-radius: 8px; border-top: 6px solid #c62828; background: #fff; color: #1c1c1e; font: 14px/1.45 system-ui, sans-serif }
dialog::backdrop { background: rgb(0 0 0 / .45) }
header { position: sticky; top: 0; display: flex; gap: 1rem; align-items: start; padding: 14px 18px; background: inherit;
  border-bottom: 1px solid #8884 }
h1 { flex: 1; margin: 0; font-size: 16px; overflow-wrap: anywhere }
p { margin: 2px 0 0; color: #666; font-size: 13px }
button { font: inherit; padding: 4px 12px; border: 1px solid #8888; border-radius: 6px; background: none; color: inherit; cursor: pointer }
button:focus-visible, summary:focus-visible { outline: 2px solid #0a6cff; outline-offset: 2px }
details { border-bottom: 1px solid #8883 }
summary { padding: 8px 18px; cursor: pointer; overflow-wrap: anywhere }
summary b { font-weight: 600 }
summary i { font-style: normal; color: #777 }
pre, dl { margin: 0; font: 13px/1.5 ui-monospace, monospace }
pre { padding: 8px 0; overflow-x: auto; background: #8881 }
pre span { display: block; padding: 0 18px; min-width: max-content }
pre span.here { background: #c6282826; font-weight: 600 }
pre span::before { content: attr(data-n); display: inline-block; width: 3.5em; color: #999; font-weight: 400 }
dl { display: grid; grid-template-columns: minmax(6em, max-content) 1fr; gap: 2px 14px; padding: 8px 18px 12px }
dt { color: #777 } dd { margin: 0; overflow-wrap: anywhere }
@media (prefers-color-scheme: dark) {
  dialog { background: #1c1c1e; color: #eee } p, dt, summary i, pre span::before { color: #9a9a9a } }
`;

/** The one dialog there is; a second failure takes the place of the first. @type {HTMLElement | undefined} */
let host;

/**
 * Shows *error*. The page goes on below; Escape or the button closes it.
 * @param {Error & {facts: Record<string, any>}} error an InternalError with `frames`
 */
export function show(error) {
  host?.remove();
  host = document.createElement("limen-failure");
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet(); // a <style> would need 'unsafe-inline'
  sheet.replaceSync(STYLE);
  root.adoptedStyleSheets = [sheet];
  const dialog = root.appendChild(document.createElement("dialog"));
  const header = dialog.appendChild(document.createElement("header"));
  const words = header.appendChild(document.createElement("div"));
  words.style.flex = "1";
  add(words, "h1", String(error.facts.raised ?? error.message));
  add(words, "p", `On the server, in development. Incident ${error.facts.incident} in its log.`);
  const close = add(header, "button", "Close");
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => host?.remove());
  const frames = /** @type {Frame[]} */ (error.facts.frames);
  const last = frames.findLastIndex((frame) => frame.own);
  frames.forEach((frame, index) => dialog.append(drawn(frame, index === last)));
  document.body.append(host);
  dialog.showModal();
}

/** The page that answers a navigation whose service failed brings the error along (`door/http/answers.py`). */
const brought = document.getElementById("limen-failure");
if (brought) {
  const { err, ...facts } = JSON.parse(brought.textContent ?? "{}");
  show(Object.assign(new Error(err?.join(" ")), { facts }));
}

/** @param {Frame} frame @param {boolean} open @returns {HTMLElement} */
function drawn(frame, open) {
  const details = document.createElement("details");
  details.open = open;
  const summary = add(details, "summary", "");
  add(summary, frame.own ? "b" : "i", frame.function);
  summary.append(` ${frame.file}:${frame.line}`);
  const pre = add(details, "pre", "");
  frame.source.forEach((text, index) => {
    const line = add(pre, "span", text || " ");
    line.dataset.n = String(frame.first + index);
    line.classList.toggle("here", frame.first + index === frame.line);
  });
  const variables = Object.entries(frame.variables ?? {});
  if (variables.length) {
    const list = add(details, "dl", "");
    for (const [name, value] of variables) {
      add(list, "dt", name);
      add(list, "dd", value);
    }
  }
  return details;
}

/** @template {keyof HTMLElementTagNameMap} K @param {HTMLElement} parent @param {K} name @param {string} text */
function add(parent, name, text) {
  const made = parent.appendChild(document.createElement(name));
  made.textContent = text;
  return made;
}
