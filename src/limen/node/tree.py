"""Tree: what one connection has bound, and how what comes in finds it.

    bound nodes, by address                          a call of `test.first.rpc` is `rpc` of the node at `test.first`
    listeners, by the address they listen to         of this connection; the wire is not needed for what is said here

The router is told of roots (`wiring`) and of what is listened to (`listening`):

    SUBSCRIBE "test.second." wildcard                for a handler of all signals of the node `test.second`
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Coroutine, Iterator, Mapping, Sequence
from types import AsyncGeneratorType, CoroutineType
from typing import TYPE_CHECKING, Any

from limen import exc
from limen.client.callee import streamed
from limen.core.react.signals import Value

from .calls import Called, calls
from .context import Heard
from .declared import declared
from .listening import Listeners, is_signal
from .passing import incoming, outgoing, passed
from .wiring import SELF, Wiring, ask

if TYPE_CHECKING:
    from limen.client.callee import Invoked
    from limen.client.standing import Kind

    from .node import Node
    from .port import Session
    from .wiring import Asked

log = logging.getLogger("limen.node")


class Tree:
    """*session*: what reaches the rest of the tree; None: there is nothing else."""

    def __init__(self, session: Session | None = None) -> None:
        self.session = session
        self.nodes: dict[str, Node] = {}
        self.listeners = Listeners(self)
        """Who of this connection listens to what."""
        self._wirings: dict[Node, Wiring] = {}
        """What was told of each root."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._returning = Value(False, name="away")
        if session is not None:
            session.on("offline", self._lost)
            session.on("restored", self._back)
            session.on("revoked", self._revoked)

    # -- the connection -----------------------------------------------------------------------------------------
    @property
    def away(self) -> bool:
        """The connection was lost, and is not back with all that is bound here. Tracked: what has read it in an effect
        or a computed value is told."""
        lost = self._returning.value
        return lost or (self.session is not None and self.session.state != "online")

    def _lost(self) -> None:
        self._returning.value = True

    def _back(self) -> None:
        self._returning.value = False

    def _revoked(self, uri: str, match: str, error: exc.Error, kind: Kind) -> None:
        """The router does not give back, or has taken back, what stood for *uri*."""
        self._begin(self._tell_revoked(tuple(self._standing_for(uri, match, kind)), error))

    def _standing_for(self, uri: str, match: str, kind: Kind) -> Iterator[Node]:
        if match == "prefix":
            root = self.nodes.get(uri[:-1])
            wiring = self._wirings.get(root) if root is not None else None
            if wiring is not None:
                wiring.revoked(kind)
            yield from (node for address, node in self.nodes.items() if f"{address}.".startswith(uri))
            return
        listening = self.listeners.at(uri.removesuffix(".") if match == "wildcard" else uri)
        if listening is not None:
            listening.asked = None
            yield from tuple(listening.by_node)
        found = self.nodes.get(uri.rpartition(".")[0]) or self.nodes.get(uri)
        if found is not None and match == "exact":
            yield found

    async def _tell_revoked(self, nodes: Sequence[Node], error: exc.Error) -> None:
        for node in dict.fromkeys(nodes):
            try:
                await node.on_node_registration_failure.notify(error)
            except Exception:
                log.exception("A handler of on_node_registration_failure in %r failed", node)

    @property
    def size(self) -> dict[str, int]:
        """How much is held, for whoever looks for what was left."""
        return {"nodes": len(self.nodes), "roots": len(self._wirings), **self.listeners.size}

    # -- who is where -------------------------------------------------------------------------------------------
    def enter(self, node: Node, address: str) -> None:
        """*node* stands at *address* from now on. Raises `exc.InvalidAddress` where another one does."""
        there = self.nodes.setdefault(address, node)
        if there is not node:
            raise exc.InvalidAddress(
                f"At {address} stands {there!r} already; unbind it first, or take another address."
            )

    def leave(self, node: Node, address: str) -> None:
        """Nothing stands at *address* any more, if it was *node*."""
        if self.nodes.get(address) is node:
            del self.nodes[address]
        self._wirings.pop(node, None)

    def find(self, address: str) -> tuple[Node, Called] | None:
        """The node and its call that are called by *address*."""
        above, _, name = address.rpartition(".")
        node = self.nodes.get(above)
        if node is not None:
            called = calls(type(node)).get(name)
            if called is not None:
                return node, called
        node = self.nodes.get(address)
        if node is not None:
            called = calls(type(node)).get(SELF)
            if called is not None:
                return node, called
        return None

    # -- what the router is told --------------------------------------------------------------------------------
    def tell(self, fresh: Sequence[Node]) -> list[tuple[Node, Asked]]:
        """Tells it what *fresh*, all below one root, listen to and offer; gives what each of them asked."""
        asked = [(node, ask(node, work)) for node in fresh for work in node._listens_as_declared()]
        wiring = self._wiring(fresh[0]) if fresh else None
        return asked if wiring is None else asked + wiring.tell(fresh)

    def offer(self, node: Node, name: str) -> None:
        """*node*, which stands, offers the call *name*, too: the router is told, and if it refuses that, the node."""
        wiring = self._wiring(node)
        if wiring is None:
            return

        def answered(asked: Asked) -> None:
            error = None if asked.cancelled() else asked.exception()
            if isinstance(error, exc.Error):
                self._begin(self._tell_revoked([node], error))

        wiring.offer(node, name).add_done_callback(answered)

    def _wiring(self, node: Node) -> Wiring | None:
        """That of the root above *node*; None: there is no router."""
        if self.session is None:
            return None
        root = node._stem
        wiring = self._wirings.get(root)
        if wiring is None:
            wiring = self._wirings[root] = Wiring(root, self.session, self._invoked, self._said_here)
        return wiring

    # -- calls --------------------------------------------------------------------------------------------------
    def _invoked(self, invoked: Invoked) -> Any:
        """A call came from elsewhere."""
        found = self.find(invoked.uri)
        if found is None:
            raise exc.NotFound(f"Nothing is called by {invoked.uri}.")
        node, called = found
        invoked.args, invoked.kwargs = passed(incoming, invoked.args, invoked.kwargs, node)
        outcome = node._perform(called, invoked)
        if type(outcome) is CoroutineType:
            return _answer(outcome, invoked)
        return outcome if type(outcome) is AsyncGeneratorType else outgoing(outcome)

    # -- signals ------------------------------------------------------------------------------------------------
    def _said_here(self, topic: str, args: Sequence[Any], kwargs: dict[str, Any], details: Mapping[str, Any]) -> None:
        """Somebody elsewhere has said a signal of a node of ours."""
        address, _, name = topic.rpartition(".")
        node = self.nodes.get(address)
        if node is not None and is_signal(topic) and name in declared(type(node)).signals:
            node._heard(Heard(topic, details), args, kwargs, None)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _answer(work: Awaitable[Any], invoked: Invoked) -> Any:
    outcome = await work
    return await streamed(outcome, invoked.push) if type(outcome) is AsyncGeneratorType else outgoing(outcome)
