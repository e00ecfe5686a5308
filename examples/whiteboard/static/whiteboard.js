import { Connection, Node, Path, call, handler, when_connected } from "/limen/node.mjs";

const COLORS = { "#1b1e27": "black", "#4653d6": "blue", "#1b7a4b": "green", "#c2410c": "orange", "#7c3aed": "violet" };
const NAMES = ["Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Radia", "Tim"];
const LONGEST = 500; // numbers of one piece of ink
const POINTER_SECONDS = 5;

const $ = (id) => document.getElementById(id);
const svg = (name, attributes = {}) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
};
const random = () => crypto.getRandomValues(new Uint32Array(2)).reduce((text, number) => text + number.toString(36), "");

const me = `p${random()}`;
const pointers = new Map();
const ink = new Map();
const mine = [];

/** This page, as a node of the tree. */
class Pad extends Node {
  static hear_ink = handler("@board.on_ink");
  hear_ink(id, by, color, points) {
    let line = ink.get(id);
    if (!line) {
      line = svg("polyline", { stroke: color, points: "" });
      $("ink").append(line);
      ink.set(id, line);
    }
    line.setAttribute("points", `${line.getAttribute("points")} ${points.join(" ")}`);
  }

  static hear_pointer = handler("@board.on_pointer");
  hear_pointer(who, name, color, x, y) {
    if (who === me) return;
    let there = pointers.get(who);
    if (!there) {
      const mark = svg("g");
      mark.append(svg("circle", { r: 7, fill: color }), svg("text", { x: 12, y: 7 }));
      $("pointers").append(mark);
      pointers.set(who, (there = { mark }));
    }
    there.seen = performance.now();
    there.mark.lastChild.textContent = name;
    there.mark.setAttribute("transform", `translate(${x} ${y})`);
  }

  /** The plotter calls this. */
  static progress = call();
  progress(figure, done) {
    $("progress").value = done;
    $("progress").title = `${figure}: ${Math.round(done * 100)} %`;
  }
}

// -- the tools -------------------------------------------------------------------------------------------------------
$("name").value = sessionStorage.getItem("name") ?? NAMES[Math.floor(Math.random() * NAMES.length)];
$("name").addEventListener("change", () => sessionStorage.setItem("name", $("name").value));
let color = Object.keys(COLORS)[Math.floor(Math.random() * Object.keys(COLORS).length)];
for (const [each, word] of Object.entries(COLORS)) {
  const label = document.createElement("label");
  const input = Object.assign(document.createElement("input"), { type: "radio", name: "color", value: each });
  input.checked = each === color;
  input.ariaLabel = word;
  input.addEventListener("change", () => (color = each));
  const patch = svg("svg", { viewBox: "0 0 20 20" });
  patch.append(svg("circle", { cx: 10, cy: 10, r: 8, fill: each }));
  label.append(input, patch);
  $("colors").append(label);
}
const say = (text, kind = "good") => {
  $("line").textContent = text;
  $("line").className = kind;
};

// -- the tree --------------------------------------------------------------------------------------------------------
const connection = new Connection(location.origin);
await when_connected(connection);
const pad = new Pad();
await pad.node_bind(new Path("whiteboard").add(`pads.${me}`), connection.new_context());
const board = pad.remote("@board");
const plotter = pad.remote("@plotter", { timeout: 60 });

connection.on("offline", () => say("the connection is lost; coming back …", "bad"));
connection.on("restored", () => say("connected"));
say("connected");

const strokes = await board.stream();
const drawn = new Map();
const show = () => {
  for (const [id, line] of drawn) if (!strokes.has(id)) drawn.delete(id), line.remove();
  for (const id of strokes.keys()) {
    if (drawn.has(id)) continue;
    const { color: stroke, points, by } = strokes.get(id);
    const line = svg("polyline", { stroke, points: points.join(" ") });
    const title = svg("title");
    title.textContent = `by ${by}`;
    line.append(title);
    $("strokes").append(line);
    drawn.set(id, line);
    ink.get(id)?.remove();
    ink.delete(id);
  }
  $("hint").hidden = drawn.size > 0;
  $("undo").disabled = !mine.some((id) => strokes.has(id));
};
strokes.watch(show);
show();

setInterval(() => {
  const now = performance.now();
  for (const [who, { mark, seen }] of pointers)
    if (now - seen > POINTER_SECONDS * 1000) pointers.delete(who), mark.remove();
}, 1000);

// -- drawing ---------------------------------------------------------------------------------------------------------
const failed = (error) => say(error.message, "bad");
const place = (event) => {
  const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform($("board").getScreenCTM().inverse());
  return [Math.round(x * 10) / 10, Math.round(y * 10) / 10];
};
let stroke = null;
let told = 0;
let pointed = 0;

/** Says what was drawn since it was last said. */
const tell = () => {
  if (!stroke || stroke.points.length === told) return;
  const from = Math.max(0, told - 2);
  const points = stroke.points.slice(from, from + LONGEST);
  told = from + points.length;
  board.on_ink.notify(stroke.id, $("name").value, color, points).catch(failed);
};
$("board").addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  $("board").setPointerCapture(event.pointerId);
  $("hint").hidden = true;
  stroke = { id: random(), points: place(event) };
  told = 0;
});
$("board").addEventListener("pointermove", (event) => {
  const [x, y] = place(event);
  if (stroke) stroke.points.push(x, y);
  const now = performance.now();
  if (now - pointed < 40) return;
  pointed = now;
  tell();
  board.on_pointer.notify(me, $("name").value, color, x, y).catch(failed);
});
const finish = async () => {
  if (!stroke) return;
  const { id, points } = stroke;
  tell();
  stroke = null;
  mine.push(id);
  try {
    await board.add(id, $("name").value, color, points);
  } catch (error) {
    ink.get(id)?.remove();
    ink.delete(id);
    failed(error);
  }
};
$("board").addEventListener("pointerup", finish);
$("board").addEventListener("pointercancel", finish);

$("undo").addEventListener("click", () => {
  const id = mine.findLast((each) => strokes.has(each));
  if (id) board.remove(id).catch(failed);
});
$("clear").addEventListener("click", () => board.clear_all().catch(failed));

// -- the plotter -----------------------------------------------------------------------------------------------------
$("draw").addEventListener("click", async () => {
  $("draw").disabled = true;
  $("progress").hidden = false;
  const [x, y] = [300 + Math.random() * 1000, 250 + Math.random() * 500];
  try {
    await plotter.draw($("figure").value, x, y, 360, pad);
    say("connected");
  } catch (error) {
    failed(error);
  } finally {
    $("progress").hidden = true;
    await offer();
  }
});
/** What it can draw; nothing where it is not there. */
const offer = async () => {
  let figures = [];
  try {
    figures = await plotter.figures();
  } catch (error) {
    if (!error.is?.("NotFound")) failed(error);
  }
  const chosen = $("figure").value;
  $("figure").replaceChildren(...figures.map((figure) => new Option(figure, figure, false, figure === chosen)));
  $("draw").disabled = !figures.length;
  $("draw").title = figures.length ? "" : "The plotter is not there.";
};
await plotter.on_ready.connect(offer); // first: it may come while it is asked
connection.on("offline", () => ($("draw").disabled = true));
connection.on("restored", offer); // what it said meanwhile was not heard
await offer();
