/** The list as this page knows it. Knows nothing of the screen or the network. */

export class List {
  /** @type {Map<string, object>} id → todo, as the server said last */
  #known = new Map();
  /** Removed todos, id → version: late news of an older version brings none back; what was undone comes with a later. */
  #gone = new Map();

  /** Takes what the server says is the whole list. */
  replace(todos) {
    this.#known = new Map(todos.map((todo) => [todo.id, todo]));
    this.#gone.clear();
  }

  /** Takes one todo, unless a later version is known: news and answers overtake each other. True: something changed. */
  put(todo) {
    const known = this.#known.get(todo.id)?.vsn ?? this.#gone.get(todo.id) ?? 0;
    if (known >= todo.vsn) return false;
    this.#gone.delete(todo.id);
    this.#known.set(todo.id, todo);
    return true;
  }

  /** Takes that a todo was removed, by its version *vsn*; gives the todo that it was. */
  drop(id, vsn) {
    const todo = this.#known.get(id);
    if (todo && todo.vsn >= vsn) return undefined; // it was brought back since
    this.#known.delete(id);
    this.#gone.set(id, Math.max(vsn, this.#gone.get(id) ?? 0));
    return todo;
  }

  get(id) {
    return this.#known.get(id);
  }

  ids() {
    return new Set(this.#known.keys());
  }

  /** Those that *filter* ("all", "open" or "done") lets through, oldest first. */
  shown(filter) {
    const all = [...this.#known.values()].sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1));
    return filter === "all" ? all : all.filter((todo) => todo.done === (filter === "done"));
  }

  get counts() {
    const all = this.#known.size;
    const done = this.shown("done").length;
    return { all, open: all - done, done };
  }
}
