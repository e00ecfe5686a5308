"""Connection: how a tree of nodes reaches the rest of it.

    connection = Connection("https://clinic.example")
    await when_connected(connection)
    await node.node_bind("test.first", connection.new_context())
    …
    await connection.close()

It comes back by itself for as long as it is not closed: what is bound by it stays, is away meanwhile, and is there
again with it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from math import inf
from ssl import SSLContext
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from limen import exc
from limen.base.values import Encoding
from limen.client.dial import Settings
from limen.client.opening import dialled
from limen.client.session import Session

from .context import NodeContext
from .tree import Tree

if TYPE_CHECKING:
    from limen.client.events import Undo
    from limen.core.seal.machine import Credentials


class Connection:
    """To the realm *realm* (default: the URL's host) of the server or WAMP router at *url* (http, https, ws, wss).

    Options as of `limen.connect`: *user* and *password*, or *key*, make it sealed. *patience*: seconds that it may stay
    lost before it is over, without an end by default. It opens when it is first waited for, by `when_connected` or by
    `async with`; a server that does not answer yet is asked again.
    """

    session: Session
    """What it is made of: calls, subscriptions and registrations without nodes."""
    tree: Tree
    """What is bound by it."""

    def __init__(
        self,
        url: str,
        realm: str | None = None,
        *,
        user: str | None = None,
        password: str | None = None,
        key: str | os.PathLike[str] | Credentials | None = None,
        encoding: Encoding = "msgpack",
        timeout: float | None = None,
        patience: float = inf,
        open_timeout: float = 10.0,
        max_message_size: int = 16 * 2**20,
        ssl: SSLContext | None = None,
    ) -> None:
        settings = Settings(
            encoding,
            realm,
            timeout,
            patience,
            first_patience=patience,
            open_timeout=open_timeout,
            max_message_size=max_message_size,
            ssl=ssl,
        )
        self._begin(dialled(url, user, password, key, settings))

    @classmethod
    def over(cls, session: Session) -> Self:
        """One over a session that there is, open or not. Closing the connection closes the session."""
        connection = cls.__new__(cls)
        connection._begin(session)
        return connection

    def _begin(self, session: Session) -> None:
        self.session = session
        self.tree = Tree(session)
        self._opening: asyncio.Task[None] | None = None

    def new_context(self, **more: Any) -> NodeContext:
        """A context for what is bound by this connection, in which *more* is said."""
        return NodeContext(connection=self, session=self.session, tree=self.tree, **more)

    @property
    def state(self) -> Literal["closed", "online", "offline"]:
        """ "online", "offline" (trying to come back) or "closed": not open yet, or over."""
        return self.session.state

    def on(self, event: str, handler: Callable[..., Any]) -> Undo:
        """Calls *handler* when something happens: "online", "restored" (… and all is bound again), "offline",
        "signed_out" (it is over; the error says why). Gives the undo."""
        return self.session.on(event, handler)

    async def connected(self) -> Self:
        """See `when_connected`."""
        session = self.session
        if self._opening is None and not session.opened:
            self._opening = asyncio.get_running_loop().create_task(session.open())
        if (opening := self._opening) is not None:
            await asyncio.wait([opening])  # who is cancelled here leaves it to the others
            if opening.cancelled():
                raise exc.ConnectionLost("The connection was closed.")
            opening.result()
        news = asyncio.Event()
        undo = [session.on(event, lambda *error: news.set()) for event in ("restored", "signed_out")]
        try:
            while not session.restored and session.over is None:
                news.clear()
                await news.wait()
        finally:
            for each in undo:
                each()
        if session.over is not None:
            raise session.over
        return self

    async def close(self) -> None:
        """Ends it: what is bound by it can't be reached any more. A second time nothing happens."""
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
            await asyncio.wait([self._opening])
        await self.session.close()

    async def __aenter__(self) -> Self:
        return await self.connected()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"Connection({self.session.url!r}, {self.state})"


async def when_connected(connection: Connection) -> Connection:
    """Comes back when *connection* is there, with all that is bound by it; opens it if need be.

    Raises what the server says if it lets nobody in, and exc.ConnectionLost where the connection is over.
    """
    return await connection.connected()
