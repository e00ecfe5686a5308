/**
 * The page of examples/todo. It calls the functions of app.py by name and follows the topic "todo.changed".
 *
 * list.js knows the todos, rows.js shows them, past.js shows how they were, say.js speaks; here they meet the server.
 */
import { login, logout, safe_call, subscribe, on, state, ready } from "/limen/limen.mjs";
import { List } from "./list.js";
import { History, Travel } from "./past.js";
import { Rows } from "./rows.js";
import { hush, line, speak, toast } from "./say.js";

const $ = (id) => document.getElementById(id);
const list = new List();
const rows = new Rows($("todos"), { tick, save, remove, get: (id) => list.get(id), history: (id) => history.open(id) });
/** Who goes back has what they just did behind them, also where it is still on its way. */
const moments = () => Promise.allSettled(turns.values()).then(() => call("moments"));
const travel = new Travel({ moments, ask: (txn) => call("as_of", { txn }), show: render, undo });
const history = new History({ ask: (id) => call("history", { id }), travel: (txn) => travel.to(txn), undo });

/** What is on its way to the server and shown already: id → what is different. */
const waiting = new Map();
/** One change of a todo at a time, each on the version that the one before it made: id → the last one's promise. */
const turns = new Map();
let filter = "all";
let user = null;
let provisional = 0;
let lastRemoved = null;

// -- screens ----------------------------------------------------------------------------------------------------
function show(screen) {
  if (document.body.dataset.screen === screen) return;
  document.body.dataset.screen = screen;
  for (const id of ["starting", "door", "room"]) $(id).hidden = id !== screen;
  if (screen === "door") $($("user").value ? "password" : "user").focus();
  if (screen === "room") $("new").focus();
}

function render(fresh) {
  if (travel.todos) return renderPast();
  const known = list.shown("all").filter((todo) => !waiting.get(todo.id)?.removed);
  const ahead = [...waiting].flatMap(([id, change]) => (change.provisional ? [{ id, ...change, waiting: true }] : []));
  const all = [...known.map((todo) => ({ ...todo, ...waiting.get(todo.id), ...(waiting.has(todo.id) && { waiting: offline() }) })), ...ahead];
  const of = { all, open: all.filter((todo) => !todo.done), done: all.filter((todo) => todo.done) };
  rows.render(of[filter], user, fresh);
  for (const kind of document.querySelectorAll("[data-count]")) kind.textContent = String(of[kind.dataset.count].length);
  $("sweep").hidden = of.done.length === 0;
  $("empty").hidden = of[filter].length > 0 || !rows.empty;
  const [headline, detail] = {
    all: ["Nothing to do", "Write the first todo above; everyone sees it at once."],
    open: ["All done", "Nothing is left open. Enjoy it."],
    done: ["Nothing done yet", "What you tick appears here."],
  }[filter];
  $("empty").querySelector(".headline").textContent = headline;
  $("empty").querySelector(".detail").textContent = detail;
  document.title = of.open.length ? `(${of.open.length}) Todos` : "Todos";
}

/** The list as it was: to be looked at, not to be changed. */
function renderPast() {
  const then = new List();
  then.replace(travel.todos);
  rows.render(then.shown(filter), user, undefined, true);
  for (const kind of document.querySelectorAll("[data-count]")) kind.textContent = String(then.shown(kind.dataset.count).length);
  $("sweep").hidden = true;
  $("empty").hidden = !rows.empty;
  $("empty").querySelector(".headline").textContent = "Nothing was there";
  $("empty").querySelector(".detail").textContent = "The list was empty then.";
}

const offline = () => state.status === "offline";

/** A sealed call that has all the patience there is: one that never left the page may be made again, and is. */
async function call(name, args) {
  for (;;) {
    try {
      return await (args ? safe_call(name, args) : safe_call(name));
    } catch (error) {
      if (error.exc !== "ConnectionLost" || !offline()) throw error;
    }
  }
}

// -- the session ------------------------------------------------------------------------------------------------
async function enter() {
  if (user !== null && user !== state.user) forget();
  user = state.user;
  $("me").textContent = user;
  $("avatar").textContent = user.slice(0, 1);
  await follow();
  show("room");
}

/** Forgets what one user saw before the next one comes; after a mere expiry everything stays, drafts too. */
function forget() {
  travel.end();
  history.close();
  list.replace([]);
  rows.clear();
  waiting.clear();
  turns.clear();
  lastRemoved = null;
  hush();
  $("composer").reset();
  user = null;
}

async function follow() {
  await subscribe("todo.changed", news); // first the news, then the list: nothing falls in between
  await reload();
}

async function reload() {
  list.replace(await call("get_all"));
  render();
}

