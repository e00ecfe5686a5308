"""Values, computed values and effects: who read what is seen, and what changed is told to them.

    >>> from limen.core.react import Computed, Value, batch, effect
    >>> price, count = Value(3), Value(2)
    >>> total = Computed(lambda: price.value * count.value)
    >>> stop = effect(lambda: print("total", total.value))
    total 6
    >>> with batch():
    ...     price.value = 4
    ...     count.value = 5
    total 20
    >>> stop()
    >>> price.value = 100

The ideas are those of @preact/signals-core, on which the JavaScript half stands; `vectors/react.json` holds both to
the same behaviour. What holds at any time:

1. *Push marks, pull computes.* A write marks what is watched below it as stale and queues effects; it runs nothing.
   Only a reader, or an effect whose turn it is, computes. So nobody ever sees a value made of old and new parts.
2. *A version counts changes.* A consumer holds, of each source in the order of use, the version that it saw. It runs
   again if one of them is another now; sources are asked in that order, so a branch no longer taken is not computed.
   A computed value that comes out equal keeps its version: what is below does not run.
3. *Watched means: an effect stands below.* Only then a source knows its targets. What nobody watches is held by nobody,
   computes when it is read, and only if anything at all was written since (`_clock`).
4. A source is in a consumer's `_sources` if and only if, when the consumer is watched, the consumer is in the source's
   `_targets`. This holds also while the consumer runs, for what it has read so far, and after it failed.
5. *Errors are values.* What a computed's function raises is kept, and raised to each reader until a source changes.
   A computed only reads: a write in one is an error. An effect's error goes to whoever wrote, when all have run.
6. *No depth of ours.* Marking, checking, watching and letting go use a list as their stack. Where functions themselves
   lead deeper than `_DEEPEST` into what was never computed, the outermost reader begins again from the bottom: then a
   function is called, given up (by a BaseException) and called again.
7. *Who is reading* is found by a context variable: neither another task's reads nor another thread's are taken for
   it. A graph as a whole belongs to one thread.

What an effect is, and those that are async: `effects.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar

if TYPE_CHECKING:
    from limen.core.react.effects import Effect

T = TypeVar("T")

_DEEPEST: Final = 64
"""Functions of computed values that stand on the stack at once."""
_TURNS: Final = 100
"""How often an effect may run before what set it off is called a circle."""

_ALWAYS: Final = sys.maxsize
"""A time that never comes: what is up to date until then need not ask."""

_NONE: Final = object()
"""The value of what was not computed yet, or failed; it is no other's."""

_clock: int = 1  # counts all writes


class Cycle(RuntimeError):
    """What is read depends on itself; the message names the way round."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(" → ".join(names) + " go in a circle: one of them must not read or set what the others do.")
        self.names = names


class _Deep(BaseException):
    """Functions stand too deep in each other; *node* comes first. No program's `except Exception` has it."""

    def __init__(self, node: Computed[Any]) -> None:
        self.node = node


_Sources: TypeAlias = "dict[Value[Any] | Computed[Any], int]"
_Consumer: TypeAlias = "Computed[Any] | Effect"


class _Reading:
    """One stack of functions that read. It is written to while it is *open*; a task that was started meanwhile finds
    it closed, with nobody reading."""

    __slots__ = ("depth", "open", "reader", "waiting")

    def __init__(self, reader: _Consumer | None = None, *, open: bool = True) -> None:
        self.reader = reader
        self.open = open
        self.depth = 0  # how many functions of computed values stand in each other
        self.waiting: dict[Computed[Any], None] = {}  # those that were too deep, outermost first


_NOBODY: Final = _Reading(open=False)
_CURRENT: ContextVar[_Reading] = ContextVar("limen.react.current", default=_NOBODY)
_BATCH: ContextVar[batch | None] = ContextVar("limen.react.batch", default=None)


def _same(old: object, new: object) -> bool:
    return old is new or (type(old) is type(new) and old == new)


