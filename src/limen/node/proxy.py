"""Proxy: a node that is somewhere, as if it were here.

third = node.remote("@third")
await third.rpc("hello")                       calls
await third.child.method(1, two=2)             … of what is below it
undo = await third.on_foo.connect(f)           listens to a signal
await third.on_foo.notify("hello")             says one
await third.node_call("rpc", "hello")          the same as third.rpc("hello"), for names that are data
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from limen import exc
from limen.base.path import Path

from .declared import LOCAL

if TYPE_CHECKING:
    from .mirror import Mirror
    from .node import Node

Offline: TypeAlias = Literal["wait", "fail"]


class CallOptions(NamedTuple):
    """*timeout*: seconds that a call may take; None: as long as it takes. *offline*: what becomes of one while the
    connection is lost: "wait" for it to come back, as long as the time-out allows, or "fail" at once."""

    timeout: float | None = None
    offline: Offline = "wait"


USUAL: Final = CallOptions()


class Proxy:
    """What stands at *uri*, seen from *node*: with its identity, its wrappers and its connection. *options*: of each
    call. Names that begin with `_` do not cross: they raise AttributeError here.
    """

    __slots__ = ("_base", "_node", "_options", "_uri")

    _limen_node_ = True

    def __init__(self, node: Node, uri: str, base: Path, options: CallOptions = USUAL) -> None:
        self._node, self._uri, self._base, self._options = node, uri, base, options

    @property
    def node_path(self) -> Path:
        """Where it stands."""
        path = Path(self._uri)
        base = self._base
        return Path(path, base) if path.parts[: len(base)] == base.parts else path

    def __getattr__(self, name: str) -> Any:
        if name[:1] == "_":
            raise AttributeError(f"{name!r} is private: no name that begins with _ crosses to another node.")
        if name[:3] == "on_":
            if name.startswith(LOCAL):
                raise AttributeError(f"{name!r} is local: signals that begin with {LOCAL} never travel.")
            return RemoteSignal(self._node, f"{self._uri}.{name}")
        return Proxy(self._node, f"{self._uri}.{name}", self._base, self._options)

    def __call__(self, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        """Calls the procedure at this address. Raises what it raises: its own error's class where that is known here,
        else `exc.RemoteError`; `exc.NotFound` where nothing stands there; `exc.Timeout`, `exc.ConnectionLost`."""
        return self._node._call_from(self._uri, args, kwargs, self._options)

    def node_call(
        self,
        name: str,
        *args: Any,
        timeout: float | None = None,
        offline: Offline | None = None,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, Any]:
        """Calls *name* of this node, with a time-out of its own; "." calls the node itself."""
        usual = self._options
        options = CallOptions(usual.timeout if timeout is None else timeout, offline or usual.offline)
        return self._node._call_from(self._address(name), args, kwargs, options)

    async def node_values(self, name: str, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        """The values of a streaming call, as they come: `async for value in proxy.node_values("count", 3)`. Leaving the
        loop cancels it, once the iterator is closed (`contextlib.aclosing`). Time-outs are not for streams."""
        async with aclosing(self._node._values_from(self._address(name), args, kwargs, self._options)) as values:
            async for value in values:
                yield value

    def _address(self, name: str) -> str:
        if name == ".":
            return self._uri
        if any(part[:1] == "_" for part in name.split(".")):
            raise exc.InvalidCall(f"{name!r} is private: no name that begins with _ crosses to another node.")
        return f"{self._uri}.{name}"

    async def stream(self) -> Mirror:
        """The dictionary of the node, mirrored here: it follows every change until it is closed or the node unbound.
        Raises as a call does."""
        return await self._node._mirrored(self._uri, self._options)

    def __eq__(self, other: object) -> bool:
        """Two proxies are equal that stand for the same place, seen from the same node."""
        return isinstance(other, Proxy) and other._uri == self._uri and other._node is self._node

    def __hash__(self) -> int:
        return hash(self._uri)

    def __repr__(self) -> str:
        return f"Proxy({self._uri!r})"


class RemoteSignal:
    """The signal that is published at *topic*, wherever its node is."""

    __slots__ = ("_node", "_topic")

    def __init__(self, node: Node, topic: str) -> None:
        self._node, self._topic = node, topic

    async def connect(self, handler: Callable[..., Any]) -> Callable[[], Awaitable[None]]:
        """Calls *handler* with what the signal says from now on; gives the undo. Ends with the node that listens."""
        return await self._node._listen(self._topic, handler)

    async def disconnect(self, handler: Callable[..., Any]) -> None:
        """Undoes `connect` of the same handler; nothing happens where it is not connected."""
        await self._node._listen_no_more(self._topic, handler)

    async def notify(self, *args: Any, **kwargs: Any) -> None:
        """Says the signal in the node's name; comes back when the router has taken it and handlers in this process have
        run."""
        await self._node._notify_from(self._topic, args, kwargs)

    def __repr__(self) -> str:
        return f"RemoteSignal({self._topic!r})"