function news(what, todo, who) {
  void travel.more();
  history.more(todo.id);
  if (what === "drop") {
    const gone = list.drop(todo.id, todo.vsn);
    if (gone && who !== user) speak(`${who} removed: ${gone.text}`);
    return render();
  }
  const fresh = !list.get(todo.id);
  if (fresh && who === user) arrived(todo);
  if (list.put({ ...todo, who }) && who !== user) speak(`${who} ${fresh ? "added" : "changed"}: ${todo.text}`);
  return render(fresh && who !== user ? new Set([todo.id]) : undefined);
}

/** The provisional row of a new todo goes when the todo itself comes, by news or by the answer, whichever is first. */
function arrived(todo) {
  for (const [id, change] of waiting) if (change.provisional && change.text === todo.text) return waiting.delete(id);
  return false;
}

function leave(words, bad = false) {
  const message = $("login-message");
  message.textContent = words;
  message.hidden = !words;
  message.classList.toggle("bad", bad);
  line("");
  show("door");
}

$("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const [name, password] = [$("user").value.trim(), $("password").value];
  if (!name || !password) return $(name ? "password" : "user").focus();
  const [button, progress] = [$("enter"), $("stretch")];
  button.disabled = true;
  button.textContent = "Logging in …";
  progress.value = 0;
  progress.hidden = false;
  $("login-message").hidden = true;
  try {
    await login(name, password, { progress: (done) => (progress.value = done) });
    $("password").value = "";
    await enter();
  } catch (error) {
    leave(whyNot(error), true);
    if (error.exc === "InvalidCredential") $("password").select();
  } finally {
    button.disabled = false;
    button.textContent = "Log in";
    progress.hidden = true;
  }
  return undefined;
});

function whyNot(error) {
  return (
    {
      InvalidCredential: "That name and password don’t go together. Check both and try again.",
      Abusive: "Too many tries from here. Wait a few minutes, then try again.",
      ConnectionLost: "The server can’t be reached. Check your connection and try again.",
      MaxActiveSessions: "You are logged in in too many places. Log out in one of them first.",
    }[error.exc] ?? error.err?.join(" ") ?? "Logging in did not work. Try again."
  );
}

$("reveal").addEventListener("click", () => {
  const hidden = $("password").type === "password";
  $("password").type = hidden ? "text" : "password";
  $("reveal").textContent = hidden ? "Hide" : "Show";
  $("reveal").setAttribute("aria-pressed", String(hidden));
});

$("leave").addEventListener("click", async () => {
  await logout();
  forget();
  leave("");
});

on("offline", () => {
  if (user !== null) line("lost", "Connection lost. Trying again … What you type is kept.");
  render();
});
on("online", () => {
  if (document.getElementById("line").classList.contains("lost")) line("back", "Connected again.");
  render();
});
on("missed", () => void reload());
on("signed_out", ({ error } = {}) => error && leave("Your session has ended. Log in to go on: what you were typing is still here."));
on("taken_over", (error) => leave(error.err.join(" ")));

// -- what one can do --------------------------------------------------------------------------------------------
$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("new").value.trim();
  if (!text) return;
  $("new").value = "";
  if (filter === "done") setFilter("all");
  void add({ text });
});

async function add(todo) {
  const id = `new-${(provisional += 1)}`;
  const known = list.ids();
  waiting.set(id, { text: todo.text, done: Boolean(todo.done), at: todo.at ?? Date.now() / 1000, by: user, provisional: true });
  render();
  try {
    list.put(await call("add", todo));
    speak(`Added: ${todo.text}`);
  } catch (error) {
    if (error.exc === "OutcomeUnknown" && (await happened(() => list.shown("all").some((other) => !known.has(other.id) && other.by === user && other.text === todo.text)))) return;
    if (!$("new").value) $("new").value = todo.text;
    failed(error, `“${todo.text}” was not added.`);
  } finally {
    waiting.delete(id);
    render();
  }
}

/** What someone else made of a todo meanwhile, as a RecordVersionMismatch tells it; null if they removed it. */
const theirs = (id, { facts }) => (facts.deleted ? null : { id, vsn: facts.newest, ...facts.fields });

/** Takes over how someone else left a todo; where they removed it, *vsn* is the version that says so. */
function take(id, todo, vsn) {
  if (todo) list.put(todo);
  else list.drop(id, vsn);
}

/** After OutcomeUnknown: looks at the list anew; whether what was wanted is so. */
async function happened(test) {
  await reload();
  return test();
}

function tick(id, done) {
  return inTurn(id, { done }, async (todo) => {
    if (!todo) return;
    try {
      list.put(await call("update", { id, vsn: todo.vsn, text: todo.text, done }));
      speak(`${done ? "Done" : "Open again"}: ${todo.text}`);
    } catch (error) {
      if (error.exc === "OutcomeUnknown" && (await happened(() => list.get(id)?.done === done))) return;
      if (error.exc === "RecordVersionMismatch") take(id, theirs(id, error), error.facts.newest);
      failed(error, `“${todo.text}” was not ticked.`, { words: "Try again", act: () => tick(id, done) });
    }
  });
}

