/** How things were: the history of one todo, and the whole list at any moment before. */

const $ = (id) => document.getElementById(id);
const clone = (id) => $(id).content.cloneNode(true).firstElementChild;
const clock = new Intl.DateTimeFormat(undefined, { weekday: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** A moment in words: with its day of the week in this week, else with its date. */
function time(text) {
  const when = new Date(text);
  return (Date.now() - when < 6 * 86_400_000 ? clock : calendar).format(when);
}

/** The list at another time. While `todos` is not null, it is what the page shows. */
export class Travel {
  todos = null;
  /** The transactions that one can go to, the oldest first; place 0 of the slider is before all of them. */
  #moments = [];
  #place = 0;
  #wanted = 0;

  /** @param {{moments, ask, show, undo}} actions `ask(txn)` gives the list as of a transaction */
  constructor(actions) {
    this.actions = actions;
    $("moment").addEventListener("input", () => void this.#go($("moment").valueAsNumber));
    $("earlier").addEventListener("click", () => void this.#go(this.#place - 1));
    $("later").addEventListener("click", () => void this.#go(this.#place + 1));
    $("now").addEventListener("click", () => this.end());
    $("undo-moment").addEventListener("click", async () => {
      if (await this.actions.undo(this.#moments[this.#place - 1].txn)) this.end();
    });
    $("past").addEventListener("keydown", (event) => event.key === "Escape" && this.end());
  }

  /** Shows the list as it was after transaction *txn*; without one: as it is, to go back from there. */
  async to(txn = Infinity) {
    this.#moments = await this.actions.moments();
    await this.#go(this.#moments.findLastIndex((moment) => moment.txn <= txn) + 1);
  }

  async #go(place) {
    const asked = (this.#wanted += 1);
    const made = this.#moments[place - 1];
    const todos = await this.actions.ask(made?.txn ?? (this.#moments[0]?.txn ?? 1) - 1);
    if (asked !== this.#wanted) return; // the slider has gone on
    const arriving = this.todos === null;
    [this.todos, this.#place] = [todos, place];
    this.#range();
    $("moment").value = String(place);
    const words = made ? `${time(made.when)}: ${made.by ?? "the program"} ${made.why}` : "Before all that";
    $("moment-words").textContent = words;
    $("moment").setAttribute("aria-valuetext", words);
    $("undo-moment").disabled = !made;
    this.#mode(true);
    this.actions.show();
    if (arriving) $("moment").focus();
  }

  /** Someone changed something: there is one more moment to go to. */
  async more() {
    if (this.todos === null) return;
    const [first, moments] = [this.#moments[0], await this.actions.moments()];
    this.#place -= Math.max(0, moments.findIndex((moment) => moment.txn === first?.txn)); // the oldest may have gone
    this.#moments = moments;
    this.#range();
  }

  #range() {
    $("moment").max = String(this.#moments.length);
    $("earlier").disabled = this.#place <= 0;
    $("later").disabled = this.#place >= this.#moments.length;
  }

  /** Back to now. */
  end() {
    this.#wanted += 1;
    if (this.todos === null) return;
    this.todos = null;
    this.#mode(false);
    this.actions.show();
    $("travel").focus();
  }

  #mode(past) {
    document.body.toggleAttribute("data-past", past);
    $("past").hidden = !past;
    $("travel").setAttribute("aria-pressed", String(past));
    for (const control of $("composer").elements) control.disabled = past;
  }
}

/** The history of one todo, in a dialog. */
export class History {
  #dialog = $("history");
  #id = null;

  /** @param {{ask, travel, undo}} actions */
  constructor(actions) {
    this.actions = actions;
    this.#dialog.querySelector(".close").addEventListener("click", () => this.close());
    this.#dialog.addEventListener("close", () => (this.#id = null)); // by Escape, too
    this.#dialog.addEventListener("click", (event) => event.target === this.#dialog && this.close());
  }

  async open(id) {
    this.#id = id;
    const versions = await this.actions.ask(id);
    if (this.#id !== id || !versions.length) return;
    this.#dialog.querySelector("h2").textContent = versions[0].text;
    this.#dialog.querySelector("ol").replaceChildren(...versions.map((version, n) => this.#entry(version, versions[n + 1])));
    if (this.#dialog.open) return;
    this.#dialog.showModal();
    this.#dialog.querySelector("h2").focus();
  }

  /** Something became of the todo *id*. */
  more(id) {
    if (this.#id === id) void this.open(id);
  }

  close() {
    this.#dialog.close();
  }

  #entry(version, before) {
    const entry = clone("version");
    entry.querySelector(".what").textContent = `${version.by ?? "The program"} ${deed(version, before)}`;
    entry.querySelector(".when").textContent = time(version.when);
    entry.querySelector(".then").addEventListener("click", () => {
      this.close();
      void this.actions.travel(version.txn);
    });
    entry.querySelector(".undo").addEventListener("click", async () => {
      if (await this.actions.undo(version.txn)) this.close();
    });
    return entry;
  }
}

/** What one version did, in words. */
function deed(version, before) {
  if (!before) return `added “${version.text}”`;
  if (version.removed) return "removed it";
  if (before.removed) return "brought it back";
  const done = version.changed.includes("done") ? [version.done ? "ticked it" : "opened it again"] : [];
  const text = version.changed.includes("text") ? [`changed “${before.text}” to “${version.text}”`] : [];
  return [...text, ...done].join(", and ") || "saved it unchanged";
}
