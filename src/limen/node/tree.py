"""Tree: what one connection has bound, and how what comes in finds it.

    bound nodes, by address                          a call of `test.first.rpc` is `rpc` of the node at `test.first`
    listeners, by the address they listen to         of this connection; the wire is not needed for what is said here

What the router is told of a root and all below it, in one round trip where it matches patterns (WAMP advanced profile,
pattern-based registration and subscription), else one message for each call and signal, all under way at once:

    REGISTER  "test.first."  prefix                  calls of all nodes below `test.first`, those added later, too
    SUBSCRIBE "test.first."  prefix                  signals that others say in the name of these nodes
    SUBSCRIBE "test.second." wildcard                for a handler of all signals of the node `test.second`

The first of them when a node can be called, the second when one has a signal: who offers nothing needs no right to.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Coroutine, Iterable, Iterator, Mapping, Sequence
from types import AsyncGeneratorType, CoroutineType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from limen import exc
from limen.client.callee import streamed
from limen.client.standing import TAKEN
from limen.core.react.signals import Value

from .calls import Called, calls
from .context import Heard
from .declared import declared, travels
from .listening import Listeners, is_signal, matches, refused
from .passing import each, incoming, outgoing

if TYPE_CHECKING:
    from limen.client.callee import Invoked

    from .node import Node
    from .port import Session, Undo

log = logging.getLogger("limen.node")

Asked: TypeAlias = "asyncio.Task[Undo]"
"""Something that the router is asked to keep; what undoes it."""

SELF: Final = "."
"""The name of a call that is its node itself."""


class Tree:
    """*session*: what reaches the rest of the tree; None: there is nothing else."""

    def __init__(self, session: Session | None = None) -> None:
        self.session = session
        self.nodes: dict[str, Node] = {}
        self.listeners = Listeners(self)
        """Who of this connection listens to what."""
        self._prefixes: dict[tuple[Node, str], Asked] = {}
        """What is asked for a root and all below it."""
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

    def _revoked(self, uri: str, match: str, error: exc.Error, kind: str) -> None:
        """The router does not give back, or has taken back, what stood for *uri*."""
        self._begin(self._tell_revoked(tuple(self._standing_for(uri, match, kind)), error))

    def _standing_for(self, uri: str, match: str, kind: str) -> Iterator[Node]:
        if match == "prefix":
            root = self.nodes.get(uri[:-1])
            if root is not None:
                self._prefixes.pop((root, "calls" if kind == "registration" else "signals"), None)
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
        for what in ("calls", "signals"):
            self._prefixes.pop((node, what), None)

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
    def opening(self, node: Node) -> Asked | None:
        """The connection of *node* opens, where it has not yet; None: it has, or there is none that could."""
        connection = node.node_context.get("connection")
        if self.session is None or self.session.state != "closed" or connection is None:
            return None
        return self._ask(node, _opened(connection))

    def asked(self, fresh: Sequence[Node]) -> list[tuple[Node, Asked]]:
        """Asks the router for what *fresh*, all below one root, offer and listen to; gives what each of them asked."""
        asked = [(node, self._ask(node, work)) for node in fresh for work in node._listens_as_declared()]
        session = self.session
        if session is None or not fresh:
            return asked
        root = self._root(fresh[0])
        by_prefix = matches(session, "dealer", "pattern_based_registration")
        heard_by_prefix = matches(session, "broker", "pattern_based_subscription")
        for node in fresh:
            offered, said = node._offers(), signals(node)
            if offered and by_prefix:
                asked.append((node, self._prefix(root, "calls")))
                offered = (SELF,) if node is root and SELF in offered else ()
            if said and heard_by_prefix:
                asked.append((node, self._prefix(root, "signals")))
                said = []
            asked += [(node, self._ask(node, self._registered(uri))) for uri in uris(node, offered)]
            asked += [(node, self._ask(node, self._subscribed(uri))) for uri in uris(node, said)]
        return asked

    def _root(self, node: Node) -> Node:
        while (above := node._parent) is not None and above._tree is self:
            node = above
        return node

    def _prefix(self, root: Node, what: str) -> Asked:
        asked = self._prefixes.get((root, what))
        if asked is None or (asked.done() and (asked.cancelled() or asked.exception() is not None)):
            ask = self._registered if what == "calls" else self._subscribed
            asked = self._ask(root, ask(f"{root._path}.", "prefix"))
            self._prefixes[root, what] = asked
        return asked

    def _ask(self, node: Node, work: Awaitable[Undo]) -> Asked:
        """*work* under way, which *node* takes back when it leaves."""
        asked: Asked = asyncio.ensure_future(work)
        object.__setattr__(node, "_wired", (*node._wired, asked))
        return asked

    async def _registered(self, uri: str, match: str = "exact") -> Undo:
        assert self.session is not None
        try:
            return await self.session.register(uri, self._invoked, match=match)
        except exc.Unauthorized as error:
            raise refused(error, "register", uri, match) from None
        except exc.RemoteError as error:
            if error.remote_uri != TAKEN:
                raise
            raise exc.RemoteError(
                f"Somebody else stands at {uri.rstrip('.')!r} already: {error}", uri=TAKEN, **error.facts
            ) from None

    async def _subscribed(self, uri: str, match: str = "exact") -> Undo:
        assert self.session is not None
        try:
            return await self.session.subscribe(uri, self._said_here, match=match, topic=True)
        except exc.Unauthorized as error:
            raise refused(error, "subscribe", uri, match) from None

    def offer(self, node: Node, name: str) -> None:
        """*node*, which stands, offers the call *name*, too: the router is told, and if it refuses that, the node."""
        session = self.session
        if session is None:
            return
        if matches(session, "dealer", "pattern_based_registration"):
            asked = self._prefix(self._root(node), "calls")
        else:
            asked = self._ask(node, self._registered(f"{node._path}.{name}"))

        def answered(asked: Asked) -> None:
            error = None if asked.cancelled() else asked.exception()
            if isinstance(error, exc.Error):
                self._begin(self._tell_revoked([node], error))

        asked.add_done_callback(answered)

    # -- calls --------------------------------------------------------------------------------------------------
    def _invoked(self, invoked: Invoked) -> Any:
        """A call came from elsewhere."""
        found = self.find(invoked.uri)
        if found is None:
            raise exc.NotFound(f"Nothing is called by {invoked.uri}.")
        node, called = found
        invoked.args, invoked.kwargs = each(incoming, invoked.args, invoked.kwargs, node)
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


def uris(node: Node, names: Iterable[str]) -> Iterator[str]:
    """The addresses of what *node* calls *names*."""
    for name in names:
        yield str(node._path) if name == SELF else f"{node._path}.{name}"


def signals(node: Node) -> list[str]:
    """The signals of *node* that travel."""
    return [name for name in declared(type(node)).signals if travels(name)]


async def _answer(work: Awaitable[Any], invoked: Invoked) -> Any:
    outcome = await work
    return await streamed(outcome, invoked.push) if type(outcome) is AsyncGeneratorType else outgoing(outcome)


async def _opened(connection: Any) -> Undo:
    await connection.connected()
    return _nothing


def _nothing() -> Any:
    """Nothing has to be undone."""