class Value(Generic[T]):
    """A value that is set from outside. Setting one that is equal, and of the same type, is no change.

    *name*: how errors call it.
    """

    __slots__ = ("__weakref__", "_targets", "_value", "_version", "name")

    _sources: Final = None
    _until: Final = _ALWAYS

    def __init__(self, value: T, *, name: str = "") -> None:
        self._value = value
        self._version = 1
        self._targets: dict[_Consumer, None] = {}
        self.name = name or "Value"

    @property
    def value(self) -> T:
        """Reading it inside a computed value or an effect makes that follow it."""
        reader = _CURRENT.get().reader
        if reader is not None and self not in reader._sources:
            reader._sources[self] = self._version
            if reader._targets and reader not in self._targets:
                self._targets[reader] = None
                reader._moved = True
        return self._value

    @value.setter
    def value(self, new: T) -> None:
        global _clock
        if _same(self._value, new):
            return
        writer = _CURRENT.get().reader
        if isinstance(writer, Computed):
            raise RuntimeError(f"{writer.name} sets {self.name}: a computed value only reads. Set it in an effect.")
        among = _BATCH.get()
        if among is not None and among._open:
            among._note(self)
        self._value = new
        self._version += 1
        _clock += 1
        if not self._targets:
            return
        if among is not None and among._open:
            _tell(self, among)
        else:
            with batch() as among:
                _tell(self, among)

    def peek(self) -> T:
        """The value, without following it."""
        return self._value

    def __repr__(self) -> str:
        return f"<{self.name}: {self._value!r}>"


class Computed(Generic[T]):
    """What *compute* returns, which reads other values and changes nothing. It is called when somebody reads, and only
    if what it read the last time is another now.

    *name*: how errors call it; without one the function's.
    """

    __slots__ = (
        "__weakref__", "_anew", "_busy", "_compute", "_error", "_moved", "_sources", "_targets", "_told",
        "_until", "_value", "_version", "name",
    )  # fmt: skip

    _acts: Final = False

    def __init__(self, compute: Callable[[], T], *, name: str = "") -> None:
        self._compute = compute
        self.name = name or getattr(compute, "__qualname__", "Computed")
        self._value: Any = _NONE
        self._error: tuple[Exception, TracebackType | None] | None = None
        self._version = 0  # 0: never computed
        self._sources: _Sources = {}
        self._targets: dict[_Consumer, None] = {}
        self._until = 0  # the clock when it was up to date; while it is watched _ALWAYS, or 0: it is stale
        self._told: batch | None = None  # the batch that marked it last
        self._anew = True  # to be run whatever has become of its sources
        self._moved = False  # it has read what it did not read the last time
        self._busy = False

    @property
    def value(self) -> T:
        """Up to date; raises what the function raised, or Cycle."""
        reading = _CURRENT.get()
        reader = reading.reader
        if reader is None or self in reader._sources:
            if self._until < _clock:
                _settle(self, reading)
        else:
            if reader._targets and reader not in self._targets:
                reader._sources[self], reader._moved = -1, True
                _watch(self, reader)
            if self._until < _clock:
                reader._sources[self] = -1  # first, so that whatever happens the reader can let go of it
                _settle(self, reading)
            reader._sources[self] = self._version
        if self._error is not None:
            raise self._error[0].with_traceback(self._error[1])
        return self._value  # type: ignore[no-any-return]

    def peek(self) -> T:
        """The value, up to date, without following it."""
        return untracked(lambda: self.value)

    def __repr__(self) -> str:
        return f"<{self.name}: computed>"

    def _run(self, reading: _Reading) -> None:
        old, self._sources, self._moved = self._sources, {}, False
        outer, reading.reader = reading.reader, self
        value: object = _NONE
        error = None
        try:
            value = self._compute()
        except Exception as failure:
            error = (failure, failure.__traceback__)
        except BaseException:  # given up half-way: as if it had not been called
            old, self._sources = self._sources, old
            _drop(self, old)
            raise
        finally:
            reading.reader = outer
        if self._moved or len(old) != len(self._sources):
            _drop(self, old)
        old_value = self._value
        if error is None and (value is old_value or (type(value) is type(old_value) and value == old_value)):
            return  # `_same`, without a call
        self._value, self._error = value, error
        # A circle may be open the next time, and what closed it is not among the sources: reading that raised.
        self._anew = error is not None and isinstance(error[0], Cycle)
        self._version += 1


