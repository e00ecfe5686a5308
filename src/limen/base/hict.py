"""Hict: a dict of dicts that is written and read with dots. Aict: one whose texts become values as they arrive.

    >>> errors = Hict()
    >>> errors.text.bad_type = "int"
    >>> errors["done.missing"] = True
    >>> errors
    Hict({'text': {'bad_type': 'int'}, 'done': {'missing': True}})
    >>> errors.text.bad_type, errors["text.bad_type"], "done.missing" in errors
    ('int', 'int', True)

Reading creates nothing: a Hict that was only looked at is empty, and so falsy.

    >>> errors = Hict()
    >>> bool(errors.anything.at.all), bool(errors), list(errors)
    (False, False, [])
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

_Self = TypeVar("_Self", bound="Hict")
_ABSENT: Any = object()
_DEEPEST = 128


class Hict(dict[Any, Any]):
    """A dict whose branches are reached as attributes or by dotted keys, and come to be when something is put on
    them.

    It equals the plain dict of the same content. Dicts that are put in become branches (copied); lists stay as they
    are. A key that is a method's name (`items`, `update`, …) or begins with "_" is reached as an item only.
    """

    __slots__ = ("_buds", "_name", "_parent")

    _buds: dict[str, Hict] | None
    """Branches that were asked for and have nothing on them yet."""
    _parent: Hict | None
    """Of a bud: where it will be put when something is put on it."""
    _name: str

    def __init__(self, other: Mapping[Any, Any] | Iterable[tuple[Any, Any]] = (), /, **items: Any) -> None:
        super().__init__()
        object.__setattr__(self, "_buds", None)
        object.__setattr__(self, "_parent", None)
        self.update(other, **items)

    # -- attributes
    def __getattr__(self, name: str) -> Any:
        found = dict.get(self, name, _ABSENT)
        if found is not _ABSENT:
            return found
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__} makes nothing of a name that begins with '_': {name!r}")
        buds = self._buds
        if buds is None:
            buds = {}
            object.__setattr__(self, "_buds", buds)
        bud = buds.get(name)
        if bud is None:
            bud = buds[name] = type(self)()
            object.__setattr__(bud, "_parent", self)
            object.__setattr__(bud, "_name", name)
        return bud

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_") or hasattr(type(self), name):
            raise AttributeError(f"{name!r} can't be written as an attribute here; write it as an item: [{name!r}]")
        self._put(name, value)

    def __delattr__(self, name: str) -> None:
        if not dict.__contains__(self, name):
            raise AttributeError(name)
        dict.__delitem__(self, name)

    # -- items
    def __getitem__(self, key: Any) -> Any:
        found = self._find(key)
        if found is _ABSENT:
            raise KeyError(key)
        return found

    def __setitem__(self, key: Any, value: Any) -> None:
        if type(key) is not str or "." not in key:
            self._put(key, value)
            return
        if not all(key.split(".")) or key.count(".") > _DEEPEST:
            raise ValueError(f"{key[:80]!r} is no dotted key: a part is empty, or it is deeper than {_DEEPEST}")
        first, _, rest = key.partition(".")
        below = dict.get(self, first, _ABSENT)
        if below is _ABSENT:
            below = type(self)()
            below[rest] = value
            self._place(first, below)
        elif isinstance(below, Hict):
            below[rest] = value
        else:
            raise TypeError(f"{first!r} holds {type(below).__name__}: nothing can be put below it")

    def __delitem__(self, key: Any) -> None:
        head, _, last = key.rpartition(".") if type(key) is str else ("", "", key)
        branch = self._find(head) if head else self
        if not isinstance(branch, Hict) or not dict.__contains__(branch, last):
            raise KeyError(key)
        dict.__delitem__(branch, last)

    def __contains__(self, key: Any) -> bool:
        return self._find(key) is not _ABSENT

    def get(self, key: Any, default: Any = None) -> Any:
        found = self._find(key)
        return default if found is _ABSENT else found

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: Any, default: Any = _ABSENT) -> Any:
        found = self._find(key)
        if found is _ABSENT:
            if default is _ABSENT:
                raise KeyError(key)
            return default
        del self[key]
        return found

    def update(self, other: Any = (), /, **items: Any) -> None:
        """Puts each item in; a branch that is named replaces the one that was there (`merge` joins them)."""
        for key, value in other.items() if isinstance(other, Mapping) else other:
            self[key] = value
        for key, value in items.items():
            self[key] = value

    def merge(self: _Self, other: Mapping[Any, Any] = {}, /, **items: Any) -> _Self:
        """Puts each item in, branch by branch: what *other* does not name stays. Gives the Hict itself.

        >>> Hict({"a": {"x": 1, "y": 2}}).merge({"a.x": 3}, b=4)
        Hict({'a': {'x': 3, 'y': 2}, 'b': 4})
        """
        for source in (other, items):
            for key, value in source.items():
                below = self._find(key)
                if isinstance(below, Hict) and isinstance(value, Mapping):
                    below.merge(value)
                else:
                    self[key] = value
        return self

    def copy(self: _Self) -> _Self:
        """A Hict of the same content; branches are copied, what hangs on them is not."""
        return type(self)(self)

    def to_dict(self) -> dict[Any, Any]:
        """Plain dicts all the way down, also inside lists and tuples.

        >>> Hict({"a.b": [Hict(c=1)]}).to_dict()
        {'a': {'b': [{'c': 1}]}}
        """
        return {key: _plain(value) for key, value in self.items()}

    def __or__(self: _Self, other: Any) -> _Self:
        return self.copy().merge(other) if isinstance(other, Mapping) else NotImplemented

    def __ror__(self: _Self, other: Any) -> _Self:
        return type(self)(other).merge(self) if isinstance(other, Mapping) else NotImplemented

    def __ior__(self: _Self, other: Any) -> _Self:
        return self.merge(other if isinstance(other, Mapping) else dict(other))

    @classmethod
    def fromkeys(cls: type[_Self], keys: Iterable[Any], value: Any = None) -> _Self:
        return cls((key, value) for key in keys)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.to_dict()!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)

    def __copy__(self: _Self) -> _Self:
        return self.copy()

    # -- inside
    def _leaf(self, value: Any) -> Any:
        """What is put in when *value* is."""
        return value

    def _find(self, key: Any) -> Any:
        found = dict.get(self, key, _ABSENT)
        if found is _ABSENT and type(key) is str and "." in key:
            found = self
            for part in key.split("."):
                found = dict.get(found, part, _ABSENT) if isinstance(found, Hict) else _ABSENT
        return found

    def _put(self, key: Any, value: Any) -> None:
        self._place(key, type(self)(value) if isinstance(value, Mapping) else self._leaf(value))

    def _place(self, key: Any, value: Any) -> None:
        dict.__setitem__(self, key, value)
        if self._buds is not None:
            self._buds.pop(key, None)
        parent = self._parent
        if parent is not None:  # a bud opens: it is put in its place itself, not copied, because someone holds it
            object.__setattr__(self, "_parent", None)
            if parent._buds is not None and parent._buds.get(self._name) is self:
                parent._place(self._name, self)


class Aict(Hict):
    """A Hict whose texts become what they say as they are put in: int, float, Decimal, UUID, date, datetime, by the
    table of `limen.base.parse` and never anything that runs.

    >>> Aict(n="42", when="2026-11-21", name="Ada", code="007")
    Aict({'n': 42, 'when': datetime.date(2026, 11, 21), 'name': 'Ada', 'code': '007'})
    """

    __slots__ = ()

    def _leaf(self, value: Any) -> Any:
        from limen.base.parse import auto_parse  # loaded with the first Aict: a Hict does not need it

        return auto_parse(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Hict):
        return value.to_dict()
    if type(value) is list:
        return [_plain(item) for item in value]
    if type(value) is tuple:
        return tuple(_plain(item) for item in value)
    if type(value) is dict:
        return {key: _plain(item) for key, item in value.items()}
    return value
