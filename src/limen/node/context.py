"""NodeContext: what a branch of the tree knows, inherited from above as by a prototype.

    context = connection.new_context(tenant="north")
    context.tenant, "tenant" in context          "north", True
    branch = context.new(user="ada")             sees all of the above, and `user`

What Limen itself looks for in it:

    connection, session, tree   by what the branch is reached; absent: it lives in this process alone
    resolvers                   what finds `#role` (`limen.Path.resolve`)
    principal                   as whom the branch acts, for those who ask
    call, event                 the call in progress (`Invoked`), the event in progress (`Heard`); None outside of one
    wrap_call, wrap_publish, wrap_subscribe
                                stand round what goes out of a branch
    wrap_invocation, wrap_event … and round what comes in from elsewhere: calls, and signals said or heard
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from limen.base.path import Resolver
    from limen.client.callee import Invoked

    from .tree import Tree

IN_PROGRESS: Final[ContextVar[Invoked | None]] = ContextVar("limen call in progress", default=None)
"""The call that runs in this task."""

EVENT_IN_PROGRESS: Final[ContextVar[Heard | None]] = ContextVar("limen event in progress", default=None)
"""The event that is handled in this task."""


NEAR: Final[dict[str, Any]] = {}
"""`Invoked.details`, the very object, of calls from the same connection."""


class Heard(NamedTuple):
    """An event that came from elsewhere. *details*: EVENT.Details."""

    topic: str
    details: Mapping[str, Any]

    @property
    def publisher(self) -> int | None:
        """WAMP's number of the session that has published; None where the router does not say."""
        return self.details.get("publisher")

    @property
    def publisher_authid(self) -> str | None:
        """The publisher's user, likewise."""
        return self.details.get("publisher_authid")

    @property
    def publisher_authrole(self) -> str | None:
        """The first of the publisher's roles, likewise."""
        return self.details.get("publisher_authrole")


Next: TypeAlias = Callable[[str, "tuple[Any, ...]", "dict[str, Any]"], Awaitable[Any]]
"""What stands behind a wrapper: takes address, args, kwargs."""
Wrapper: TypeAlias = Callable[[Next, str, "tuple[Any, ...]", "dict[str, Any]"], Awaitable[Any]]
"""`async def wrapper(next, address, args, kwargs)`: gives what `await next(address, args, kwargs)` gives, or something
else, or raises instead."""

_ABSENT: Final = object()


class NodeContext:
    """Names and what they stand for; what is not said here is looked for in *parent*.

    >>> house = NodeContext(lamp="on", door="shut")
    >>> room = house.new(lamp="off")
    >>> room.lamp, room.door, "window" in room, sorted(room)
    ('off', 'shut', False, ['door', 'lamp'])
    >>> house.door = "open"
    >>> room.door, room.get("window", "none")
    ('open', 'none')
    >>> room.window
    Traceback (most recent call last):
    AttributeError: This context has no 'window', nor has one above it; there are: door, lamp.
    """

    __slots__ = ("__weakref__", "_names", "_parent")

    _names: dict[str, Any]
    _parent: NodeContext | None

    if TYPE_CHECKING:
        tree: Tree

    def __init__(self, parent: NodeContext | None = None, /, **names: Any) -> None:
        object.__setattr__(self, "_parent", parent)
        object.__setattr__(self, "_names", names)

    def new(self, **more: Any) -> NodeContext:
        """A context below this one, in which *more* is said."""
        return NodeContext(self, **more)

    def get(self, name: str, default: Any = None) -> Any:
        """What *name* stands for, here or above; *default* where nobody says."""
        context: NodeContext | None = self
        while context is not None:
            found = context._names.get(name, _ABSENT)
            if found is not _ABSENT:
                return found
            context = context._parent
        return default

    @property
    def call(self) -> Invoked | None:
        """The call in progress: who called (`caller`, `caller_authid`, `caller_authrole`), and what."""
        return IN_PROGRESS.get()

    @property
    def event(self) -> Heard | None:
        """The event in progress: what somebody elsewhere has said, and who."""
        return EVENT_IN_PROGRESS.get()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running event loop."""
        return asyncio.get_running_loop()

    @property
    def resolvers(self) -> tuple[Resolver, ...]:
        """What finds roles: those said nearest first; the first answer wins."""
        return tuple(one for context in self._upwards() for one in context._names.get("resolvers", ()))

    def wrapped(self, kind: str, last: Next) -> Next:
        """*last* behind all wrappers of *kind* ("wrap_call", …); the one said farthest above comes first."""
        context: NodeContext | None = self
        while context is not None:
            wrapper = context._names.get(kind)
            if wrapper is not None:
                last = _behind(wrapper, last)
            context = context._parent
        return last

    def wraps(self, kind: str) -> bool:
        """Whether there is a wrapper of *kind*."""
        context: NodeContext | None = self
        while context is not None:
            if context._names.get(kind) is not None:
                return True
            context = context._parent
        return False

    def _upwards(self) -> Iterator[NodeContext]:
        context: NodeContext | None = self
        while context is not None:
            yield context
            context = context._parent

    def __contains__(self, name: object) -> bool:
        return any(name in context._names for context in self._upwards())

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for context in self._upwards() for name in context._names))

    def __getattr__(self, name: str) -> Any:
        found = self.get(name, _ABSENT)
        if found is _ABSENT:
            there = ", ".join(sorted(self)) or "nothing"
            raise AttributeError(f"This context has no {name!r}, nor has one above it; there are: {there}.")
        return found

    def __setattr__(self, name: str, value: Any) -> None:
        self._names[name] = value

    def __delattr__(self, name: str) -> None:
        if name not in self._names:
            raise AttributeError(f"{name!r} is not said in this context itself.")
        del self._names[name]

    def __repr__(self) -> str:
        return f"NodeContext({', '.join(sorted(self))})"


def _behind(wrapper: Wrapper, last: Next) -> Next:
    def go(address: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Awaitable[Any]:
        return wrapper(last, address, args, kwargs)

    return go
