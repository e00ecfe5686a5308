"""Listening: who of one connection hears what is said at an address, of a signal or of a node with all its signals.

What is said by this connection goes to them directly, with the arguments as they would be from far; what comes from
elsewhere by one subscription for each address, which begins with its first listener and ends with its last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from limen import exc

from .context import Heard
from .declared import travels
from .handlers import Handler, Handlers, Round
from .passing import across, is_plain, passed
from .wiring import failed, matches, refused, taken_back

if TYPE_CHECKING:
    from .node import Node
    from .port import Session, Undo
    from .tree import Tree
    from .wiring import Asked


class Listening:
    """Who listens to *address*."""

    __slots__ = ("address", "asked", "by_node")

    def __init__(self, address: str) -> None:
        self.address = address
        self.by_node: dict[Node, Handlers] = {}
        self.asked: Asked | None = None
        """What was asked of the router; None: nothing yet, or it has taken that back."""

    def call(self, args: Sequence[Any], kwargs: Mapping[str, Any], round: Round) -> None:
        """As `Handlers.call`, for what is said by this connection."""
        plain = is_plain(args, kwargs)
        by_node = self.by_node
        for node, handlers in tuple(by_node.items()):
            if by_node.get(node) is not handlers:
                continue  # one of those before it has unbound it
            if plain:
                handlers.call(args, kwargs, round)
                continue
            try:
                given, named = passed(across, args, kwargs, node)
            except exc.Error as error:
                round.errors.append(error)
            else:
                handlers.call(given, named, round)

    def heard(self, topic: str, args: Sequence[Any], kwargs: dict[str, Any], details: Mapping[str, Any]) -> None:
        """Somebody elsewhere has said something."""
        if is_signal(topic):
            for node in tuple(self.by_node):
                node._heard(Heard(topic, details), args, kwargs, self)


class Listeners:
    """All of one *tree*."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._by_address: dict[str, Listening] = {}
        self._of_node: dict[Node, set[str]] = {}

    @property
    def size(self) -> dict[str, int]:
        """How many addresses are listened to, and how many nodes listen."""
        return {"listened": len(self._by_address), "listening": len(self._of_node)}

    def of(self, address: str, name: str) -> Iterable[Listening]:
        """Who hears the signal *name* of the node at *address*."""
        if not self._by_address:
            return ()
        found = (self._by_address.get(f"{address}.{name}"), self._by_address.get(address))
        return [one for one in found if one is not None]

    def at(self, address: str) -> Listening | None:
        """Who listens to *address* itself."""
        return self._by_address.get(address)

    async def add(self, node: Node, address: str, handler: Handler) -> None:
        """*handler* of *node* hears what is said at *address*; comes back when the router has taken it. Raises what it
        says if it has not, and `exc.InvalidCall` where the node is unbound, also meanwhile."""
        if not node._present:
            raise exc.InvalidCall(f"{node!r} is not bound, or not any more: it cannot begin to listen to {address}.")
        listening = self._by_address.get(address)
        if listening is None:
            listening = self._by_address[address] = Listening(address)
        handlers = listening.by_node.get(node)
        if handlers is None:
            handlers = listening.by_node[node] = Handlers()
            self._of_node.setdefault(node, set()).add(address)
        handlers.connect(handler)
        session = self._tree.session
        if session is None:
            return
        if listening.asked is None or (listening.asked.done() and failed(listening.asked)):
            listening.asked = asyncio.get_running_loop().create_task(_subscribe(session, listening))
        try:
            await asyncio.shield(listening.asked)
        except asyncio.CancelledError:
            me = asyncio.current_task()
            if listening.asked is not None and listening.asked.cancelled() and not (me and me.cancelling()):
                raise exc.InvalidCall(f"{node!r} was unbound when it began to listen to {address}.") from None
            self.drop(node, address, handler)
            raise
        except BaseException:
            self.drop(node, address, handler)
            raise

    def drop(self, node: Node, address: str, handler: Handler | None) -> Awaitable[object] | None:
        """Undoes `add`; without a *handler* all of *node* at *address*. Gives what is done when the router knows, where
        it has to."""
        listening = self._by_address.get(address)
        handlers = listening.by_node.get(node) if listening is not None else None
        if listening is None or handlers is None:
            return None
        if handler is not None:
            handlers.disconnect(handler)
            if len(handlers):
                return None
        del listening.by_node[node]
        addresses = self._of_node[node]
        addresses.discard(address)
        if not addresses:
            del self._of_node[node]
        if listening.by_node:
            return None
        del self._by_address[address]
        return next(taken_back((listening.asked,)), None) if listening.asked is not None else None

    def deafen(self, node: Node) -> list[Awaitable[object]]:
        """Undoes all `add` of *node*; gives what is done when the router knows."""
        dropped = [self.drop(node, address, None) for address in tuple(self._of_node.get(node, ()))]
        return [confirmed for confirmed in dropped if confirmed is not None]


async def _subscribe(session: Session, listening: Listening) -> Undo:
    address = listening.address
    uri, match = (address, "exact") if is_signal(address) else (f"{address}.", "wildcard")
    if match == "wildcard" and not matches(session, "broker", "pattern_based_subscription"):
        raise exc.InvalidCall(
            "This router does not match patterns (it does not announce pattern_based_subscription), so nobody can "
            f"listen to all signals of {address} by it; say which one is meant: @handler('@….on_foo')."
        )
    try:
        return await session.subscribe(uri, listening.heard, match=match, topic=True)
    except exc.Unauthorized as error:
        raise refused(error, "subscribe", uri, match) from None


def is_signal(address: str) -> bool:
    """Whether *address* is that of a signal that travels, by its last part.

    >>> is_signal("test.second.on_foo"), is_signal("test.second"), is_signal("test.second.on_node_bind")
    (True, False, False)
    """
    return travels(address.rpartition(".")[2])