def _way_round(node: Computed[Any], reader: _Consumer | None) -> list[str]:
    """From *node*, which is being computed, by what is being computed for it, to *reader*, which reads it."""
    way, passed = [node], {node}
    while way and way[-1] is not reader:
        busy = (source for source in way[-1]._sources if isinstance(source, Computed) and source._busy)
        below = next((source for source in busy if source not in passed), None)
        if below is None:
            way.pop()
        else:
            way.append(below)
            passed.add(below)
    return [*(step.name for step in way or [node]), node.name]


# -- marking, watching, letting go ----------------------------------------------------------------------------------


def _tell(value: Value[Any], among: batch) -> None:
    """Marks what is watched below *value*, and queues its effects. One batch may be held open by a task while another
    writes: what the one marked is told to the other's effects all the same."""
    todo: list[Any] = [value]
    while todo:
        for target in todo.pop()._targets:
            if target._acts:
                among._effects[target] = None
            elif target._until or target._told is not among:
                target._until, target._told = 0, among
                todo.append(target)


def _watch(source: Value[Any] | Computed[Any], target: _Consumer) -> None:
    todo: list[tuple[Value[Any] | Computed[Any], _Consumer]] = [(source, target)]
    while todo:
        source, target = todo.pop()
        if isinstance(source, Computed) and not source._targets:
            source._until = 0 if source._until < _clock else _ALWAYS
            todo += [(above, source) for above in source._sources]
        source._targets[target] = None


def _unwatch(source: Value[Any] | Computed[Any], target: _Consumer) -> None:
    todo: list[tuple[Value[Any] | Computed[Any], _Consumer]] = [(source, target)]
    while todo:
        source, target = todo.pop()
        if source._targets.pop(target, source) is None and not source._targets and isinstance(source, Computed):
            source._until = 0 if source._until < _clock else _clock
            source._told = None
            todo += [(above, source) for above in source._sources]


def _drop(consumer: _Consumer, old: _Sources) -> None:
    """Lets go of what *consumer* read the last time and does not read any more."""
    if consumer._targets:
        for source in old:
            if source not in consumer._sources:
                _unwatch(source, consumer)


# -- computing ------------------------------------------------------------------------------------------------------


def _settle(node: Computed[Any], reading: _Reading) -> None:
    """Brings *node* up to date."""
    if node._busy:
        raise Cycle(_way_round(node, reading.reader))
    if reading.depth:
        if reading.depth >= _DEEPEST or node in reading.waiting:
            raise _Deep(node)
        return _bring(node, reading)
    if not reading.open:
        return _opened(lambda reading: _settle(node, reading))
    waiting = reading.waiting
    waiting[node] = None
    try:
        while waiting:
            node = next(reversed(waiting))
            try:
                if node._until < _clock:
                    _bring(node, reading)
                del waiting[node]
            except _Deep as deep:
                if deep.node in waiting:
                    raise Cycle([step.name for step in (*waiting, deep.node)]) from None
                waiting[deep.node] = None
    finally:
        waiting.clear()
    return None


def _opened(function: Callable[[_Reading], T], reader: _Consumer | None = None) -> T:
    """Calls *function* with an open reading, of which *reader* is the one who reads."""
    reading = _CURRENT.get()
    if reading.open:
        outer, reading.reader = reading.reader, reader
        try:
            return function(reading)
        finally:
            reading.reader = outer
    reading = _Reading(reader)
    token = _CURRENT.set(reading)
    try:
        return function(reading)
    finally:
        _CURRENT.reset(token)
        reading.open, reading.reader = False, None


