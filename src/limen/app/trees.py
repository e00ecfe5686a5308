"""Trees of nodes that the program itself has bound, and its own connections: live objects on the server.

    @limen.bind("todo.lists")
    class Lists(Node):
        @call
        async def add(self, name): …

Bound at the start of the server, unbound at its end; in each domain, unless one is said. Of several processes
(`limen serve --workers N`) one binds a tree, which the others reach through it; when that one is gone, another does:
what a node keeps in memory is gone with it, so that what must last belongs in the storage.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, NamedTuple

from limen import exc
from limen.base.principal import stand_at

if TYPE_CHECKING:
    from limen.base.path import Path
    from limen.door.hub.hub import Hub
    from limen.node.connection import Connection
    from limen.node.node import Node

    from .app import App

log = logging.getLogger("limen")


class Declared(NamedTuple):
    path: Path | str
    factory: Callable[[], Node | Awaitable[Node]]
    domain: str | None


class Trees:
    """What `App.bind` declares, and what `App.connection` gives, of one App."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._declared: list[Declared] = []
        self._open: set[Connection] = set()
        self._hub: Hub | None = None
        """While a server runs."""

    def bind(self, path: Path | str, factory: Callable[[], Node | Awaitable[Node]], domain: str | None) -> None:
        """See `App.bind`."""
        if self._hub is not None:
            raise exc.InvalidCall(
                "The server runs already, and binds at its start; bind this node yourself: "
                "await node.node_bind(path, app.connection().new_context())"
            )
        self._declared.append(Declared(path, factory, domain))

    def connection(self, domain: str | None) -> Connection:
        """See `App.connection`."""
        from .near import NearConnection

        if self._hub is None:
            raise exc.ConnectionLost(
                "This App is not being served, so that it has no connection to give; ask for one in a function "
                'of @app.on("server.started"), in a service or a node, or take limen.testing.connections() in a test.'
            )
        if asyncio._get_running_loop() is not self._hub.loop:
            raise exc.ConnectionLost(
                "This App is served on another event loop; its connections are for that one (a plain `def` service "
                "runs on a thread: make it `async def`)."
            )
        domain = domain or self._app.config.DOMAIN
        if domain not in self._domains():
            raise exc.InvalidAddress(f"There is no domain {domain!r}; there are {', '.join(self._domains())}.")
        connection = NearConnection.to(self._hub, domain, self._app.parties.of(domain))
        self._open.add(connection)
        connection.on("signed_out", lambda error: self._open.discard(connection))
        return connection

    def _domains(self) -> list[str]:
        return sorted({self._app.config.DOMAIN, *self._app.domains})

    # -- while a server runs ------------------------------------------------------------------------------------
    @contextlib.asynccontextmanager
    async def alive(self, hub: Hub) -> AsyncIterator[None]:
        """Binds what is declared, for the length of the block; so does another process when this one is gone."""
        self._hub = hub
        try:
            async with contextlib.AsyncExitStack() as stack:
                if self._declared:
                    bound: list[_Bound] = []
                    stack.push_async_callback(self._unbind, bound)
                    await self._bind(hub, bound)
                    if hub.across is not None:
                        await stack.enter_async_context(self._taking_over(hub, bound))
                yield
        finally:
            self._hub = None
            await asyncio.gather(*(connection.close() for connection in tuple(self._open)))
            self._open.clear()

    async def _bind(self, hub: Hub, bound: list[_Bound]) -> None:
        """Binds what no other process has bound."""
        for number, declared in enumerate(self._declared):  # the same in all processes: they run one program
            for domain in self._domains() if declared.domain is None else [declared.domain]:
                name = f"limen tree {number} {domain} {declared.path}"
                if any(one.name == name for one in bound) or not await hub.bus.claim(name):
                    continue
                try:
                    context = copy_context()
                    context.run(stand_at, domain)
                    node = await hub.loop.create_task(self._bound(declared, domain), context=context)
                    bound.append(_Bound(name, node, context))
                except BaseException:
                    hub.bus.release(name)
                    raise

    async def _bound(self, declared: Declared, domain: str) -> Node:
        made = declared.factory()
        node = await made if isinstance(made, Awaitable) else made
        connection = self.connection(domain)
        try:
            await connection.connected()
            await node.node_bind(declared.path, connection.new_context())
        except BaseException:
            await connection.close()
            raise
        return node

    async def _unbind(self, bound: list[_Bound]) -> None:
        for one in reversed(bound):
            try:
                await asyncio.get_running_loop().create_task(one.node.node_unbind(), context=one.context)
            except Exception:
                log.exception("The tree at %s could not be unbound as it should", one.name)

    @contextlib.asynccontextmanager
    async def _taking_over(self, hub: Hub, bound: list[_Bound]) -> AsyncIterator[None]:
        gone = asyncio.Event()
        hub.bus.left(lambda number: gone.set())

        async def take_over() -> None:
            while True:
                await gone.wait()
                gone.clear()
                try:
                    await self._bind(hub, bound)
                except Exception:
                    log.exception("A tree that another process had bound could not be bound here")

        task = hub.loop.create_task(take_over())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])


class _Bound(NamedTuple):
    name: str
    node: Node
    context: Context
    """What its handlers run in: at its domain."""
