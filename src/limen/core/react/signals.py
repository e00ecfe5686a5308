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
2. *A version counts changes.* A consumer has a row of links (`reading.py`), one for each source in the order of use,
   with the version that it saw. It runs again if one of them is another now; sources are asked in that order, so a
   branch no longer taken is not computed. A computed value that comes out equal keeps its version: what is below does
   not run.
3. *Watched means: an effect stands below.* Only then a source knows its targets, and is told when it may be stale. What
   nobody watches is held by nobody, computes when it is read, and only if anything at all was written since (`_clock`).
4. A source is in a consumer's row if and only if, when the consumer is watched, the consumer is in the source's
   `_targets`. This holds also while the consumer runs, for what it has read so far, and after it failed.
5. *Errors are values.* What a computed's function raises is kept, and raised to each reader until a source changes.
   A computed only reads: a write in one is an error. An effect's error goes to whoever wrote, when all have run.
6. *No depth of ours.* Marking, watching and letting go use a list as their stack, checking goes back by `_asker`. Where
   functions themselves lead deeper than `_DEEPEST` into what was never computed, the outermost reader begins again from
   the bottom: then a function is called, given up (by a BaseException) and called again.
7. A graph as a whole belongs to one thread. Who is reading is known for each task and thread.

What an effect is, and those that are async: `effects.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar

from limen.core.react.reading import END, NOBODY, Consumer, Reading, append, current, cut, opened, untracked

if TYPE_CHECKING:
    from limen.core.react.effects import Effect

T = TypeVar("T")

_DEEPEST: Final = 64
"""Functions of computed values that stand on the stack at once."""
_TURNS: Final = 100
"""How often an effect may run before what set it off is called a circle."""

_NONE: Final = object()
"""The value of what was not computed yet, or failed; it is no other's."""
_ALONE: Final = object()
"""Why it may be stale: nobody watches it."""

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


_Source: TypeAlias = "Value[Any] | Computed[Any]"


_BATCH: ContextVar[batch | None] = ContextVar("limen.react.batch", default=None)


def _same(old: object, new: object) -> bool:
    return old is new or (type(old) is type(new) and old == new)


class Value(Generic[T]):
    """A value that is set from outside. Setting one that is equal, and of the same type, is no change.

    *name*: how errors call it.
    """

    __slots__ = ("__weakref__", "_targets", "_value", "_version", "name")

    _sources: Final = None
    _stale: Final = None

    def __init__(self, value: T, *, name: str = "") -> None:
        self._value = value
        self._version = 1
        self._targets: dict[Consumer, None] = {}
        self.name = name or "Value"

    @property
    def value(self) -> T:
        """Reading it inside a computed value or an effect makes that follow it."""
        reader = current().reader
        if reader is not None:
            link = reader._next
            if link.source is self:
                link.version = self._version
                reader._next = link.next
            else:
                _follow(self, reader, NOBODY)
        return self._value

    @value.setter
    def value(self, new: T) -> None:
        global _clock
        if _same(self._value, new):
            return
        writer = current().reader
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


class Computed(Consumer, Generic[T]):
    """What *compute* returns, which reads other values and changes nothing. It is called when somebody reads, and only
    if what it read the last time is another now.

    *name*: how errors call it; without one the function's.
    """

    __slots__ = ("_anew", "_asker", "_compute", "_error", "_stale", "_until", "_value", "_version")

    def __init__(self, compute: Callable[[], T], *, name: str = "") -> None:
        self.name = name or getattr(compute, "__qualname__", "Computed")
        self._sources = {}
        self._first = self._last = self._next = END
        self._aside = None
        self._targets = {}
        self._compute = compute
        self._value: Any = _NONE
        self._error: tuple[Exception, TracebackType | None] | None = None
        self._version = 0  # 0: never computed
        self._stale: object = _ALONE  # why it may be: the batch that said so, or _ALONE
        self._until = 0  # the clock when it was up to date
        self._anew = True  # to be run whatever has become of its sources
        self._asker: Any = None  # while it is being computed: who reads it, or else the Reading

    @property
    def value(self) -> T:
        """Up to date; raises what the function raised, or Cycle."""
        reading = current()
        reader = reading.reader
        if reader is None:
            if self._stale is not None and self._until != _clock:
                _settle(self, reading)
        else:
            link = reader._next
            if link.source is self and (self._stale is None or self._until == _clock):
                link.version = self._version
                reader._next = link.next
            else:
                _follow(self, reader, reading)
        if self._error is not None:
            raise self._error[0].with_traceback(self._error[1])
        return self._value  # type: ignore[no-any-return]

    def peek(self) -> T:
        """The value, up to date, without following it."""
        return untracked(lambda: self.value)

    def __repr__(self) -> str:
        return f"<{self.name}: computed>"


def _way_round(node: Computed[Any], reader: Consumer | None) -> list[str]:
    """From *node*, which is being computed, by what is being computed for it, to *reader*, which reads it."""
    way: list[Any] = [node]
    step: Any = reader
    while step is not node and isinstance(step, Computed):
        way.append(step)
        step = step._asker
    return [step.name for step in (node, *reversed(way))]


# -- following ------------------------------------------------------------------------------------------------------


def _follow(source: Any, reader: Consumer, reading: Reading) -> None:
    """*reader* reads *source*, which is stale, or not what it read here the last time."""
    link = reader._next
    if link.source is not source:
        if reader._sources.get(source, END).at < link.at:  # it has read it before
            if source._stale is not None and source._until != _clock:
                _settle(source, reading)
            return
        if link is not END:
            cut(reader)
        link = append(source, reader)
        if reader._targets and source._targets:
            source._targets[reader] = None
        elif reader._targets:
            _watch(source, reader)
    reader._next = link.next
    if source._stale is not None and source._until != _clock:
        link.version = -1  # should there be none
        _settle(source, reading)
    link.version = source._version


def _let_go(reader: Consumer) -> None:
    """Of what *reader* has not read again."""
    if reader._next is not END:
        cut(reader)
    aside, reader._aside = reader._aside, None
    for source in aside or ():
        _unwatch(source, reader)


# -- marking, watching, letting go ----------------------------------------------------------------------------------


def _tell(value: Value[Any], among: batch) -> None:
    """Marks what is watched below *value*, and queues its effects. One batch may be held open by a task while another
    writes: what the one marked is told to the other's effects all the same."""
    effects = among._effects
    todo: list[Any] = [value._targets]
    for targets in todo:
        for target in targets:
            below = target._targets
            if below is True:
                effects[target] = None
            elif target._stale is not among:
                target._stale = among
                todo.append(below)


def _watch(source: _Source, target: Consumer) -> None:
    todo: list[tuple[_Source, Consumer]] = [(source, target)]
    while todo:
        source, target = todo.pop()
        if isinstance(source, Computed) and not source._targets:
            source._stale = None if source._until == _clock else _ALONE
            todo += [(above, source) for above in source._sources]
        source._targets[target] = None


def _unwatch(source: _Source, target: Consumer) -> None:
    todo: list[tuple[_Source, Consumer]] = [(source, target)]
    while todo:
        source, target = todo.pop()
        if source._targets.pop(target, source) is None and not source._targets and isinstance(source, Computed):
            if source._stale is None:
                source._until = _clock
            source._stale = _ALONE
            todo += [(above, source) for above in source._sources]


# -- computing ------------------------------------------------------------------------------------------------------


def _settle(node: Computed[Any], reading: Reading) -> None:
    """Brings *node* up to date."""
    if node._asker is not None:
        raise Cycle(_way_round(node, reading.reader))
    if reading.depth:
        if reading.depth >= _DEEPEST or node in reading.waiting:
            raise _Deep(node)
        return _bring(node, reading)
    if not reading.open:
        return opened(lambda reading: _settle(node, reading))
    try:
        return _bring(node, reading)
    except _Deep as deep:
        below = deep.node
    waiting = reading.waiting
    waiting[node] = waiting[below] = None
    try:
        while waiting:
            node = next(reversed(waiting))
            try:
                _bring(node, reading)
                del waiting[node]
            except _Deep as deep:
                if deep.node in waiting:
                    raise Cycle([step.name for step in (*waiting, deep.node)]) from None
                waiting[deep.node] = None
    finally:
        waiting.clear()


def _bring(node: Computed[Any], reading: Reading) -> None:
    """Asks the sources of *node* one after the other; what is stale among them is brought up to date first. Runs it if
    one is another now."""
    outer = reading.reader
    node._asker = first = outer or reading
    link, changed = node._first, node._anew
    reading.depth += 1
    try:
        while True:
            while not changed and link is not END:
                source = link.source
                if source._version != link.version:
                    changed = True
                elif source._stale is None or source._until == _clock:
                    link = link.next
                elif source._asker is not None:  # a circle, unless it is not read this time: the function shall say
                    changed = True
                else:
                    node._next = link
                    source._asker = node
                    node = source
                    link, changed = node._first, node._anew
            if changed:
                reading.reader = node
                node._next = node._first
                _run(node)
            if node._anew:
                node._stale, node._until = _ALONE, 0
            else:
                node._stale, node._until = None if node._targets else _ALONE, _clock
            source, node = node, node._asker
            source._asker = None
            if node is first:
                return
            link = node._next
            changed = source._version != link.version
            link = link.next
    finally:
        reading.depth -= 1
        reading.reader = outer
        while node is not first:
            node._asker, node = None, node._asker


def _run(node: Computed[Any]) -> None:
    value: object = _NONE
    error = None
    try:
        value = node._compute()
    except Exception as failure:
        error = (failure, failure.__traceback__)
    except BaseException:
        _give_up(node)
        raise
    if node._next is not END or node._aside:
        _let_go(node)
    old = node._value
    if error is None and (value is old or (type(value) is type(old) and value == old)):  # `_same`, without a call
        node._anew = False
        return
    node._value, node._error = value, error
    # A circle may be open the next time, and what closed it is not among the sources: reading that raised.
    node._anew = error is not None and isinstance(error[0], Cycle)
    node._version += 1


def _give_up(node: Computed[Any]) -> None:
    """It is run again when it is read next, and until then told of all that it read before."""
    if node._version:
        for source in list(node._aside or ()):
            append(source, node)
        node._aside, node._next, node._anew = None, END, True
    else:
        node._next = node._first
        _let_go(node)


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
                opened(self._flush)
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
                    link = target._sources.get(value)
                    if link is not None and link.version == version:
                        link.version = value._version

    def _flush(self, reading: Reading) -> None:
        errors: list[Exception] = []
        turns: dict[Effect, int] = {}
        while self._effects:
            effects, self._effects = self._effects, {}
            for due in effects:
                try:
                    if not due._is_due(reading):
                        continue
                    turns[due] = turn = turns.get(due, 0) + 1
                    if turn > _TURNS:
                        names = [other.name for other, count in turns.items() if count >= _TURNS - 1]
                        errors.append(Cycle([*names, names[0]]))
                        self._effects.clear()
                        break
                    due._run(reading)
                except Exception as error:
                    errors.append(error)
        if len(errors) > 1:
            raise ExceptionGroup("Several effects failed", errors)
        if errors:
            raise errors[0]
