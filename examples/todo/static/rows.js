/** The rows on the screen: made once for each todo and kept, so that focus and half-typed text outlive every change. */

const clone = (id) => document.getElementById(id).content.cloneNode(true).firstElementChild;

export class Rows {
  /** @type {Map<string, HTMLLIElement>} */
  #rows = new Map();
  /** @type {Map<string, {vsn: number, input: HTMLInputElement, meanwhile: HTMLElement}>} rows that are being edited */
  #edited = new Map();

  /**
   * @param {HTMLUListElement} ul
   * @param {{tick, save, remove, add, get, history}} actions what a row can do; `get(id)` is the todo as it is known now
   */
  constructor(ul, actions) {
    this.ul = ul;
    this.actions = actions;
    ul.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Brings the rows in line with *todos*; `me` is not named as an author; *fresh*: ids that light up; *past*: nothing
   * can be done to them but to look at their history. */
  render(todos, me, fresh = new Set(), past = false) {
    this.past = past;
    const wanted = new Set(todos.map((todo) => todo.id));
    for (const [id, row] of this.#rows) {
      if (wanted.has(id) || this.#edited.has(id) || row.querySelector(".conflict")) continue; // nothing typed is lost
      this.#leave(row);
      this.#rows.delete(id);
    }
    const next = (row) => (row?.inert ? next(row.nextElementSibling) : row); // past those that are just leaving
    let before = next(this.ul.firstElementChild);
    for (const todo of todos) {
      const row = this.#rows.get(todo.id) ?? this.#make(todo.id);
      this.#fill(row, todo, me);
      if (fresh.has(todo.id)) row.classList.add("fresh");
      if (row === before) before = next(before.nextElementSibling);
      else this.ul.insertBefore(row, before); // only where it must: a row that is moved loses the focus
    }
  }

  clear() {
    this.#rows.clear();
    this.#edited.clear();
    this.ul.replaceChildren();
  }

  get empty() {
    return this.#rows.size === 0;
  }

  #make(id) {
    const row = clone("row");
    row.dataset.id = id;
    row.addEventListener("animationend", () => row.classList.remove("fresh"));
    row.querySelector(".tick").addEventListener("change", (event) => this.actions.tick(id, event.target.checked));
    row.querySelector(".text").addEventListener("click", () => this.edit(id));
    row.querySelector(".edit").addEventListener("click", () => this.edit(id));
    row.querySelector(".history").addEventListener("click", () => this.actions.history(id));
    row.querySelector(".remove").addEventListener("click", () => this.actions.remove(id));
    this.#rows.set(id, row);
    return row;
  }

  #fill(row, todo, me) {
    const [tick, text, by] = [".tick", ".text", ".by"].map((name) => row.querySelector(name));
    row.classList.toggle("done", todo.done);
    row.classList.toggle("provisional", Boolean(todo.provisional));
    tick.checked = todo.done;
    tick.setAttribute("aria-label", `Done: ${todo.text}`);
    if (text.textContent !== todo.text) text.textContent = todo.text;
    text.setAttribute("aria-label", `Edit: ${todo.text}`);
    row.querySelector(".edit").setAttribute("aria-label", `Edit: ${todo.text}`);
    row.querySelector(".remove").setAttribute("aria-label", `Remove: ${todo.text}`);
    row.querySelector(".history").setAttribute("aria-label", `History: ${todo.text}`);
    by.textContent = todo.waiting ? "waiting" : todo.by === me ? "" : todo.by;
    by.classList.toggle("waiting", Boolean(todo.waiting));
    for (const control of row.querySelectorAll(".shown button, .tick")) {
      control.disabled = Boolean(todo.provisional) || (this.past && !control.matches(".history"));
    }
    const edited = this.#edited.get(todo.id);
    if (edited && todo.vsn > edited.vsn) {
      edited.meanwhile.textContent = `${todo.who ?? "Someone"} changed this meanwhile to “${todo.text}”${todo.done ? " (done)" : ""}.`;
      edited.meanwhile.hidden = false;
    }
  }

