"""What a class declares: its calls, its signals, its handlers; one frozen table a class, along the class hierarchy.

    >>> class Third:
    ...     @handler("@first.second")
    ...     def do_on_second_foo(self, *args): ...
    ...     @call
    ...     async def rpc(self, something): ...
    ...     @call("total")
    ...     def sum(self): ...
    >>> declared(Third).calls["total"], declared(Third).elsewhere
    ('sum', (Listens(attribute='do_on_second_foo', address='@first.second', signal=None),))

As a Python programmer expects:

- A method that overrides one with a decorator stays what that was: same name for callers, same place in the order.
- A decorator on it says anew what it is. `rpc = None` takes it away.
- A mistake is a TypeError when the class is made (a Node's; another class's when it is first used).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, NoReturn, TypeAlias, TypeVar, overload

from limen.base.path import Path

F = TypeVar("F", bound=Callable[..., Any])

Order: TypeAlias = Literal["top-down", "bottom-up"]

LOCAL: Final = "on_node_"
"""Signals whose names begin so never leave their node."""

_MARKS = "_limen_declares"
_TABLE = "_limen_declared"


class _Mark(NamedTuple):
    """What a decorator said of a method. *what*: a call's name (None: that of the attribute), a handler's address."""

    kind: str
    what: str | None


class DeclaredSignal:
    """A signal, as far as its class declares it (`signal.Signal` is one): its *name*, and the *order* of the handlers
    that the class declares for it."""

    __slots__ = ("name", "order")

    name: str
    order: Order


class Listens(NamedTuple):
    """A handler for signals of another node. *address* is that node's: `@first.second`, `#view`, `@` (the base itself);
    *signal* the one it wants; None: all."""

    attribute: str
    address: str
    signal: str | None


@dataclass(frozen=True, slots=True)
class Declared:
    """*calls*: name to attribute, "." is the node itself. *signals*: by name. *own*: name of a signal of the class to
    the attributes that handle it, in the order it asks for. *elsewhere*: the other handlers, base classes first."""

    calls: Mapping[str, str]
    signals: Mapping[str, DeclaredSignal]
    own: Mapping[str, tuple[str, ...]]
    elsewhere: tuple[Listens, ...]


@overload
def call(method: F, /) -> F: ...
@overload
def call(name: str | None = None, /) -> Callable[[F], F]: ...
def call(what: Any = None, /) -> Any:
    """The method can be called from elsewhere: `@call`, or `@call()`, by its own name, `@call("name")` by that one,
    `@call(".")` at the address of the node itself. It may be a def, an async def, or yield. Here it stays the method it
    is."""
    return partial(_mark, "call", what) if what is None or isinstance(what, str) else _mark("call", None, what)


def handler(address: str) -> Callable[[F], F]:
    """The method handles signals:

    - `@handler("on_foo")`: that of the object itself;
    - `@handler("@first.second")`: every signal of exactly that node, which may stand anywhere in the tree;
    - `@handler("@first.second.on_foo")`: that one; `@handler("#view.on_foo")`: by its role.
    """
    if not isinstance(address, str):
        raise TypeError(f"@handler says which signal it is for: @handler('on_foo'); {address!r} is no address.")
    return partial(_mark, "handler", address)


def travels(name: str) -> bool:
    """Whether *name* is that of a signal which others hear, too.

    >>> travels("on_foo"), travels("foo"), travels("on_node_bind")
    (True, False, False)
    """
    return name[:3] == "on_" and not name.startswith(LOCAL)


def _mark(kind: str, what: str | None, method: F) -> F:
    if not callable(method) and not isinstance(method, (staticmethod, classmethod)):
        raise TypeError(f"@{kind} stands above a method; {method!r} is none.")
    try:
        setattr(method, _MARKS, (*getattr(method, _MARKS, ()), _Mark(kind, what)))
    except AttributeError as error:
        raise TypeError(f"@{kind} stands above a def; {method!r} can't be marked.") from error
    return method


def declared(cls: type) -> Declared:
    """The table of *cls*, made once. Raises TypeError (and InvalidAddress) for what is declared wrongly."""
    found: Declared | None = cls.__dict__.get(_TABLE)
    if found is None:
        found = _Reading(cls).table()
        setattr(cls, _TABLE, found)
    return found


class _Reading:
    """A class read from `object` downwards, so what is found later overrides."""

    def __init__(self, cls: type) -> None:
        self.cls = cls
        self.marks: dict[str, tuple[_Mark, ...]] = {}
        self.places: dict[str, int] = {}  # of the class that said what the attribute is, in the hierarchy
        self.signals: dict[str, DeclaredSignal] = {}
        self.gone: set[str] = set()
        private: set[str] = set()
        for place, one in enumerate(reversed(cls.__mro__)):
            own = _OWN in vars(one)
            for attribute, value in list(vars(one).items()):
                if own and _is_private(attribute):
                    private.add(attribute)
                elif attribute in private:
                    self.wrong(f"{attribute} is a name that the class above works by itself; call yours otherwise.")
                if isinstance(value, DeclaredSignal):
                    self.signal(attribute, value)
                elif isinstance(value, type) and issubclass(value, DeclaredSignal):
                    self.wrong(f"{attribute} is the class of signals, and none of them: `{attribute} = Signal()`.")
                elif attribute in self.signals:
                    self.no_signal(attribute, value)
                elif marks := _marks(value):
                    # Said anew, it stands where it is said now.
                    self.marks.pop(attribute, None)
                    self.marks[attribute], self.places[attribute] = marks, place
                elif attribute in self.marks:
                    self.overridden(attribute, value)

    def signal(self, attribute: str, signal: DeclaredSignal) -> None:
        if attribute in self.marks:
            self.wrong(f"{attribute} is a method with a decorator in a base class, and a signal here.")
        if signal.name != attribute:
            if attribute.startswith("_"):
                return  # the name of a wrapper: `@on_foo.notifying` above `async def _`
            self.wrong(f"{attribute} is the signal {signal.name}; make a Signal() for each name.")
        if not attribute.startswith("on_") or attribute == "on_":
            self.wrong(f"the signal {attribute!r} has to begin with on_: `on_{attribute.lstrip('_')} = Signal()`.")
        self.signals[attribute] = signal
        self.gone.discard(attribute)

    def no_signal(self, attribute: str, value: object) -> None:
        if value is not None:
            self.wrong(
                f"{attribute} is a signal in a base class, and {value!r} here. Write @signal above a method, "
                f"@handler({attribute!r}) above one of another name to handle it; None takes the signal away."
            )
        del self.signals[attribute]
        self.gone.add(attribute)

    def overridden(self, attribute: str, value: object) -> None:
        if value is None:
            del self.marks[attribute]
        elif not callable(value) and not hasattr(value, "__get__"):
            kinds = " and ".join(mark.kind for mark in self.marks[attribute])
            self.wrong(f"{attribute} is a {kinds} in a base class, and {value!r} here, which can't be called.")

    def table(self) -> Declared:
        calls: dict[str, str] = {}
        own: dict[str, list[str]] = {}
        elsewhere: list[Listens] = []
        for attribute, mark in self.in_order():
            if mark.kind == "call":
                name = self.name_of_call(attribute, mark.what)
                if name in calls:
                    self.wrong(
                        f"{calls[name]} and {attribute} are both the call {name!r}. Name one of them otherwise; "
                        f"an inherited one is taken away by {calls[name]} = None."
                    )
                calls[name] = attribute
            elif mark.what is not None and mark.what.startswith("on_") and "." not in mark.what:
                if self.is_signal(attribute, mark.what):
                    own.setdefault(mark.what, []).append(attribute)
            else:
                elsewhere.append(self.listens(attribute, mark.what or ""))
        return Declared(
            MappingProxyType(calls),
            MappingProxyType(self.signals),
            MappingProxyType({name: self.sorted(name, attributes) for name, attributes in own.items()}),
            tuple(elsewhere),
        )

    def in_order(self) -> Iterator[tuple[str, _Mark]]:
        """Base classes first; within a class as it is written."""
        for attribute, marks in sorted(self.marks.items(), key=lambda item: self.places[item[0]]):
            for mark in reversed(marks):  # decorators, from the top
                yield attribute, mark

    def sorted(self, name: str, attributes: list[str]) -> tuple[str, ...]:
        if self.signals[name].order == "bottom-up":
            attributes = sorted(attributes, key=lambda attribute: -self.places[attribute])
        return tuple(dict.fromkeys(attributes))

    def name_of_call(self, attribute: str, said: str | None) -> str:
        name = said if said is not None else attribute
        *above, here = tuple(reversed(self.cls.__mro__))[: self.places[attribute] + 1]
        for one in above:
            if _OWN in vars(one) and hasattr(one, attribute):
                keep = "" if name.startswith("node_") else f"; @call({name!r}) above it keeps the name for callers"
                self.wrong(f"{attribute} is a method of {one.__name__}. Name the call otherwise{keep}.")
        if name == "." or _OWN in vars(here):
            return name
        if name.startswith("_"):
            self.wrong(f"the call {name!r} begins with _, and no such name crosses; name it by @call('name').")
        if name.startswith("on_"):
            self.wrong(f"the call {name!r} begins with on_, as signals do; name it otherwise by @call('name').")
        if name.startswith("node_"):
            self.wrong(f"the call {name!r} begins with node_, as what nodes do by themselves; name it otherwise.")
        if len(Path(name)) > 1:
            self.wrong(f"the call {name!r} has a dot: what is between dots is a node. Give it one name.")
        return name

    def is_signal(self, attribute: str, name: str) -> bool:
        if name in self.signals:
            return True
        if name not in self.gone:
            near = get_close_matches(name, self.signals, 1) or sorted(self.signals)
            has = f"there is {', '.join(near)}" if near else f"{name} = Signal() makes one"
            self.wrong(f"{attribute} handles {name!r}, and there is no such signal; {has}.")
        return False

    def listens(self, attribute: str, address: str) -> Listens:
        Path("base").resolve(address, lambda role, path: path)
        *parts, last = address.split(".")
        if last.removeprefix("@").startswith("on_"):
            signal = last.removeprefix("@")
            node = ".".join(parts) or "@"
            if signal.startswith(LOCAL):
                self.wrong(
                    f"{attribute} handles {address!r}: signals of other nodes that begin with {LOCAL} are not heard; "
                    f"those of the node itself are: @handler({signal!r})."
                )
        elif not parts and last[0] not in "@#":
            self.wrong(
                f"{attribute} handles {address!r}: a signal of the object itself begins with on_, "
                f"another node is @{address}, counted from the base, or #{address}, by its role."
            )
        else:
            signal, node = None, address
        for part in node.split("."):
            if part.lstrip("@#").startswith("on_"):
                self.wrong(f"{attribute} handles {address!r}: {part!r} is a signal, and nothing is below one.")
        return Listens(attribute, node, signal)

    def wrong(self, why: str) -> NoReturn:
        raise TypeError(f"In the class {self.cls.__name__}: {why}")


_OWN = "_limen_own"
"""A class with this attribute is the framework's: what it has by itself is no name for a call, and what it has with an
underscore no name for anything of a subclass, which would be called in its place."""


def _is_private(attribute: str) -> bool:
    return attribute[:1] == "_" and attribute[:2] != "__" and not attribute.startswith(("_limen_", "_abc_"))


def _marks(value: object) -> tuple[_Mark, ...]:
    inner = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
    found = getattr(value, _MARKS, None) or getattr(inner, _MARKS, ())
    return found if callable(inner) and isinstance(found, tuple) else ()
