"""What the writer writes and the checker expects: commits in lanes, each of which says what the whole lane must hold.

A lane is written by one writer, step by step; what is there after n steps follows from n alone (`Replay`). Each step is
one unit of work that touches several records of two models, so that half of one shows:

- an entry is made, with a text that follows from its number; the one before is told so; the lane's tally counts,
- now and then it also deletes an entry, empties a text, or undoes the step before (`plan`).
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

from limen import DataStore, dbm
from limen.app.datastore import Storage
from limen.store.sql.maintenance.check import check

LANES = 64
"""Number of a commit: step * LANES + lane."""
DEEP = 300
"""So many of a lane's newest steps are looked at with the whole history of what they touched."""
Fields = dict[str, Any]


class Damaged(Exception):
    """The store holds what no sequence of whole commits leaves."""


class Entry:
    """`lane`, `number`, `text`, `next`: the number of the entry that followed, 0 before there was one."""

    @classmethod
    def initialize(cls, record):
        record.merge(lane=0, number=0, text="", next=0)

    @classmethod
    def index(cls, record):
        return {"lane": record.lane, "number": record.number, "text": record.text}


class Tally:
    """`count`: steps of this lane; `total`: the sum of their numbers."""

    @classmethod
    def initialize(cls, record):
        record.merge(lane=0, count=0, total=0)

    @classmethod
    def index(cls, record):
        return {"lane": record.lane, "count": record.count}


def open_storage(url: str) -> Storage:
    """Units of work on the store at *url*; '' is one in memory."""
    return storage_on(dbm.SQLStore(url) if url else dbm.MemDictStore())


def storage_on(store: Any) -> Storage:
    there = DataStore(store)
    storage = Storage(lambda: there)
    storage.add_models(there, Entry, Tally)
    return storage


def text_of(lane: int, number: int) -> str:
    """Long enough that a step needs several pages; no two alike."""
    return f"{lane}:{number} " + "".join(
        chr(97 + (number * 7 + lane + n * n) % 26) for n in range(40 + number * 37 % 900)
    )


def plan(step: int) -> str:
    """What a step does besides: at most one of these, each on entries that it does not touch otherwise."""
    if step % 9 == 0:
        return "undo"
    return "delete" if step % 5 == 0 else "empty" if step % 7 == 0 else ""


class Made(NamedTuple):
    """A version: by which step, and its fields, None where it is a deletion."""

    step: int
    fields: Fields | None


class Replay:
    """The versions of each record of *lane* after any number of steps."""

    def __init__(self, lane: int) -> None:
        self.lane, self.steps = lane, 0
        self.entries: dict[int, list[Made]] = {}
        self.tally: list[Made] = []
        self.touched: dict[int, list[list[Made]]] = {0: []}

    def to(self, steps: int) -> Replay:
        while self.steps < steps:
            self.steps += 1
            self.touched[self.steps] = list(self._step(self.steps))
        return self

    def _step(self, step: int):
        lane, change = self.lane, plan(step)

        def now(number: int) -> Fields | None:
            return self.entries[number][-1].fields if number in self.entries else None

        def put(number: int, fields: Fields | None) -> list[Made]:
            self.entries.setdefault(number, []).append(Made(step, fields))
            return self.entries[number]

        if change == "undo":
            for number in range(max(1, step - 5), step):
                versions = self.entries[number]
                if versions[-1].step != step - 1:
                    continue
                yield put(number, versions[-2].fields if len(versions) > 1 else None)
        elif (before := now(step - 1)) is not None:
            yield put(step - 1, before | {"next": step})
        if change == "delete" and now(step - 2) is not None:
            yield put(step - 2, None)
        if change == "empty" and (old := now(step - 3)) is not None:
            yield put(step - 3, old | {"text": ""})
        yield put(step, {"lane": lane, "number": step, "text": text_of(lane, step), "next": 0})
        total = step + (self.tally[-1].fields["total"] if self.tally else 0)
        self.tally.append(Made(step, {"lane": lane, "count": step, "total": total}))
        yield self.tally


