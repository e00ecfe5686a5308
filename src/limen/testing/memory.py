"""Connections in memory, and contexts without any: for tests of nodes, and of whatever calls, publishes and registers.

    async with connections(2) as (a, b):
        await first.node_bind("test.first", a.new_context())
        await third.node_bind("test.third", b.new_context())
        b.cut()                       # lost; it comes back by itself, at once
        await when_connected(b)

Between them stands a whole WAMP router (`limen.door.hub`, `limen.core.wamp`), in which everybody may do everything;
what is said is encoded and decoded as on any wire.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from limen.app.near import NearDial, NearLink
from limen.base.config import Config
from limen.client.dial import Settings
from limen.client.session import Session
from limen.core.wamp.verdict import ALLOWED
from limen.door.hub.hub import Hub
from limen.door.router.gate import open_gate
from limen.node.connection import Connection
from limen.node.context import NodeContext
from limen.node.tree import Tree
from limen.service.pipeline import Pipeline
from limen.service.registry import Registry

if TYPE_CHECKING:
    from limen.client.connection import Receive
    from limen.client.dial import Lost
    from limen.client.handshake import Slot
    from limen.core.wamp.messages import Welcome

REALM = "memory.test"


@contextlib.asynccontextmanager
async def connections(n: int = 2, *, delay: float = 0.0) -> AsyncIterator[tuple[MemoryConnection, ...]]:
    """*n* connections to one router in memory, all online; at the end they are closed. *delay*: seconds that what the
    router says is on its way, by the loop's clock (`Clock`)."""
    hub = router()
    async with contextlib.AsyncExitStack() as stack:
        yield tuple([await stack.enter_async_context(MemoryConnection.to(hub, delay=delay)) for _ in range(n)])


def router() -> Hub:
    """A router for sessions of this event loop, as `connections` has one. `hub.realm(REALM)` is its one realm."""
    config = Config()
    nothing: Any = None  # there are no services, so that no call has files
    hub = Hub(config, Registry(config), Pipeline(config), open_gate(config), lambda *_: ALLOWED, nothing, {})
    hub.begin()
    return hub


class MemoryConnection(Connection):
    """A Connection that a test may cut."""

    hub: Hub
    _dial: _Dial

    @classmethod
    def to(cls, hub: Hub, realm: str = REALM, *, delay: float = 0.0) -> MemoryConnection:
        """One to *hub*, not open yet."""
        dial = _Dial(hub, realm, delay)
        connection = cls.over(Session(dial, Settings(patience=float("inf"), first_pause=0.0)))
        connection.hub, connection._dial = hub, dial
        return connection

    def cut(self, *, away: bool = False) -> None:
        """The connection is lost: the router sees this session end, and whoever waits here for an answer will have
        none. It comes back at once, as another session; *away*: when `come_back` says so."""
        if away:
            self._dial.reachable.clear()
        if self._dial.now is not None:
            self._dial.now.drop("The connection was cut.")

    async def close(self) -> None:
        self._dial.delay = 0.0  # who moves the clock may be who waits here
        await super().close()

    def come_back(self) -> None:
        """The router can be reached again."""
        self._dial.reachable.set()


class _Dial(NearDial):
    def __init__(self, hub: Hub, realm: str, delay: float) -> None:
        super().__init__(hub, realm)
        self.delay = delay
        self.reachable = asyncio.Event()
        self.reachable.set()
        self.now: NearLink | None = None
        """The connection that there is."""

    async def __call__(self, receive: Receive, lost: Lost, slot: Slot | None) -> tuple[NearLink, Welcome]:
        await self.reachable.wait()
        self.now, welcome = await super().__call__(receive, lost, slot)
        return self.now, welcome

    def link(self, receive: Receive, lost: Lost) -> NearLink:
        return _Slow(self, self._hub, self._principal, self.codec, receive, lost)


class _Slow(NearLink):
    """Each message arrives some seconds later."""

    def __init__(self, dial: _Dial, *more: Any) -> None:
        super().__init__(*more)
        self._dial = dial

    def arrive(self, data: bytes) -> None:
        if self._dial.delay:
            self.seat.hub.loop.call_later(self._dial.delay, super().arrive, data)
        else:
            super().arrive(data)


def gen_ctx(**names: Any) -> NodeContext:
    """A context in which nodes can be bound without any connection, with *names* in it. Nodes that are bound in
    contexts of one event loop reach each other."""
    loop = asyncio.get_running_loop()
    tree = _trees.get(loop)
    if tree is None:
        tree = _trees[loop] = Tree()
    return NodeContext(tree=tree, **names)


_trees: WeakKeyDictionary[asyncio.AbstractEventLoop, Tree] = WeakKeyDictionary()
