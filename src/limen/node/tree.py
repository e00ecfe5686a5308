"""Tree: what one connection has bound, and how what comes in finds it.

    bound nodes, by address                          a call of `test.first.rpc` is `rpc` of the node at `test.first`
    listeners, by the address they listen to         of this connection; the wire is not needed for what is said here

What the router is told of a root and all below it, in one round trip where it matches patterns (WAMP advanced profile,
pattern-based registration and subscription), else one message for each call and signal, all under way at once:

    REGISTER  "test.first."  prefix                  calls of all nodes below `test.first`, those added later, too
    SUBSCRIBE "test.first."  prefix                  signals that others say in the name of these nodes
    SUBSCRIBE "test.second." wildcard                for a handler of all signals of the node `test.second`
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from limen import exc

from .context import Heard
from .declared import declared
from .handlers import Handlers

if TYPE_CHECKING:
    from limen.client.callee import Invoked

    from .calling import Calling
    from .node import Node
    from .port import Session, Undo

log = logging.getLogger("limen.node")

Handler = Callable[..., Any]
SELF: Final = "."
"""The name of a call that is its node itself."""


class _Listened:
    """Who of this connection listens to one address: a signal's, or a node's for all of its signals."""

    __slots__ = ("by_node", "ready", "undo")

    def __init__(self) -> None:
        self.by_node: dict[Calling, Handlers] = {}
        self.ready: asyncio.Future[None] | None = None
        self.undo: Undo | None = None


class Tree:
    """*session*: what reaches the rest of the tree; None: there is nothing else."""

    def __init__(self, session: Session | None = None) -> None:
        self.session = session
        self.nodes: dict[str, Node] = {}
        self._listened: dict[str, _Listened] = {}
        self._listens: dict[Calling, set[str]] = {}
        """What each node listens to."""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def away(self) -> bool:
        """The connection is lost: what is elsewhere cannot be reached for now."""
        return self.session is not None and self.session.state != "online"

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

    def find(self, address: str) -> tuple[Node, str] | None:
        """The node and the name of its method that are called by *address*."""
        above, _, name = address.rpartition(".")
        node = self.nodes.get(above)
        if node is not None:
            method = declared(type(node)).calls.get(name)
            if method is not None and name != SELF:
                return node, method
        node = self.nodes.get(address)
        if node is not None:
            method = declared(type(node)).calls.get(SELF)
            if method is not None:
                return node, method
        return None

    # -- what the router is told --------------------------------------------------------------------------------
    async def plant(self, root: Node, nodes: Sequence[Node]) -> list[Undo]:
        """Tells the router of *root*, with all *nodes* of it; gives what undoes that. If anything is refused all is
        undone, and what was said against it is raised."""
        session = self.session
        if session is None:
            return []
        address = str(root.node_path)
        by_prefix = matches(session, "dealer", "pattern_based_registration")
        heard_by_prefix = matches(session, "broker", "pattern_based_subscription")
        work: list[Awaitable[Undo]] = []
        if by_prefix:
            work.append(session.register(f"{address}.", self._invoked, match="prefix"))
            if SELF in declared(type(root)).calls:
                work.append(session.register(address, self._invoked))
        else:
            work += [session.register(uri, self._invoked) for uri in _calls(nodes)]
        if heard_by_prefix:
            work.append(session.subscribe(f"{address}.", self._said_here, match="prefix", topic=True))
        else:
            work += [session.subscribe(uri, self._said_here, topic=True) for uri in _signals(nodes)]
        return await _all(work)

    async def graft(self, nodes: Sequence[Node]) -> list[Undo]:
        """As `plant`, for *nodes* that were added below a root that is planted."""
        session = self.session
        if session is None:
            return []
        work: list[Awaitable[Undo]] = []
        if not matches(session, "dealer", "pattern_based_registration"):
            work += [session.register(uri, self._invoked) for uri in _calls(nodes)]
        if not matches(session, "broker", "pattern_based_subscription"):
            work += [session.subscribe(uri, self._said_here, topic=True) for uri in _signals(nodes)]
        return await _all(work)

    # -- calls --------------------------------------------------------------------------------------------------
    async def _invoked(self, invoked: Invoked) -> Any:
        """A call came from elsewhere."""
        found = self.find(invoked.uri)
        if found is None:
            raise exc.NotFound(f"Nothing is called by {invoked.uri}.")
        node, method = found
        return await node._run(method, invoked)

    # -- signals ------------------------------------------------------------------------------------------------
    def listeners(self, address: str, name: str) -> Iterator[Handlers]:
        """Who of this connection hears the signal *name* of the node at *address*."""
        if self._listened:
            for key in (f"{address}.{name}", address):
                listened = self._listened.get(key)
                if listened is not None:
                    yield from tuple(listened.by_node.values())

    async def listen(self, node: Calling, address: str, handler: Handler) -> None:
        """*handler* of *node* hears the signal at *address*, or all signals of the node there; comes back when the
        router has taken it."""
        listened = self._listened.get(address)
        if listened is None:
            listened = self._listened[address] = _Listened()
        handlers = listened.by_node.get(node)
        if handlers is None:
            handlers = listened.by_node[node] = Handlers()
            self._listens.setdefault(node, set()).add(address)
        handlers.connect(handler)
        if self.session is None:
            return
        try:
            if listened.ready is None:
                listened.ready = asyncio.ensure_future(self._subscribe(self.session, address, listened))
            await asyncio.shield(listened.ready)
        except BaseException:
            await self.listen_no_more(node, address, handler)
            raise

    async def _subscribe(self, session: Session, address: str, listened: _Listened) -> None:
        def heard(topic: str, args: Sequence[Any], kwargs: dict[str, Any], details: Mapping[str, Any]) -> None:
            if is_signal(topic):
                for node, handlers in tuple(listened.by_node.items()):
                    self._begin(node._heard(Heard(topic, details), args, kwargs, handlers))

        if is_signal(address):
            listened.undo = await session.subscribe(address, heard, topic=True)
        else:
            listened.undo = await session.subscribe(f"{address}.", heard, match="wildcard", topic=True)

    async def listen_no_more(self, node: Calling, address: str, handler: Handler | None) -> None:
        """Undoes `listen`, or, without a *handler*, all of *node* at *address*; comes back when the router knows."""
        listened = self._listened.get(address)
        handlers = listened.by_node.get(node) if listened is not None else None
        if listened is None or handlers is None:
            return
        if handler is not None:
            handlers.disconnect(handler)
            if len(handlers):
                return
        del listened.by_node[node]
        self._listens[node].discard(address)
        if not self._listens[node]:
            del self._listens[node]
        if listened.by_node:
            return
        del self._listened[address]
        if listened.ready is not None:
            await asyncio.wait([listened.ready])
        if listened.undo is not None:
            await listened.undo()

    async def deafen(self, node: Calling) -> None:
        """Undoes all `listen` of *node*."""
        listens = tuple(self._listens.get(node, ()))
        if listens:
            await asyncio.gather(*(self.listen_no_more(node, address, None) for address in listens))

    def _said_here(self, topic: str, args: Sequence[Any], kwargs: dict[str, Any], details: Mapping[str, Any]) -> None:
        """Somebody elsewhere has said a signal of a node of ours."""
        address, _, name = topic.rpartition(".")
        node = self.nodes.get(address)
        if node is not None and name in declared(type(node)).signals and name[:8] != "on_node_":
            self._begin(node._heard(Heard(topic, details), args, kwargs, None))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def matches(session: Session, role: str, feature: str) -> bool:
    """Whether the router of *session* announces *feature* in *role*."""
    said = session.features.get(role)
    features = said.get("features") if isinstance(said, dict) else None
    return isinstance(features, dict) and features.get(feature) is True


def is_signal(address: str) -> bool:
    """Whether *address* is a signal's, not a node's: by its last part.

    >>> is_signal("test.second.on_foo"), is_signal("test.second")
    (True, False)
    """
    return address.rpartition(".")[2][:3] == "on_"


def _calls(nodes: Iterable[Node]) -> Iterator[str]:
    for node in nodes:
        for name in declared(type(node)).calls:
            yield str(node.node_path) if name == SELF else f"{node.node_path}.{name}"


def _signals(nodes: Iterable[Node]) -> Iterator[str]:
    for node in nodes:
        for name in declared(type(node)).signals:
            if name[:8] != "on_node_":
                yield f"{node.node_path}.{name}"


async def _all(work: Sequence[Awaitable[Undo]]) -> list[Undo]:
    """All undos, or none: then the first error is raised."""
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    undos = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    if errors:
        await undo_all(undos)
        raise errors[0]
    return undos


async def undo_all(undos: Iterable[Undo]) -> None:
    """Undoes what was told the router, all under way at once. What is said against it is of no use to anybody."""
    for outcome in await asyncio.gather(*(undo() for undo in undos), return_exceptions=True):
        if isinstance(outcome, Exception) and not isinstance(outcome, exc.Error):
            log.warning("A registration or subscription could not be ended: %s", outcome)