def steps_of(storage: Storage, lane: int) -> int:
    with storage() as db:
        tally = _one(db, Tally, lane=lane)
        return 0 if tally is None else tally.count


def take_step(storage: Storage, lane: int, step: int) -> None:
    """One commit. Returns once it was acknowledged."""
    with storage(f"lane {lane} step {step}") as db:
        change = plan(step)
        tally = _one(db, Tally, lane=lane)
        if change == "undo":
            db.undo(tally._txn)
        elif (before := _one(db, Entry, lane=lane, number=step - 1)) is not None:
            before.next = step
        if change == "delete" and (gone := _one(db, Entry, lane=lane, number=step - 2)) is not None:
            db.delete(gone)
        if change == "empty" and (old := _one(db, Entry, lane=lane, number=step - 3)) is not None:
            db.update(old, text="")
        db.insert(Entry, lane=lane, number=step, text=text_of(lane, step))
        tally = tally or db.insert(Tally, lane=lane)
        tally.update({"count": step, "total": step * (step + 1) // 2})


async def take_step_async(storage: Storage, lane: int, step: int) -> None:
    """The same in an `async with`: other methods wait on the store, one after the other."""
    async with storage(f"lane {lane} step {step}") as db:
        change = plan(step)
        tally = await _one_async(db, Tally, lane=lane)
        if change == "undo":
            await db.undo(tally._txn)
        elif (before := await _one_async(db, Entry, lane=lane, number=step - 1)) is not None:
            before.next = step
        if change == "delete" and (gone := await _one_async(db, Entry, lane=lane, number=step - 2)) is not None:
            await db.delete(gone)
        if change == "empty" and (old := await _one_async(db, Entry, lane=lane, number=step - 3)) is not None:
            await db.update(old, text="")
        await db.insert(Entry, lane=lane, number=step, text=text_of(lane, step))
        tally = tally or await db.insert(Tally, lane=lane)
        tally.update({"count": step, "total": step * (step + 1) // 2})


async def _one_async(db: Any, model: type, **equal: Any) -> Any:
    found = await db.find(model, **equal)
    return found[0] if found else None


def _one(db, model, **equal):
    found = db.find(model, **equal)
    return found[0] if found else None


def look_at(url: str, deep: int = DEEP) -> set[int]:
    """Opens the store at *url* as a program does, and looks; then goes through its tables as `limen db check` does."""
    store = dbm.SQLStore(url)
    try:
        found = look(storage_on(store), deep)
    finally:
        store.close()
    for wrong in check(url):
        raise Damaged(f"limen db check: {wrong}")
    return found


def look(storage: Storage, deep: int = DEEP) -> set[int]:
    """The numbers of all commits that are there; raises `Damaged` where one is there in half, or anything is wrong."""
    lanes: dict[int, Replay] = {}
    with storage() as db:
        tallies, entries = db.select(Tally), db.select(Entry)
        for tally in tallies:
            if tally.lane in lanes:
                raise Damaged(f"lane {tally.lane} has two tallies")
            lanes[tally.lane] = replay = Replay(tally.lane).to(tally.count)
            _same(f"the tally of lane {tally.lane}", _fields(tally), replay.tally[-1].fields)
        there: dict[int, dict[int, Fields]] = defaultdict(dict)
        for entry in entries:
            if there[entry.lane].setdefault(entry.number, _fields(entry)) != _fields(entry):
                raise Damaged(f"entry {entry.number} of lane {entry.lane} is there twice")
        for lane, replay in lanes.items():
            _same(
                f"lane {lane}",
                there.pop(lane, {}),
                {n: v[-1].fields for n, v in replay.entries.items() if v[-1].fields},
            )
        if there:
            raise Damaged(f"entries of lanes that have no tally: {sorted(there)}")
        _by_index(db, lanes)
        _by_history(db, storage, lanes, deep)
    return {number_of(lane, step) for lane, replay in lanes.items() for step in range(1, replay.steps + 1)}


def number_of(lane: int, step: int) -> int:
    return step * LANES + lane


def _same(what: str, found: Any, expected: Any) -> None:
    if found != expected:
        if isinstance(found, dict) and isinstance(expected, dict):
            differs = [key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key)][:3]
            found, expected = ({key: side.get(key) for key in differs} for side in (found, expected))
        raise Damaged(f"{what}: found {found!r:.300}, expected {expected!r:.300}")


def _by_index(db: Any, lanes: dict[int, Replay]) -> None:
    """What the indexes find is what is there."""
    for lane, replay in lanes.items():
        live = [number for number, versions in replay.entries.items() if versions[-1].fields is not None]
        found = db.select(Entry, Entry.lane == lane, order_by=Entry.number.desc(), limit=DEEP)
        _same(f"the index of lane {lane}", [record.number for record in found], sorted(live, reverse=True)[:DEEP])
        emptied = db.select(Entry, (Entry.lane == lane) & (Entry.text == ""))
        expected = {n for n in live if replay.entries[n][-1].fields["text"] == ""}
        _same(f"empty texts of lane {lane}", {record.number for record in emptied}, expected)
        counted = db.count(Entry, Entry.lane == lane, cap=1_000_000)
        _same(f"the count of lane {lane}", counted, len(live))


def _by_history(db: Any, storage: Storage, lanes: dict[int, Replay], deep: int) -> None:
    """The change log holds each step once, whole, in order; versions are one line, each with its transaction."""
    log: dict[tuple[int, int], list[Any]] = {}
    last: dict[int, int] = defaultdict(int)
    with storage.changes(after=0) as feed:
        position = 0
        while commits := feed.read():
            for commit in commits:
                if commit.number <= position:
                    raise Damaged(f"the change log gives {commit.number} after {position}")
                position = commit.number
                of = [change for change in commit.changes if change.model == "Tally"]
                if len(of) != 1:
                    raise Damaged(f"transaction {commit.number} changed {len(of)} tallies: {commit.changes!r:.300}")
                log[of[0].uuid, of[0].vsn] = commit, position
    histories: dict[Any, dict[int, Any]] = {}
    tallies = {record.lane: record for record in db.select(Tally)}
    steps = sum(replay.steps for replay in lanes.values())
    _same("transactions in the change log", len(log), steps)
    for lane, replay in lanes.items():
        for step in range(max(1, replay.steps - deep), replay.steps + 1):
            commit, number = log[tallies[lane]._uuid, step]
            if number <= last[lane]:
                raise Damaged(f"lane {lane}, step {step}: its number {number} is not after {last[lane]}")
            last[lane] = number
            found = sorted(_line(db, histories, commit.number, change) for change in commit.changes)
            expected = sorted(_expected(replay, step, versions) for versions in replay.touched[step])
            _same(f"lane {lane}, step {step}", found, expected)


def _line(db: Any, histories: dict[Any, dict[int, Any]], txn: int, change: Any) -> str:
    """A change, with the version that it made, as it stands in the history."""
    if change.uuid not in histories:
        past = db.history({"Tally": Tally, "Entry": Entry}[change.model], change.uuid)
        histories[change.uuid] = {version._vsn: version for version in past}
    past = histories[change.uuid].get(change.vsn)
    if past is None:
        raise Damaged(f"{change} is in the change log and not in the history")
    if past._txn != txn:
        raise Damaged(f"{change} of transaction {txn} is of {past._txn} by its history")
    fields = None if past.deleted else _fields(past)
    return f"{change.model} version {change.vsn} of {past.transaction.reason}: {_text(fields)}"


def _expected(replay: Replay, step: int, versions: list[Made]) -> str:
    vsn = next(n for n, made in enumerate(versions, 1) if made.step == step)
    model = "Tally" if versions is replay.tally else "Entry"
    return f"{model} version {vsn} of lane {replay.lane} step {step}: {_text(versions[vsn - 1].fields)}"


def _fields(record: Any) -> Fields:
    return {name: value for name, value in record.to_dict().items() if not name.startswith("_")}


def _text(fields: Fields | None) -> str:
    return "deleted" if fields is None else repr(sorted(fields.items()))
