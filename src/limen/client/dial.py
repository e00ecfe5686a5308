"""The way to a server: `Dial` makes a connection and is greeted on it, once for each time that a session (re)turns.

`WebSocketDial` is the way over the network. `limen.app.near` has the one that stays in the process: all above it, the
session, its calls, what it has registered and subscribed, is the same.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from ssl import SSLContext
from typing import TYPE_CHECKING, Protocol, TypeAlias

from limen import exc
from limen.base.spans import Spans
from limen.base.values import Encoding
from limen.client import handshake
from limen.client.address import endpoint
from limen.client.connection import Connection, open_connection
from limen.core.seal.login import ClientLogin
from limen.core.seal.machine import Credentials
from limen.core.wamp.codecs import Codec, codec
from limen.core.wamp.messages import Message, Welcome

if TYPE_CHECKING:
    from limen.client.connection import Receive
    from limen.core.seal.channel import Channel


@dataclass(frozen=True, slots=True)
class Settings:
    """See `limen.connect`."""

    encoding: Encoding = "msgpack"
    realm: str | None = None
    timeout: float | None = None
    patience: float = 60.0
    first_patience: float = 0.0
    """Seconds that the first connection may be tried anew where nobody answers."""
    first_pause: float = 0.1
    """Seconds, at most, before the first attempt to come back; the next ones wait longer and longer."""
    open_timeout: float = 10.0
    max_message_size: int = 16 * 2**20
    ssl: SSLContext | None = None
    force: bool = False
    """A login ends the user's oldest session where they have as many as are allowed."""
    spans: Spans | None = None
    """Makes spans of calls and events (`limen.observe.traced`)."""


class Link(Protocol):
    """A connection with a session on it, as the line uses it. `Connection` is one.

    *channel*: what seals it, None where nothing does. *reason*: why it has ended. *full*: the other side does not read
    as fast as is written.
    """

    @property
    def channel(self) -> Channel | None: ...
    @property
    def reason(self) -> str: ...
    @property
    def full(self) -> bool: ...

    async def drained(self) -> None:
        """Comes back when it is not full any more, or has ended."""

    def go_live(self) -> None:
        """From now on each message is handed over as it comes; what has come behind WELCOME at once."""

    def send(self, message: Message) -> None:
        """Sends one message; nothing where it has ended. exc.InvalidValue for what can't travel: nothing was sent."""

    def write(self, data: bytes) -> None:
        """Sends the encoded bytes of one message."""

    def drop(self, reason: str = ...) -> None:
        """Ends it."""


Lost: TypeAlias = Callable[[Link], None]
"""Told of a connection that has ended."""


class Dial(Protocol):
    """*url*: for people. *domain*: the tenant. *codec*: of the messages. *sealed*: what comes of it are a user's sealed
    sessions. *is_machine*: it can begin a new session as often as it must, by a key."""

    @property
    def url(self) -> str: ...
    @property
    def domain(self) -> str: ...
    @property
    def codec(self) -> Codec: ...
    @property
    def sealed(self) -> bool: ...
    @property
    def is_machine(self) -> bool: ...

    async def __call__(self, receive: Receive, lost: Lost, slot: handshake.Slot | None) -> tuple[Link, Welcome]:
        """A connection and the WELCOME on it. *slot*: resume that session. *receive* takes each message, *lost* is told
        once when the connection has ended. Raises what the server says, or exc.ConnectionLost."""
        ...


class WebSocketDial:
    """Over a WebSocket. *credentials*: user and password of a sealed session, or a machine's key; None: anonymous.

    The password is forgotten as soon as it has let one in; a machine's key is kept.
    """

    def __init__(self, url: str, credentials: tuple[str, str] | Credentials | None, settings: Settings) -> None:
        self.url, self.domain = endpoint(url)
        self._machine = credentials if isinstance(credentials, Credentials) else None
        if self._machine is not None and self._machine.domain != self.domain:
            raise exc.InvalidCredential(f"This key is for {self._machine.domain!r}, and not for {self.domain!r}.")
        self._password = credentials if isinstance(credentials, tuple) else None
        self.sealed = credentials is not None
        self.codec: Codec = codec(settings.encoding, tagged=self.sealed)
        self._subprotocol = f"{'limen.1' if self.sealed else 'wamp.2'}.{settings.encoding}"
        self._settings = settings

    @property
    def is_machine(self) -> bool:
        return self._machine is not None

    async def __call__(self, receive: Receive, lost: Lost, slot: handshake.Slot | None) -> tuple[Link, Welcome]:
        seconds = self._settings.open_timeout
        try:
            async with asyncio.timeout(seconds):
                connection = await self._connect(receive, lost)
        except TimeoutError:
            raise exc.ConnectionLost(f"{self.url} did not answer within {seconds:g} s.") from None
        try:
            async with asyncio.timeout(seconds):
                welcome = await self._greet(connection, slot)
        except TimeoutError:
            connection.drop()
            raise exc.ConnectionLost(f"{self.url} did not answer within {seconds:g} s.") from None
        except BaseException:
            connection.drop()
            raise
        self._password = None
        return connection, welcome

    async def _connect(self, receive: Receive, lost: Lost) -> Connection:
        settings = self._settings
        return await open_connection(
            self.url,
            self._subprotocol,
            lambda: Connection(self.codec, receive, lost, settings.max_message_size),
            ssl=settings.ssl,
            max_size=settings.max_message_size,
        )

    async def _greet(self, connection: Connection, slot: handshake.Slot | None) -> Welcome:
        if not self.sealed:
            return await handshake.anonymous(connection, self._settings.realm or self.domain)
        if slot is not None:
            return await handshake.resume(connection, self.domain, slot, os.urandom(32))
        if self._machine is not None:
            return await handshake.machine(connection, self._machine, os.urandom(32))
        if self._password is None:
            raise exc.UnknownSession
        login = ClientLogin(*self._password, domain=self.domain, subprotocol=self._subprotocol, entropy=os.urandom(128))
        return await handshake.login(connection, login, force=self._settings.force)
