"""The one connection that a session has, and its return when it is lost.

    opening -> online -> (lost) -> offline -> online …  -> over

How it comes back: an anonymous session by a new HELLO; a sealed one by its slot's key (docs/security.md, Slots and
resume), which lives in this process's memory; a machine's key opens a new session where the old one is over. What a
connection is, and how it is greeted, is the dial's (`dial.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, Protocol

from limen import exc
from limen.client import handshake
from limen.client.dial import Dial, Link, Settings
from limen.core.wamp.messages import Goodbye, Message, Welcome

log = logging.getLogger("limen.client")

LONGEST_PAUSE: Final = 10.0
"""Seconds between attempts to come back: a random part of a limit that doubles from the first to the longest."""
FAREWELL: Final = 2.0
"""Seconds that the server has to answer GOODBYE."""


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
    """*dial*: the way to the server. *open_slot*: leaves a key with the server, to come back with."""

    def __init__(self, dial: Dial, settings: Settings, owner: Owner, open_slot: Callable[[], Awaitable[None]]) -> None:
        self._dial = dial
        self.url, self.domain, self.sealed, self.codec = dial.url, dial.domain, dial.sealed, dial.codec
        self.settings = settings
        self.over: exc.Error | None = exc.ConnectionLost("This session is not open; use `async with`.")
        """Why nothing can be sent any more; None while the session lives, online or not."""
        self.connection: Link | None = None
        self.request = 0
        """The last request id of this connection."""
        self.slot: handshake.Slot | None = None
        self._owner, self._open_slot = owner, open_slot
        self._opened = False
        self._returning: asyncio.Task[None] | None = None
        self._farewell: asyncio.Future[None] | None = None

    @property
    def opened(self) -> bool:
        """`open` was called."""
        return self._opened

    async def open(self) -> None:
        """The first connection. Raises what the server says, or exc.ConnectionLost."""
        if self._opened:
            raise exc.ConnectionLost("A session is opened once; call limen.connect() again.")
        self._opened = True
        loop, pauses = asyncio.get_running_loop(), self._pauses()
        deadline, told = loop.time() + self.settings.first_patience, False
        while True:
            try:
                connection, welcome = await self._dial(self._owner.received, self._lost, self.slot)
                break
            except exc.ConnectionLost as error:
                if loop.time() >= deadline:
                    raise
                if not told:
                    told = True
                    log.warning("%s It is tried again until it is there.", error)
            await asyncio.sleep(next(pauses))
        self.over = None
        self._enter(connection, welcome)

    async def close(self) -> None:
        """GOODBYE, and its answer. What was never open can't be opened any more."""
        self._opened = True
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
        return self._dial.is_machine

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
        if not self.is_machine:
            self.end(error)
        else:
            self.slot = None
            self.drop(str(error))

    # -- lost and found -----------------------------------------------------------------------------------------
    def _enter(self, connection: Link, welcome: Welcome) -> None:
        self.connection, self.request = connection, 0
        self._owner.entered(welcome)
        connection.go_live()

    def _lost(self, connection: Link) -> None:
        """A connection has ended. Of those that never became the session's nobody need know."""
        if connection is not self.connection:
            return
        self.connection = None
        if self.closing:
            self.answered()
            return
        if self.sealed and self.slot is None and not self.is_machine:  # there is no key to come back with
            self.end(exc.ConnectionLost(connection.reason))
            return
        self._owner.lost(connection.reason)
        self._returning = asyncio.get_running_loop().create_task(self._return())

    async def _return(self) -> None:
        """Comes back, with longer and longer pauses, each cut at random: many clients do not come at once."""
        loop = asyncio.get_running_loop()
        deadline, told = loop.time() + self.settings.patience, False
        for pause in self._pauses():
            await asyncio.sleep(pause)
            try:
                connection, welcome = await self._dial(self._owner.received, self._lost, self.slot)
                break
            except (exc.UnknownSession, exc.InvalidCredential) as error:
                if self.slot is not None and self.is_machine:
                    self.slot = None
                    continue
                # Unauthenticated, as every verdict before WELCOME; but no further attempt would hear another.
                self.end(error if isinstance(error, exc.UnknownSession) else exc.UnknownSession())
                return
            except exc.Error as error:
                if loop.time() >= deadline:
                    self.end(exc.ConnectionLost(f"The connection was lost and did not come back: {error}"))
                    return
                if not told:
                    told = True
                    log.warning("The connection was lost: %s It is tried again until it is there.", error)
        self._returning = None
        self._enter(connection, welcome)
        if self.is_machine and self.slot is None:
            with contextlib.suppress(exc.Error):  # without a slot the key itself brings it back
                await self._open_slot()

    def _pauses(self) -> Iterator[float]:
        limit = self.settings.first_pause
        while True:
            yield random.uniform(0, limit)  # noqa: S311  # not a secret
            limit = min(limit * 2, LONGEST_PAUSE)