  #leave(row) {
    if (row.contains(document.activeElement)) this.#focusBeside(row);
    row.classList.add("leaving");
    row.inert = true;
    const gone = () => row.remove();
    row.addEventListener("animationend", gone);
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches || document.hidden;
    if (still || row.classList.contains("provisional")) gone(); // a provisional row gives way to its todo at once
  }

  #focusBeside(row) {
    const live = (other) => other && !other.inert;
    const beside = [row.nextElementSibling, row.previousElementSibling].find(live);
    (beside?.querySelector(".tick") ?? document.getElementById("new")).focus();
  }

  // -- editing in place -----------------------------------------------------------------------------------------
  /** Opens the editor of a row; what is saved is refused if someone else changed the todo since now. */
  edit(id, text = this.actions.get(id)?.text) {
    const todo = this.actions.get(id);
    const row = this.#rows.get(id);
    if (!row || !todo || this.#edited.has(id)) return;
    const form = clone("editor");
    const input = form.querySelector("input");
    input.value = text;
    const close = () => {
      this.#edited.delete(id);
      form.remove();
      row.querySelector(".shown").hidden = false;
      if (document.activeElement === document.body) row.querySelector(".text").focus();
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const words = input.value.trim();
      if (!words) return input.focus();
      close();
      if (words !== todo.text) this.actions.save(todo, words);
      return undefined;
    });
    form.querySelector(".cancel").addEventListener("click", close);
    form.addEventListener("keydown", (event) => event.key === "Escape" && close());
    form.addEventListener("focusout", (event) => {
      if (!form.contains(event.relatedTarget) && document.hasFocus() && input.value.trim() === todo.text) close();
    });
    this.#edited.set(id, { vsn: todo.vsn, input, meanwhile: form.querySelector(".meanwhile") });
    row.querySelector(".shown").hidden = true;
    row.append(form);
    input.focus();
    input.setSelectionRange(input.value.length, input.value.length);
  }

  /**
   * Shows what someone else wrote beside what was written here, and lets one choose.
   * *todo*: as it was before; *theirs*: their todo, or null if they removed it; *mine*: the text written here; *who*: they.
   */
  conflict(todo, theirs, mine, { who, keep, take }) {
    const { id } = todo;
    let row = this.#rows.get(id);
    if (!row) {
      row = this.#make(id); // its removal was heard of first
      this.#fill(row, todo, "");
      this.ul.append(row);
    }
    const box = clone("conflict");
    const title = box.querySelector("h2");
    const [terms, words] = [box.querySelectorAll("dt"), box.querySelectorAll("dd")];
    title.textContent = `${who} ${theirs ? "changed" : "removed"} this while you were writing`;
    title.id = `conflict-${id}`;
    box.setAttribute("aria-labelledby", title.id);
    terms[0].textContent = `${who} wrote`;
    words[0].textContent = theirs?.text ?? "";
    words[0].classList.toggle("done", Boolean(theirs?.done));
    box.querySelector(".theirs").hidden = !theirs;
    words[1].textContent = mine;
    const close = (then) => () => {
      box.remove();
      row.querySelector(".shown").hidden = false;
      row.querySelector(".text").focus();
      then();
    };
    const [keepButton, takeButton] = [box.querySelector(".keep-mine"), box.querySelector(".take-theirs")];
    keepButton.textContent = theirs ? "Keep mine" : "Add mine again";
    takeButton.textContent = theirs ? "Take theirs" : "Let it go";
    keepButton.addEventListener("click", close(keep));
    takeButton.addEventListener("click", close(take));
    row.querySelector(".conflict")?.remove();
    row.querySelector(".shown").hidden = true;
    row.append(box);
    title.focus();
  }

  // -- keys -----------------------------------------------------------------------------------------------------
  #key(event) {
    const row = event.target.closest(".todo");
    if (!row || event.target.closest(".editor, .conflict") || event.altKey || event.ctrlKey || event.metaKey) return;
    const move = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    if (move) {
      const kind = event.target.classList[0] === "text" ? ".text" : ".tick";
      let other = row[move];
      while (other && (other.inert || !other.querySelector(kind)?.checkVisibility())) other = other[move];
      if (other) other.querySelector(kind).focus();
      else if (event.key === "ArrowUp") document.getElementById("new").focus();
    } else if (event.key === "h") {
      this.actions.history(row.dataset.id);
    } else if (this.past) {
      return;
    } else if (event.key === "Delete") {
      this.actions.remove(row.dataset.id);
    } else if (event.key === "F2" || (event.key === "Enter" && event.target.matches(".tick"))) {
      this.edit(row.dataset.id);
    } else {
      return;
    }
    event.preventDefault();
  }
}