/** *todo*: as it was when the editing began. */
function save(todo, text) {
  const { id, vsn, at } = todo;
  return inTurn(id, { text }, async ({ done } = todo) => {
    try {
      list.put(await call("update", { id, vsn, text, done }));
      speak(`Saved: ${text}`);
    } catch (error) {
      if (error.exc === "OutcomeUnknown") {
        if (await happened(() => list.get(id)?.text === text)) return;
        toast("The connection broke while this was being saved, and it was not. Look at it once more.");
        rows.edit(id, text);
      } else if (error.exc === "RecordVersionMismatch") {
        const other = theirs(id, error);
        const keep = () => void (other ? save(other, text) : add({ text, done, at }));
        waiting.delete(id);
        rows.conflict(todo, other, text, { who: error.facts.user, keep, take: render });
        speak(`${error.facts.user} ${other ? "changed" : "removed"} this while you were writing.`);
        take(id, other, error.facts.newest);
        render();
      } else {
        failed(error, "Your change was not saved.");
        waiting.delete(id);
        render();
        rows.edit(id, text);
      }
    }
  });
}

function remove(id) {
  const removal = { todo: null, gone: null, away: () => {}, done: null };
  removal.done = inTurn(id, { removed: true }, async (todo) => {
    if (!todo) return undefined;
    try {
      removal.gone = await call("remove", { id, vsn: todo.vsn });
    } catch (error) {
      if (error.exc === "RecordVersionMismatch") take(id, theirs(id, error), error.facts.newest);
      else if (error.exc === "OutcomeUnknown") await reload();
      if (list.get(id)) return failed(error, `“${todo.text}” was not removed.`);
    }
    if (removal.gone) list.drop(id, removal.gone.vsn);
    removal.todo = todo;
    removal.away = toast(`Removed “${todo.text}”`, { words: "Undo", act: () => void bringBack(removal) });
    return undefined;
  });
  lastRemoved = removal;
  return removal.done;
}

/** Undoes a removal, if need be as soon as it is through. */
async function bringBack(removal) {
  if (!removal) return;
  if (lastRemoved === removal) lastRemoved = null;
  await removal.done;
  removal.away();
  if (removal.gone) await undo(removal.gone.txn);
  else if (removal.todo) await add({ text: removal.todo.text, done: removal.todo.done, at: removal.todo.at });
}

/** Takes back what one transaction did; says so, or why it can't be. */
async function undo(txn) {
  try {
    for (const todo of await call("undo", { txn })) {
      if ("text" in todo) list.put(todo);
      else list.drop(todo.id, todo.vsn);
    }
    speak("Undone");
    render();
    return true;
  } catch (error) {
    if (error.exc === "OutcomeUnknown") await reload();
    if (error.exc === "UndoRefused") toast("This was not undone: it has been changed since.");
    else failed(error, "This was not undone.");
    return false;
  }
}

/** Shows a change at once, and makes it when those before it are through; *make* gets the todo as it is then, if it still is. */
function inTurn(id, change, make) {
  waiting.set(id, change);
  render();
  const turn = (turns.get(id) ?? Promise.resolve()).then(async () => {
    await make(list.get(id));
    if (turns.get(id) === turn) {
      turns.delete(id);
      waiting.delete(id);
    }
    render();
  });
  turns.set(id, turn);
  return turn;
}

/** Says what did not work; when the session is what is missing, the door says it. */
function failed(error, words, offer) {
  if (["Unauthorized", "UnknownSession", "ExpiredSession"].includes(error.exc)) return;
  const why = error.exc === "RecordVersionMismatch" ? "Someone changed it at the same moment." : error.err?.join(" ") ?? "";
  toast([words, why].filter(Boolean).join(" "), offer);
}

// -- filters and keys -------------------------------------------------------------------------------------------
function setFilter(value) {
  filter = value;
  document.querySelector(`[name="filter"][value="${value}"]`).checked = true;
  render();
}

for (const choice of document.querySelectorAll('[name="filter"]')) choice.addEventListener("change", () => setFilter(choice.value));

$("sweep").addEventListener("click", async () => {
  const done = list.shown("done");
  await Promise.all(done.map((todo) => remove(todo.id)));
});

$("travel").addEventListener("click", () => (travel.todos ? travel.end() : void travel.to()));

document.addEventListener("keydown", (event) => {
  if (document.body.dataset.screen !== "room" || event.target.matches("input:not([type=checkbox], [type=radio])")) return;
  if (event.key === "/") $("new").focus();
  else if (event.key === "z" && (event.ctrlKey || event.metaKey)) void bringBack(lastRemoved);
  else return;
  event.preventDefault();
});

$("new").addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown") $("todos").querySelector(".tick")?.focus();
});

// -- start ------------------------------------------------------------------------------------------------------
await ready;
if (state.user) {
  if (offline()) line("lost", "Connection lost. Trying again …");
  await enter().catch((error) => leave(whyNot(error)));
} else {
  show("door");
}