def _bring(node: Computed[Any], reading: _Reading) -> None:
    """Asks the sources of *node* one after the other; what is stale among them is brought up to date first."""
    waiting = []  # for one of their sources: themselves, their other sources, and the version of that one that they saw
    rest: Iterator[tuple[Any, int]] = iter(node._sources.items())
    changed = node._anew
    node._busy = True
    reading.depth += 1
    try:
        while True:
            stale = None
            if not changed:
                for source, seen in rest:
                    if source._version != seen:
                        changed = True
                        break
                    if source._until < _clock:
                        if source._busy:  # a circle, unless the function does not read it this time: it shall say
                            changed = True
                        else:
                            stale = source
                        break
            if stale is not None:
                waiting.append((node, rest, seen))
                node, rest, changed = stale, iter(stale._sources.items()), stale._anew
                node._busy = True
                continue
            if changed:
                node._run(reading)
            node._until = 0 if node._anew else _ALWAYS if node._targets else _clock
            node._busy = False
            if not waiting:
                return
            version = node._version
            node, rest, seen = waiting.pop()
            changed = version != seen
    finally:
        reading.depth -= 1
        node._busy = False
        for node, _, _ in waiting:
            node._busy = False


# -- batches --------------------------------------------------------------------------------------------------------


class batch:  # noqa: N801 - reads as a verb: `with batch():`
    """Effects wait until the outermost `with batch():` of this task ends; reads inside see what was written.

    A value that is what it was before, at the end, was not changed.
    """

    __slots__ = ("_effects", "_firsts", "_open", "_token")

    def __init__(self) -> None:
        self._effects: dict[Effect, None] = {}
        self._firsts: dict[Value[Any], tuple[object, int]] | None = {}
        self._open = False
        self._token: Token[batch | None] | None = None

    def __enter__(self) -> batch:
        outer = _BATCH.get()
        if outer is not None and outer._open:
            return outer
        self._open = True
        self._token = _BATCH.set(self)
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._token is None:
            return
        try:
            self._take_back()
            if self._effects:
                _opened(lambda _: self._flush())
        finally:
            self._open = False
            _BATCH.reset(self._token)
            self._token = None

    def _note(self, value: Value[Any]) -> None:
        if self._firsts is not None:
            self._firsts.setdefault(value, (value._value, value._version))

    def _take_back(self) -> None:
        """Those who saw the version of before the batch see that of now, where the value is the same again. Versions
        only ever grow: somebody may have seen one of those between."""
        firsts, self._firsts = self._firsts or {}, None
        for value, (old, version) in firsts.items():
            if value._version != version and _same(old, value._value):
                for target in value._targets:
                    if target._sources.get(value) == version:
                        target._sources[value] = value._version

    def _flush(self) -> None:
        errors: list[Exception] = []
        turns: dict[Effect, int] = {}
        while self._effects:
            due = next(iter(self._effects))
            del self._effects[due]
            try:
                if not due._is_due():
                    continue
                turns[due] = turns.get(due, 0) + 1
                if turns[due] > _TURNS:
                    names = [other.name for other, count in turns.items() if count >= _TURNS - 1]
                    self._effects.clear()
                    raise Cycle([*names, names[0]])
                due._run()
            except Exception as error:
                errors.append(error)
        if len(errors) > 1:
            raise ExceptionGroup("Several effects failed", errors)
        if errors:
            raise errors[0]


def is_followed() -> bool:
    """Whether what is read now is followed: a computed value or an effect reads."""
    return _CURRENT.get().reader is not None


def untracked(function: Callable[[], T]) -> T:
    """What *function* returns; whoever reads does not follow what it read.

    >>> from limen.core.react import effect
    >>> seen = Value(1)
    >>> stop = effect(lambda: print(untracked(lambda: seen.value)))
    1
    >>> seen.value = 2
    """
    token = _CURRENT.set(_NOBODY)
    try:
        return function()
    finally:
        _CURRENT.reset(token)
