"""ReactiveDict: a dictionary of immutable values whose readers follow the keys they read; it says what changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Final, Generic, NamedTuple, TypeVar
from weakref import WeakValueDictionary

from limen.core.react.effects import effect
from limen.core.react.reading import current, untracked
from limen.core.react.signals import Value, _same, batch

K = TypeVar("K")
V = TypeVar("V")


class _Absent:
    """No value: what `old` is of a key that was added, and `new` of one that was removed."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


class Change(NamedTuple):
    """One key that has another value now. Values are ABSENT where there is none."""

    key: Any
    old: Any
    new: Any

    @property
    def kind(self) -> str:
        """'added', 'removed' or 'changed'."""
        return "added" if self.old is ABSENT else "removed" if self.new is ABSENT else "changed"


Listener = Callable[[tuple[Change, ...]], object]


class ReactiveDict(MutableMapping[K, V], Generic[K, V]):
    """A dictionary. Reading a key inside a computed value or an effect follows that key alone, one that is absent too;
    its length and its keys are followed as one.

        >>> todo = ReactiveDict(milk=1)
        >>> stop = effect(lambda: print("milk", todo.get("milk")))
        milk 1
        >>> undo = todo.watch(lambda changes: print(changes))
        >>> todo["bread"] = 2
        (Change(key='bread', old=ABSENT, new=2),)
        >>> todo["milk"] = 3
        (Change(key='milk', old=1, new=3),)
        milk 3
    """

    __slots__ = ("_cells", "_data", "_logs", "_revision", "_shape", "name")

    def __init__(self, *data: Mapping[K, V] | Iterable[tuple[K, V]], name: str = "", **more: V) -> None:
        self._data: dict[Any, V] = dict(*data, **more)
        self.name = name or "ReactiveDict"
        self._cells: WeakValueDictionary[K, Value[Any]] | None = None  # held by those who read them
        self._shape = Value(0, name=f"{self.name}, its keys")
        self._revision = Value(0, name=f"{self.name}, its changes")
        self._logs: tuple[Log, ...] = ()

    def __getitem__(self, key: K) -> V:
        found = self._read(key)
        if found is ABSENT:
            raise KeyError(key)
        return found  # type: ignore[no-any-return]

    def __setitem__(self, key: K, value: V) -> None:
        self._put(key, value)

    def __delitem__(self, key: K) -> None:
        if key not in self._data:
            raise KeyError(key)
        self._put(key, ABSENT)

    def __contains__(self, key: object) -> bool:
        return self._read(key) is not ABSENT

    def __iter__(self) -> Iterator[K]:
        self._shape.value  # noqa: B018 - read to be followed
        return iter(list(self._data))

    def __len__(self) -> int:
        self._shape.value  # noqa: B018
        return len(self._data)

    def __repr__(self) -> str:
        return f"{self.name}({self._data!r})"

    def update(self, *data: Any, **more: Any) -> None:
        """As a dictionary's; one change for those who follow."""
        with batch():
            super().update(*data, **more)

    def clear(self) -> None:
        """Removes every key; one change for those who follow."""
        with batch():
            for key in list(self._data):
                self._put(key, ABSENT)

    def watch(self, listener: Listener) -> Callable[[], None]:
        """Tells *listener* the changes of each batch: one for each key that has another value at the end of it. What is
        returned ends it when it is called. The order of keys is not told."""
        log = self.log(lambda: (told := log.take()) and listener(told))
        return log.close

    def log(self, due: Callable[[], object]) -> Log:
        """What changes from now on, for who asks for it in his own time. *due* is called at the end of each batch in
        which something may have changed."""
        return Log(self, due)

    def _put(self, key: K, value: Any) -> None:
        old = self._data.get(key, ABSENT)
        if _same(old, value):
            return
        with batch():
            self._revision.value = self._revision.peek() + 1  # refused in a computed value, before anything changes
            for log in self._logs:
                if log.before.setdefault(key, old) is ABSENT and value is ABSENT:
                    del log.before[key]  # it came and went between
            if value is ABSENT:
                del self._data[key]
            else:
                self._data[key] = value
            cell = None if self._cells is None else self._cells.get(key)
            if cell is not None:
                cell.value = value
            if old is ABSENT or value is ABSENT:
                self._shape.value = self._shape.peek() + 1

    def _read(self, key: Any) -> Any:
        if current().reader is None:
            return self._data.get(key, ABSENT)
        return self._cell(key).value

    def _cell(self, key: K) -> Value[Any]:
        if self._cells is None:
            self._cells = WeakValueDictionary()
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = Value(self._data.get(key, ABSENT), name=f"{self.name}[{key!r}]")
        return cell


class Log:
    """What has changed in a dictionary since it was asked last: one change for each key that has another value now,
    however often it has changed, so it grows no larger than what was there and what is there."""

    __slots__ = ("_data", "_stop", "before")

    def __init__(self, data: ReactiveDict[Any, Any], due: Callable[[], object]) -> None:
        self._data = data
        self.before: dict[Any, Any] = {}
        data._logs = (*data._logs, self)

        def tell() -> None:
            data._revision.value  # noqa: B018 - read to be followed
            if self.before:
                untracked(due)

        self._stop = effect(tell, name=f"{data.name}, a listener")

    def take(self) -> tuple[Change, ...]:
        """The changes, in no order that is told."""
        before, self.before = self.before, {}
        now = self._data._data
        changes = (Change(key, was, now.get(key, ABSENT)) for key, was in before.items())
        return tuple(change for change in changes if not _same(change.old, change.new))

    def close(self) -> None:
        """Ends it."""
        self._stop()
        self._data._logs = tuple(log for log in self._data._logs if log is not self)
