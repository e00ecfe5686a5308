"""The one connection that a session has, and its return when it is lost.

    opening -> online -> (lost) -> offline -> online …  -> over

How it comes back: an anonymous session by a new HELLO; a sealed one by its slot's key (docs/security.md, Slots and
resume), which lives in this process's memory. The password is forgotten as soon as it has been used; a machine's key
is kept, and opens a new session where the old one is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ssl import SSLContext
from typing import Final, Protocol

from limen import exc
from limen.base.spans import Spans
from limen.base.values import Encoding
from limen.client import handshake
from limen.client.address import endpoint
from limen.client.connection import Connection, open_connection
from limen.core.seal.login import ClientLogin
from limen.core.seal.machine import Credentials
from limen.core.wamp.codecs import Codec, codec
from limen.core.wamp.messages import Goodbye, Message, Welcome

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 10.0
"""Seconds between attempts to come back: a random part of a limit that doubles from the first to the longest."""
FAREWELL: Final = 2.0
"""Seconds that the server has to answer GOODBYE."""


@dataclass(frozen=True, slots=True)
class Settings:
    """See `limen.connect`."""

    encoding: Encoding = "msgpack"
    realm: str | None = None
    timeout: float | None = None
    patience: float = 60.0
    open_timeout: float = 10.0
    max_message_size: int = 16 * 2**20
    ssl: SSLContext | None = None
    force: bool = False
    """A login ends the user's oldest session where they have as many as are allowed."""
    spans: Spans | None = None
    """Makes spans of calls and events (`limen.observe.traced`)."""


class Owner(Protocol):
    """Who is told."""

    def entered(self, welcome: Welcome) -> None:
        """A session has begun, or has been resumed: WELCOME came."""

    def received(self, message: Message, flaw: exc.InvalidValue | None) -> None:
        """A message came; *flaw*: what is wrong with its payload."""

    def lost(self, reason: str) -> None:
        """The connection is lost; the line comes back, unless it is over."""

    def ended(self, error: exc.Error) -> None:
        """The line is over."""


