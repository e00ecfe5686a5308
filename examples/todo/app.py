"""A shared list of things to do. Everyone who logs in sees the same list, and sees it change; and can see how it was at
any time before, who changed what, and undo it.

    limen serve examples/todo/app.py --port 9000 --db sqlite:///todo.db --dev
    limen serve examples/todo/app.py --port 9000 --db postgresql://ada@localhost/todo --dev

The services are plain functions; the page in static/ calls them by name, over the sealed session of whoever is logged
in. After each unit of work the program says so on a topic, and every open page follows.
"""

from math import isfinite
from pathlib import Path
from time import time
from uuid import UUID

from limen import Hict, add_model, auth, get_state, service, static, storage, topic

LOGINS = {"ada": "lovelace", "grace": "hopper"}
"""For the demonstration. A program of one's own would have `limen user add`."""

changed = topic("todo.changed")


class Todo:
    """`text`, `done`, `by`: who added it, `at`: when it was added (seconds since 1970), the list's order."""

    @classmethod
    def initialize(cls, record):
        record.merge(text="", done=False, by="", at=0.0)

    @classmethod
    def validate(cls, record):
        errors = Hict()
        if not isinstance(record.text, str) or not record.text.strip():
            errors.text.empty = "A todo needs a few words."
        elif len(record.text) > 500:
            errors.text.long = "A todo has 500 characters at most."
        if not isfinite(record.at):
            errors.at.invalid = "This is no time."
        return errors

    @classmethod
    def index(cls, record):
        return {"done": record.done}

    @classmethod
    def to_dict(cls, record):
        return {
            "id": record._uuid,
            "vsn": record._vsn,
            "text": record.text,
            "done": record.done,
            "by": record.by,
            "at": record.at,
        }


@service()
def get_all():
    with storage() as db:
        return [Todo.to_dict(record) for record in db.select(Todo)]


@service()
def add(text: str, done: bool = False, at: float | None = None):
    """*done* and *at* bring a removed todo back to its place."""
    with storage("added a todo") as db:
        record = db.insert(Todo, text=text.strip(), done=done, by=get_state().user, at=time() if at is None else at)
    return say("put", Todo.to_dict(record))


@service()
def update(id: UUID, vsn: int, text: str, done: bool):
    """A stale *vsn* is refused with RecordVersionMismatch, which brings along what the other wrote."""
    with storage("changed a todo") as db:
        record = db.update(Todo, id, vsn, text=text.strip(), done=done)
    return say("put", Todo.to_dict(record))


@service()
def remove(id: UUID, vsn: int):
    with storage("removed a todo") as db:
        record = db.delete(Todo, id, vsn)
    return say_what_became_of(record)


@service()
def history(id: UUID):
    """Every version of one todo, the newest first: who made it, when, and which fields it changed."""
    with storage() as db:
        return [
            {
                "txn": past._txn,
                "vsn": past._vsn,
                "by": past.transaction.user,
                "when": past.transaction.when,
                "changed": past.changed,
                "removed": past.deleted,
                "text": past.text,
                "done": past.done,
            }
            for past in reversed(db.history(Todo, id))
        ]


@service()
def moments():
    """The last changes of the list, the oldest first: the number of each transaction, who made it, when and why."""
    with storage() as db, storage.changes(after=max(0, db.txn - 1000)) as feed:
        numbers = []
        while commits := feed.read():
            numbers += [commit.number for commit in commits]
        made = [db.transaction(number) for number in numbers[-100:]]
    return [{"txn": by.number, "by": by.user, "when": by.when, "why": by.reason} for by in made]


@service()
def as_of(txn: int):
    """The list as it was after the transaction of that number."""
    with storage() as db:
        return [Todo.to_dict(record) for record in db.as_of(txn).select(Todo)]


@service()
def undo(txn: int):
    """Takes back what the transaction of that number did to todos. Refused where they were changed since."""
    with storage("undid a change") as db:
        records = db.undo(txn)
    return [say_what_became_of(record) for record in records]


def say(what, todo):
    """Tells every open page what became of a todo, and who did it."""
    changed.publish(what, todo, get_state().user)
    return todo


def say_what_became_of(record):
    if record._deleted:
        return say("drop", {"id": record._uuid, "vsn": record._vsn, "txn": record._txn})
    return say("put", Todo.to_dict(record))


add_model(Todo)
for name, password in LOGINS.items():
    auth.add_user(name, password)
static("/", Path(__file__).parent / "static", index="index.html")
