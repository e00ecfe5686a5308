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
7. *Who is reading* is a context variable: neither another task's reads nor another thread's are taken for it. A graph
   as a whole belongs to one thread.

How an effect is begun, and those that are async: `effects.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Final, Generic, TypeAlias, TypeVar

T = TypeVar("T")

_DEEPEST: Final = 64
"""Functions of computed values that stand on the stack at once."""
_TURNS: Final = 100
"""How often an effect may run before what set it off is called a circle."""

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

_CURRENT: ContextVar[_Consumer | None] = ContextVar("limen.react.current", default=None)
_BATCH: ContextVar[batch | None] = ContextVar("limen.react.batch", default=None)


def _same(old: object, new: object) -> bool:
    return old is new or (type(old) is type(new) and bool(old == new))


class Value(Generic[T]):
    """A value that is set from outside. Setting one that is equal, and of the same type, is no change.

    *name*: how errors call it.
    """

    __slots__ = ("__weakref__", "_targets", "_value", "_version", "name")

    _sources: Final = None

    def __init__(self, value: T, *, name: str = "") -> None:
        self._value = value
        self._version = 1
        self._targets: dict[_Consumer, None] = {}
        self.name = name or "Value"

    @property
    def value(self) -> T:
        """Reading it inside a computed value or an effect makes that follow it."""
        reader = _CURRENT.get()
        if reader is not None and reader._busy and self not in reader._sources:
            reader._sources[self] = self._version
            if reader._targets:
                self._targets[reader] = None
        return self._value

    @value.setter
    def value(self, new: T) -> None:
        global _clock
        if _same(self._value, new):
            return
        writer = _CURRENT.get()
        if isinstance(writer, Computed) and writer._busy:
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
        "__weakref__", "_busy", "_compute", "_depth", "_error", "_outer", "_seen", "_sources",
        "_stale", "_targets", "_told", "_value", "_version", "name",
    )  # fmt: skip

    def __init__(self, compute: Callable[[], T], *, name: str = "") -> None:
        self._compute = compute
        self.name = name or getattr(compute, "__qualname__", "Computed")
        self._value: Any = None
        self._error: tuple[Exception, TracebackType | None] | None = None
        self._version = 0  # 0: never computed
        self._sources: _Sources = {}
        self._targets: dict[_Consumer, None] = {}
        self._stale = True  # while it is watched
        self._seen = 0  # the clock when it was up to date, while it is not watched
        self._told: batch | None = None  # the batch that marked it last
        self._busy = False
        self._depth = 0
        self._outer: _Consumer | None = None

    @property
    def value(self) -> T:
        """Up to date; raises what the function raised, or Cycle."""
        reader = _CURRENT.get()
        if self._busy:
            raise Cycle(_way_round(self, reader))
        if reader is None or not reader._busy or self in reader._sources:
            if not _is_fresh(self):
                _settle(self, reader)
        else:
            reader._sources[self] = -1  # first, so that whatever happens the reader can let go of it
            if reader._targets:
                _watch(self, reader)
            if not _is_fresh(self):
                _settle(self, reader)
            reader._sources[self] = self._version
        if self._error is not None:
            raise self._error[0].with_traceback(self._error[1])
        return self._value  # type: ignore[no-any-return]

    def peek(self) -> T:
        """The value, up to date, without following it."""
        return untracked(lambda: self.value)

    def __repr__(self) -> str:
        return f"<{self.name}: computed>"

    def _run(self, depth: int) -> None:
        old, self._sources, self._depth = self._sources, {}, depth
        token = _CURRENT.set(self)
        value, error = None, None
        try:
            value = self._compute()
        except Exception as failure:
            error = (failure, failure.__traceback__)
        except BaseException:  # given up half-way: as if it had not been called
            old, self._sources = self._sources, old
            _drop(self, old)
            raise
        finally:
            _CURRENT.reset(token)
        _drop(self, old)
        if error is not None or self._error is not None or self._version == 0 or not _same(self._value, value):
            self._value, self._error = value, error
            self._version += 1


def _is_fresh(node: Computed[Any]) -> bool:
    return not node._stale if node._targets else node._seen == _clock


def _way_round(node: Computed[Any], reader: _Consumer | None) -> list[str]:
    names = [node.name]
    while reader is not None and reader is not node:
        names.append(reader.name)
        reader = reader._outer if isinstance(reader, Computed) else None
    return [*reversed([*names, node.name])] if len(names) > 1 else [node.name, node.name]


# -- marking, watching, letting go ----------------------------------------------------------------------------------


def _tell(value: Value[Any], among: batch) -> None:
    """Marks what is watched below *value*, and queues its effects. One batch may be held open by a task while another
    writes: what the one marked is told to the other's effects all the same."""
    todo: list[Value[Any] | Computed[Any]] = [value]
    while todo:
        for target in todo.pop()._targets:
            if not isinstance(target, Computed):
                among._effects[target] = None
            elif not (target._stale and target._told is among):
                target._stale, target._told = True, among
                todo.append(target)


def _watch(source: Value[Any] | Computed[Any], target: _Consumer) -> None:
    todo: list[tuple[Value[Any] | Computed[Any], _Consumer]] = [(source, target)]
    while todo:
        source, target = todo.pop()
        if isinstance(source, Computed) and not source._targets:
            source._stale = source._seen != _clock
            todo += [(above, source) for above in source._sources]
        source._targets[target] = None


def _unwatch(source: Value[Any] | Computed[Any], target: _Consumer) -> None:
    todo: list[tuple[Value[Any] | Computed[Any], _Consumer]] = [(source, target)]
    while todo:
        source, target = todo.pop()
        if source._targets.pop(target, source) is None and not source._targets and isinstance(source, Computed):
            source._seen = 0 if source._stale else _clock
            source._told = None
            todo += [(above, source) for above in source._sources]


def _drop(consumer: _Consumer, old: _Sources) -> None:
    """Lets go of what *consumer* read the last time and does not read any more."""
    if consumer._targets:
        for source in old:
            if source not in consumer._sources:
                _unwatch(source, consumer)


# -- computing ------------------------------------------------------------------------------------------------------


def _settle(node: Computed[Any], reader: _Consumer | None) -> None:
    """Brings *node* up to date, read by *reader*."""
    depth = reader._depth + 1 if isinstance(reader, Computed) else 0
    if depth >= _DEEPEST:
        raise _Deep(node)
    if depth:
        return _bring(node, reader, depth)
    todo = [node]
    while todo:
        try:
            if not _is_fresh(todo[-1]):
                _bring(todo[-1], reader, 0)
            todo.pop()
        except _Deep as deep:
            todo.append(deep.node)
    return None


def _bring(node: Computed[Any], reader: _Consumer | None, depth: int) -> None:
    frames = [_Frame(node, reader)]
    try:
        while frames:
            frame = frames[-1]
            first = frame.next_stale()
            if first is not None:
                frames.append(_Frame(first, frame.node))
                continue
            if frame.changed:
                frame.node._run(depth)
            circle = frame.node._error is not None and isinstance(frame.node._error[0], Cycle)
            frame.node._stale, frame.node._seen = circle, 0 if circle else _clock
            frames.pop().leave()
    finally:
        while frames:
            frames.pop().leave()


class _Frame:
    """A computed value whose sources are being asked, one after the other."""

    __slots__ = ("changed", "node", "rest", "seen", "source")

    def __init__(self, node: Computed[Any], outer: _Consumer | None) -> None:
        node._busy, node._outer = True, outer
        self.node = node
        self.rest: Iterator[tuple[Value[Any] | Computed[Any], int]] = iter(node._sources.items())
        self.source: Computed[Any] | None = None  # was to be brought up to date
        self.seen = 0
        # A circle may be open by now, and what closed it is not among the sources: reading that raised.
        self.changed = node._version == 0 or (node._error is not None and isinstance(node._error[0], Cycle))

    def leave(self) -> None:
        self.node._busy, self.node._outer = False, None

    def next_stale(self) -> Computed[Any] | None:
        """The source that must be brought up to date first; None: `changed` is decided."""
        if self.source is not None and self.source._version != self.seen:
            self.changed = True
        if self.changed:
            return None
        for source, seen in self.rest:
            if source._version != seen:
                self.changed = True
                return None
            if isinstance(source, Computed) and not _is_fresh(source):
                if source._busy:  # a circle, unless the function does not read it this time: it shall say
                    self.changed = True
                    return None
                self.source, self.seen = source, seen
                return source
        return None


# -- effects --------------------------------------------------------------------------------------------------------


class Effect:
    """A running effect; calling it, or `dispose()`, ends it. Made by `effect()`."""

    __slots__ = ("__weakref__", "_busy", "_cleanup", "_ended", "_function", "_sources", "_targets", "name")

    def __init__(self, function: Callable[[], Any], name: str) -> None:
        self._function = function
        self.name = name or getattr(function, "__qualname__", "effect")
        self._sources: _Sources = {}
        self._targets: Final = True  # it is always watched
        self._busy = False
        self._ended = False
        self._cleanup: Callable[[], object] | None = None

    def __call__(self) -> None:
        self.dispose()

    def dispose(self) -> None:
        """Ends it; in the middle of its run, when that is over. The last clean-up is called."""
        self._ended = True
        if not self._busy:
            self._let_go()

    def _let_go(self) -> None:
        old, self._sources = self._sources, {}
        _drop(self, old)
        self._clean()

    def _clean(self) -> None:
        cleanup, self._cleanup = self._cleanup, None
        if cleanup is not None:
            untracked(cleanup)

    def _is_due(self) -> bool:
        """Whether one of its sources is another now."""
        if self._ended:
            return False
        for source, seen in self._sources.items():
            if isinstance(source, Computed) and source._version == seen and not _is_fresh(source):
                _settle(source, self)
            if source._version != seen:
                return True
        return False

    def _run(self) -> None:
        self._clean()
        old, self._sources, self._busy = self._sources, {}, True
        token = _CURRENT.set(self)
        try:
            result = self._function()
            if callable(result):
                self._cleanup = result
        finally:
            _CURRENT.reset(token)
            self._busy = False
            _drop(self, old)
            if self._ended:
                self._let_go()


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
            self._flush()
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
        self._take_back()
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


def untracked(function: Callable[[], T]) -> T:
    """What *function* returns; whoever reads does not follow what it read.

    >>> from limen.core.react import effect
    >>> seen = Value(1)
    >>> stop = effect(lambda: print(untracked(lambda: seen.value)))
    1
    >>> seen.value = 2
    """
    token = _CURRENT.set(None)
    try:
        return function()
    finally:
        _CURRENT.reset(token)