class Line:
    """*credentials*: user and password of a sealed session, or a machine's key; None: anonymous.
    *open_slot*: leaves a key with the server, to come back with."""

    def __init__(
        self,
        url: str,
        credentials: tuple[str, str] | Credentials | None,
        settings: Settings,
        owner: Owner,
        open_slot: Callable[[], Awaitable[None]],
    ) -> None:
        self.url, self.domain = endpoint(url)
        if isinstance(credentials, Credentials) and credentials.domain != self.domain:
            raise exc.InvalidCredential(f"This key is for {credentials.domain!r}, and not for {self.domain!r}.")
        self.sealed = credentials is not None
        self.settings = settings
        self.codec: Codec = codec(settings.encoding, tagged=self.sealed)
        self.over: exc.Error | None = exc.ConnectionLost("This session is not open; use `async with`.")
        """Why nothing can be sent any more; None while the session lives, online or not."""
        self.connection: Connection | None = None
        self.request = 0
        """The last request id of this connection."""
        self.slot: handshake.Slot | None = None
        self._credentials = credentials
        self._machine = credentials if isinstance(credentials, Credentials) else None
        self._subprotocol = f"{'limen.1' if self.sealed else 'wamp.2'}.{settings.encoding}"
        self._owner, self._open_slot = owner, open_slot
        self._opened = False
        self._returning: asyncio.Task[None] | None = None
        self._farewell: asyncio.Future[None] | None = None

    async def open(self) -> None:
        """The first connection. Raises what the server says, or exc.ConnectionLost."""
        if self._opened:
            raise exc.ConnectionLost("A session is opened once; call limen.connect() again.")
        self._opened = True
        credentials, self._credentials = self._credentials, None
        connection, welcome = await self._attempt(credentials)
        self.over = None
        self._enter(connection, welcome)

    async def close(self) -> None:
        """GOODBYE, and its answer."""
        connection = self.connection
        if connection is not None and self.over is None:
            self._farewell = asyncio.get_running_loop().create_future()
            connection.send(Goodbye({}, "wamp.close.close_realm"))
            await asyncio.wait([self._farewell], timeout=FAREWELL)
        self.end(exc.ConnectionLost("The session was closed."))
        returning, self._returning = self._returning, None
        if returning is not None and returning is not asyncio.current_task():
            returning.cancel()
            await asyncio.gather(returning, return_exceptions=True)

    @property
    def is_machine(self) -> bool:
        """It comes in with a key, as often as it must."""
        return self._machine is not None

    @property
    def closing(self) -> bool:
        """We have said GOODBYE."""
        return self._farewell is not None

    def answered(self) -> None:
        """The server has answered our GOODBYE, or will not."""
        if self._farewell is not None and not self._farewell.done():
            self._farewell.set_result(None)

    def send(self, make: Callable[[int], Message]) -> int:
        """Sends a message with the next request id, and gives that; exc.ConnectionLost while there is no connection."""
        if self.connection is None:
            raise exc.ConnectionLost
        request = self.request + 1
        data = self.codec.encode(make(request))
        self.request = request
        self.connection.write(data)
        return request

    def drop(self, reason: str) -> None:
        """Ends the connection; the line comes back."""
        if self.connection is not None:
            self.connection.drop(reason)

    def end(self, error: exc.Error) -> None:
        """Ends the line."""
        if self.over is not None:
            return
        self.over = error
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.drop(str(error))
        self.slot = None
        self._owner.ended(error)

    def renew(self, error: exc.Error) -> None:
        """The server has ended the session: a machine begins another one, for a person the line is over."""
        if self._machine is None:
            self.end(error)
        else:
            self.slot = None
            self.drop(str(error))

    # -- one attempt --------------------------------------------------------------------------------------------
    async def _attempt(self, credentials: tuple[str, str] | Credentials | None) -> tuple[Connection, Welcome]:
        seconds = self.settings.open_timeout
        try:
            async with asyncio.timeout(seconds):
                connection = await self._connect()
        except TimeoutError:
            raise exc.ConnectionLost(f"{self.url} did not answer within {seconds:g} s.") from None
        try:
            async with asyncio.timeout(seconds):
                return connection, await self._greet(connection, credentials)
        except TimeoutError:
            connection.drop()
            raise exc.ConnectionLost(f"{self.url} did not answer within {seconds:g} s.") from None
        except BaseException:
            connection.drop()
            raise

    async def _connect(self) -> Connection:
        settings = self.settings
        return await open_connection(
            self.url,
            self._subprotocol,
            lambda: Connection(self.codec, self._owner.received, self._lost, settings.max_message_size),
            ssl=settings.ssl,
            max_size=settings.max_message_size,
        )

    async def _greet(self, connection: Connection, credentials: tuple[str, str] | Credentials | None) -> Welcome:
        if not self.sealed:
            return await handshake.anonymous(connection, self.settings.realm or self.domain)
        if isinstance(credentials, Credentials):
            return await handshake.machine(connection, credentials, os.urandom(32))
        if credentials is not None:
            user, password = credentials
            machine = ClientLogin(
                user, password, domain=self.domain, subprotocol=self._subprotocol, entropy=os.urandom(128)
            )
            return await handshake.login(connection, machine, force=self.settings.force)
        if self.slot is None:
            raise exc.UnknownSession
        return await handshake.resume(connection, self.domain, self.slot, os.urandom(32))

    # -- lost and found -----------------------------------------------------------------------------------------
    def _enter(self, connection: Connection, welcome: Welcome) -> None:
        self.connection, self.request = connection, 0
        self._owner.entered(welcome)
        connection.go_live()

    def _lost(self, connection: Connection) -> None:
        """A connection has ended. Of those that never became the session's nobody need know."""
        if connection is not self.connection:
            return
        self.connection = None
        if self.closing:
            self.answered()
            return
        if self.sealed and self.slot is None and self._machine is None:  # there is no key to come back with
            self.end(exc.ConnectionLost(connection.reason))
            return
        self._owner.lost(connection.reason)
        self._returning = asyncio.get_running_loop().create_task(self._return())

    async def _return(self) -> None:
        """Comes back, with longer and longer pauses, each cut at random: many clients do not come at once."""
        loop = asyncio.get_running_loop()
        deadline, limit = loop.time() + self.settings.patience, FIRST_PAUSE
        while True:
            await asyncio.sleep(random.uniform(0, limit))  # noqa: S311  # not a secret
            limit = min(limit * 2, LONGEST_PAUSE)
            try:
                connection, welcome = await self._attempt(self._machine if self.slot is None else None)
                break
            except (exc.UnknownSession, exc.InvalidCredential) as error:
                if self.slot is not None and self._machine is not None:
                    self.slot = None
                    continue
                # Unauthenticated, as every verdict before WELCOME; but no further attempt would hear another.
                self.end(error if isinstance(error, exc.UnknownSession) else exc.UnknownSession())
                return
            except exc.Error as error:
                if loop.time() >= deadline:
                    self.end(exc.ConnectionLost(f"The connection was lost and did not come back: {error}"))
                    return
        self._returning = None
        self._enter(connection, welcome)
        if self._machine is not None and self.slot is None:
            with contextlib.suppress(exc.Error):  # without a slot the key itself brings it back
                await self._open_slot()
