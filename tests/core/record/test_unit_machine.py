"""Units of work on the reference store, compared with a model that replays everything on plain dicts.

The model: after each transaction one dict, uuid to fields. A unit is a list of operations, each a function on such a
dict that gives what the unit must have answered. While the unit runs they are replayed on its snapshot; when it has
committed, on the newest dict there was: that its answers are the same there is what serializable means.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from limen import exc
from limen.core.record.expression import field
from limen.core.record.model import Model
from limen.core.record.port import RecordStore, Transaction
from limen.core.record.unit import Unit
from limen.core.record.uuid7 import Source
from limen.store.memory import MemDictStore

State = dict[bytes, dict[str, Any]]
Operation = Callable[[State], Any]


class Thing:
    pass


class Home:
    def __init__(self, store: RecordStore) -> None:
        self.store, self.model = store, Model(Thing)

    def find(self, cls: type) -> tuple[Model, RecordStore]:
        return self.model, self.store

    def named(self, name: str) -> tuple[Model, RecordStore]:
        return self.model, self.store

    def main(self) -> RecordStore:
        return self.store


# -- what can be asked: of a unit, and of a dict ----------------------------------------------------------
_n = st.integers(0, 3) | st.none()
_pick = st.integers(0, 30)


def _row(record: Any) -> tuple[bytes, dict[str, Any]]:
    return record._key, deepcopy(record._fields)


def _wanted(state: State, test: Callable[[dict[str, Any]], bool]) -> list[tuple[bytes, dict[str, Any]]]:
    return [(key, state[key]) for key in sorted(state) if test(state[key])]


def _below(fields: dict[str, Any], n: int) -> bool:
    return fields["n"] is not None and fields["n"] < n


class Machine(RuleBasedStateMachine):
    @initialize(seed=st.integers(0, 1000))
    def begin_all(self, seed: int) -> None:
        self.home = Home(MemDictStore().records)
        self.uuids = Source(Random(seed).randbytes)
        self.clock = Random(seed)
        self.states: list[State] = [{}]
        self.times: list[float] = [0.0]
        self.keys: list[bytes] = []
        self.unit: Unit | None = None
        self.base: int | None = None
        self.operations: list[tuple[Operation, Any]] = []

    def new(self) -> Unit:
        who = Transaction("here", "ada", None, "", "", "", 0.0)
        return Unit(self.home, who[:6], lambda: self.uuids.next(7), lambda: self.clock.uniform(1, 100))

    def key(self, pick: int) -> bytes:
        return self.keys[pick % len(self.keys)] if self.keys else bytes(16)

    def done(self, operation: Operation, answer: Any, searched: bool = False) -> None:
        """The unit answered *answer* to *operation*. Its snapshot is of when it first asked the store: of records that
        it has at hand it need not."""
        self.operations.append((operation, answer))
        snapshot = self.unit._snapshots[0] if self.unit is not None and self.unit._snapshots else None
        if self.base is None and snapshot is not None and snapshot.at is not None:
            assert snapshot.at == len(self.states) - 1
            self.base = snapshot.at
        assert self.base is not None or not searched
        if self.base is not None:
            self.replay(self.states[self.base])

    def replay(self, state: State) -> State:
        state = deepcopy(state)
        for operation, answer in self.operations:
            assert operation(state) == answer
        return state

    # -- units ---------------------------------------------------------------------------------------
    @precondition(lambda self: self.unit is None)
    @rule()
    def begin(self) -> None:
        self.unit, self.base, self.operations = self.new(), None, []

    @precondition(lambda self: self.unit is not None)
    @rule()
    def discard(self) -> None:
        assert self.unit is not None
        self.unit.discard()
        self.unit = None

    @precondition(lambda self: self.unit is not None)
    @rule()
    def commit(self) -> None:
        assert self.unit is not None
        unit, self.unit = self.unit, None
        try:
            number = unit.commit()
        except (exc.TransactionConflict, exc.RecordVersionMismatch):
            assert self.base is not None
            assert self.base < len(self.states) - 1  # never where nobody has come between
            return
        if number is not None:
            self.committed(number, self.replay(self.states[-1]))

    def committed(self, number: int, state: State) -> None:
        assert number == len(self.states)
        self.states.append(state)
        by = self.home.store.transaction("here", number)
        assert by is not None
        assert by.time >= self.times[-1]
        self.times.append(by.time)

    @rule(n=_n, pick=_pick, how=st.sampled_from(["insert", "update", "delete"]))
    def another_commits(self, n: int | None, pick: int, how: str) -> None:
        other, state, key = self.new(), deepcopy(self.states[-1]), self.key(pick)
        if how == "insert" or key not in state:
            made = other.insert(Thing, n=n, by="another")
            self.keys.append(made._key)
            state[made._key] = {"n": n, "by": "another"}
        elif how == "update":
            other.fetch(Thing, _uuid(key)).n = n
            state[key]["n"] = n
        else:
            other.delete(other.fetch(Thing, _uuid(key)))
            del state[key]
        number = other.commit()
        if number is not None:
            self.committed(number, state)

    # -- writing -------------------------------------------------------------------------------------
    @precondition(lambda self: self.unit is not None)
    @rule(n=_n)
    def insert(self, n: int | None) -> None:
        self.done(*self._insert(n))

    def _insert(self, n: int | None) -> tuple[Operation, Any]:
        made = self.unit.insert(Thing, n=n, by="me")  # type: ignore[union-attr]
        self.keys.append(made._key)
        return lambda state: state.update({made._key: {"n": n, "by": "me"}}), None

    @precondition(lambda self: self.unit is not None)
    @rule(pick=_pick, n=_n, explicit=st.booleans())
    def update(self, pick: int, n: int | None, explicit: bool) -> None:
        self.done(*self._update(pick, n, explicit))

    def _update(self, pick: int, n: int | None, explicit: bool) -> tuple[Operation, Any]:
        key, unit = self.key(pick), self.unit
        assert unit is not None
        record = unit.fetch(Thing, _uuid(key), fail=False)
        if record and explicit:
            unit.update(record, n=n)
        elif record:
            record.n = n

        def operation(state: State) -> bool:
            if key in state:
                state[key]["n"] = n
            return key in state

        return operation, bool(record)

    @precondition(lambda self: self.unit is not None)
    @rule(pick=_pick)
    def delete(self, pick: int) -> None:
        self.done(*self._delete(pick))

    def _delete(self, pick: int) -> tuple[Operation, Any]:
        key, unit = self.key(pick), self.unit
        assert unit is not None
        record = unit.fetch(Thing, _uuid(key), fail=False)
        if record:
            unit.delete(record)
        return lambda state: state.pop(key, None) is not None, bool(record)

    @precondition(lambda self: self.unit is not None)
    @rule(
        steps=st.lists(st.tuples(st.sampled_from(["insert", "update", "delete"]), _pick, _n), max_size=4),
        fails=st.booleans(),
    )
    def savepoint(self, steps: list[tuple[str, int, int | None]], fails: bool) -> None:
        unit, inner = self.unit, []
        assert unit is not None
        try:
            with unit.savepoint():
                for what, pick, n in steps:
                    if what == "insert":
                        inner.append(self._insert(n))
                    elif what == "update":
                        inner.append(self._update(pick, n, explicit=pick % 2 == 0))
                    else:
                        inner.append(self._delete(pick))
                if fails:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            assert fails

        def operation(state: State) -> list[Any]:
            working = deepcopy(state)
            answers = [step(working) for step, _ in inner]
            if not fails:
                state.clear()
                state.update(working)
            return answers

        self.done(operation, [answer for _, answer in inner])

    # -- reading -------------------------------------------------------------------------------------
    @precondition(lambda self: self.unit is not None)
    @rule(pick=_pick)
    def fetch(self, pick: int) -> None:
        key = self.key(pick)
        record = self.unit.fetch(Thing, _uuid(key), fail=False)  # type: ignore[union-attr]
        self.done(lambda state: deepcopy(state.get(key)), deepcopy(record._fields) if record else None)

    @precondition(lambda self: self.unit is not None)
    @rule(n=st.integers(0, 4), how=st.sampled_from(["expression", "function", "find", "all", "count", "acl"]))
    def search(self, n: int, how: str) -> None:
        unit = self.unit
        assert unit is not None
        answer, operation = _search(unit, n, how)
        self.done(operation, answer, searched=True)

    @precondition(lambda self: self.unit is not None)
    @rule(
        n=st.integers(0, 4),
        limit=st.integers(1, 4),
        descending=st.booleans(),
        ordered=st.booleans(),
        how=st.sampled_from(["expression", "function", "all"]),
    )
    def pages(self, n: int, limit: int, descending: bool, ordered: bool, how: str) -> None:
        unit = self.unit
        assert unit is not None
        where: Any = {"expression": field("n") < n, "function": lambda r: _below(r, n), "all": None}[how]
        order = None if not ordered else field("n").desc() if descending else field("n")
        answer: list[list[tuple[bytes, dict[str, Any]]]] = []
        after = None
        while after is not None or not answer:
            page = unit.select(Thing, where, order_by=order, limit=limit, after=after)
            answer.append([_row(record) for record in page])
            after = page.cursor

        def operation(state: State) -> Any:
            found = [(k, deepcopy(f)) for k, f in _wanted(state, lambda f: how == "all" or _below(f, n))]
            if ordered:
                found.sort(key=lambda each: (each[1]["n"] is not None, each[1]["n"] or 0, each[0]), reverse=descending)
            return [found[start : start + limit] for start in range(0, len(found), limit)] or [[]]

        self.done(operation, answer, searched=True)

    # -- the past ------------------------------------------------------------------------------------
    @rule(n=st.integers(0, 4), how=st.sampled_from(["expression", "function", "find", "all", "count", "acl"]))
    def every_past_is_as_it_was(self, n: int, how: str) -> None:
        unit = self.unit or self.new()
        for number, state in enumerate(self.states):
            answer, operation = _search(unit.as_of(number), n, how)
            assert answer == operation(deepcopy(state))
        last = max((number for number, time in enumerate(self.times) if time <= 50.0), default=0)
        assert unit.as_of(50.0).count(Thing) == len(self.states[last])

    @rule(pick=_pick)
    def history_says_what_was(self, pick: int) -> None:
        key = self.key(pick)
        told = {past._txn: None if past.deleted else past._fields for past in self.new().history(Thing, _uuid(key))}
        before = None
        for number, state in enumerate(self.states):
            if state.get(key) != before:
                assert told[number] == state.get(key)
            elif number in told:
                assert told[number] == before
            before = state.get(key)

    @precondition(lambda self: len(self.states) > 1)
    @rule(pick=_pick)
    def undo(self, pick: int) -> None:
        number = 1 + pick % (len(self.states) - 1)
        before, after, state = self.states[number - 1], self.states[number], deepcopy(self.states[-1])
        history = [past for key in self.keys for past in self.new().history(Thing, _uuid(key))]
        blocked = False
        for past in [past for past in history if past._txn == number]:
            key = past._key
            newest = max((other for other in history if other._key == key), key=lambda other: other._vsn)
            if key not in before or key not in after:
                blocked = blocked or newest._vsn != past._vsn
                state.pop(key, None)
                if key in before:
                    state[key] = deepcopy(before[key])
            else:
                names = [name for name in ("n", "by") if before[key][name] != after[key][name]]
                if key not in state or any(state[key][name] != after[key][name] for name in names):
                    blocked = True
                else:
                    state[key].update({name: before[key][name] for name in names})
        unit = self.new()
        try:
            undone = unit.undo(number)
        except exc.UndoRefused:
            assert blocked
            assert unit.commit() is None
        else:
            assert not blocked
            assert {record._key for record in undone} == {past._key for past in history if past._txn == number}
            made = unit.commit()
            assert made is not None
            self.committed(made, state)


def _search(unit: Any, n: int, how: str) -> tuple[Any, Operation]:
    """What *unit* answers, and how to find that in a dict."""
    if how == "count":
        return unit.count(Thing, field("n") >= n, cap=2), lambda state: min(
            2, len(_wanted(state, lambda f: f["n"] is not None and f["n"] >= n))
        )
    if how == "find":
        found = unit.find(Thing, n=n, by="me")
        return [_row(r) for r in found], lambda state: deepcopy(_wanted(state, lambda f: f == {"n": n, "by": "me"}))
    if how == "acl":
        found = unit.select(Thing, field("n") != n, acl=lambda r: r.by == "me")
        return [_row(r) for r in found], lambda state: deepcopy(
            _wanted(state, lambda f: f["n"] != n and f["by"] == "me")
        )
    where: Any = {"expression": field("n") < n, "function": lambda r: _below(r, n), "all": None}[how]
    return [_row(r) for r in unit.select(Thing, where)], lambda state: deepcopy(
        _wanted(state, lambda f: how == "all" or _below(f, n))
    )


def _uuid(key: bytes) -> UUID:
    return UUID(bytes=key)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=120, stateful_step_count=50, deadline=None)
