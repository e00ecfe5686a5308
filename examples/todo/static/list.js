/** The list as this page knows it. Knows nothing of the screen or the network. */

export class List {
  /** @type {Map<string, object>} id → todo, as the server said last */
  #known = new Map();
  /** Ids of removed todos: late news of an older version brings none back. */
  #gone = new Set();

  /** Takes what the server says is the whole list. */
  replace(todos) {
    this.#known = new Map(todos.map((todo) => [todo.id, todo]));
    this.#gone.clear();
  }

  /** Takes one todo, unless a later version is known: news and answers overtake each other. True: something changed. */
  put(todo) {
    const known = this.#known.get(todo.id);
    if (this.#gone.has(todo.id) || (known && known.vsn >= todo.vsn)) return false;
    this.#known.set(todo.id, todo);
    return true;
  }

  /** Takes that a todo was removed; gives the todo that it was. */
  drop(id) {
    const todo = this.#known.get(id);
    this.#known.delete(id);
    this.#gone.add(id);
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
