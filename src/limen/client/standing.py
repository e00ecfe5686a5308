"""What a session has asked its router to keep for it: subscriptions and registrations, one `Standing` each.

    begin -> asked -> agreed … (connection lost) … asked -> agreed … -> end -> taken back

It is asked for anew at each return, all at once, before calls that waited are sent. It ends at once when it is
undone: nothing comes to it from then on, and what the undo gave is done when the router has confirmed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, ClassVar, Final, Generic, Literal, Protocol, TypeAlias, TypeVar

from limen import exc
from limen.client.requests import Requests
from limen.core.wamp.messages import Message

log = logging.getLogger("limen.client")

EXACT: Final = "exact"
TAKEN: Final = "wamp.error.procedure_already_exists"
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 10.0
"""Seconds between attempts to get back what seems to be taken: each twice the one before."""

Key: TypeAlias = tuple[str, str]
"""The URI and how it matches: to the router they are one address."""
Kind: TypeAlias = Literal["registration", "subscription"]


class Owner(Protocol):
    """The session, as far as it is needed here."""

    def settled(self) -> None:
        """The router has answered for something that is to stand."""

    def revoked(self, uri: str, match: str, error: exc.Error, kind: Kind) -> None:
        """Something does not stand any more that was to stand."""


class Standing:
    """*uri*, *match*, *options*: as it is asked for. *id*: the router's, 0 while there is none. *ready*: done when the
    router has agreed for the first time, or has not. *gone*: there since it was undone, done when that is confirmed."""

    def __init__(self, uri: str, match: str, options: dict[str, Any]) -> None:
        self.uri, self.match = uri, match
        self.options = options if match == EXACT else {**options, "match": match}
        self.id = 0
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.gone: asyncio.Future[None] | None = None
        self.again: asyncio.TimerHandle | None = None
        self.pause = FIRST_PAUSE

    @property
    def key(self) -> Key:
        return self.uri, self.match


S = TypeVar("S", bound=Standing)


class Standings(Generic[S]):
    """Those of one kind in one session. *ask*, *unask*: the messages."""

    kind: ClassVar[Kind]

    def __init__(
        self,
        session: Owner,
        requests: Requests,
        ask: Callable[[int, dict[str, Any], str], Message],
        unask: Callable[[int, int], Message],
    ) -> None:
        self._session, self._requests, self._ask, self._unask = session, requests, ask, unask
        self._by_key: dict[Key, S] = {}
        self._by_id: dict[int, S] = {}
        self._asked: set[S] = set()
        """Whose answer is awaited."""
        self._leaving: dict[Key, S] = {}
        """Those among them that nobody wants any more: the next at that address waits for their end."""

    def __len__(self) -> int:
        return len(self._by_key)

    @property
    def settled(self) -> bool:
        """All that is wanted stands."""
        return not self._asked and len(self._by_id) == len(self._by_key)

    async def free(self, key: Key) -> None:
        """Comes back when of all that stood there nothing is under way any more."""
        while (before := self._leaving.get(key)) is not None and before.gone is not None:
            await asyncio.shield(before.gone)

    def begin(self, standing: S) -> None:
        """Asks for it; now, or when there is a connection. Raises exc.InvalidValue for options that can't travel."""
        self._by_key[standing.key] = standing
        try:
            self._request(standing)
        except exc.InvalidValue:
            del self._by_key[standing.key]
            raise

    def end(self, standing: S) -> asyncio.Future[None]:
        """Nobody wants it any more, from now on. A second time it is the same end."""
        if standing.gone is not None:
            return standing.gone
        gone = standing.gone = standing.ready.get_loop().create_future()
        if standing.again is not None:
            standing.again.cancel()
        if self._by_key.get(standing.key) is standing:
            del self._by_key[standing.key]
        if standing in self._asked:
            self._leaving[standing.key] = standing
        elif self._by_id.get(standing.id) is standing:
            del self._by_id[standing.id]
            self._take_back(standing)
        else:
            gone.set_result(None)
        return gone

    # -- what the session says ----------------------------------------------------------------------------------
    def renew(self) -> None:
        """There is a new session: everything is asked for again."""
        for standing in tuple(self._by_key.values()):
            if standing not in self._asked and self._by_id.get(standing.id) is not standing:
                self._request(standing)

    def lost(self) -> None:
        """The connection is lost, and with it all that stood. (What was asked for has had its answer: that it is.)"""
        self._by_id.clear()
        for standing in self._by_key.values():
            if standing.again is not None:
                standing.again.cancel()

    def revoked(self, id: int, reason: str) -> None:
        """The router has taken it back."""
        standing = self._by_id.pop(id, None)
        if standing is not None:
            self._by_key.pop(standing.key, None)
            log.warning("%s was taken back by the router: %s", standing.uri, reason)
            error = exc.NotFound(f"{standing.uri} was taken back by the router: {reason}")
            self._session.revoked(*standing.key, error, self.kind)

    def over(self, error: exc.Error) -> None:
        """The session is over."""
        self.lost()
        for standing in self._by_key.values():
            if not standing.ready.done():
                standing.ready.set_exception(error)
                standing.ready.exception()  # whoever waits has it; maybe nobody does
        self._by_key.clear()

    # -- inside -------------------------------------------------------------------------------------------------
    def _request(self, standing: S) -> None:
        self._asked.add(standing)
        try:
            self._requests.send(
                lambda id: self._ask(id, standing.options, standing.uri), lambda reply: self._answered(standing, reply)
            )
        except exc.InvalidValue:
            self._asked.discard(standing)
            raise

    def _answered(self, standing: S, reply: int | exc.Error) -> None:
        self._asked.discard(standing)
        if isinstance(reply, exc.ConnectionLost):  # it is asked for again when the session is back
            if standing.gone is not None:
                self._gone(standing)
        elif standing.gone is not None:
            if isinstance(reply, int):
                standing.id = reply
                self._take_back(standing)
            else:
                self._gone(standing)
        elif isinstance(reply, int):
            standing.id, standing.pause = reply, FIRST_PAUSE
            self._by_id[reply] = standing
            if not standing.ready.done():
                standing.ready.set_result(None)
        else:
            self._refused(standing, reply)
        self._session.settled()

    def _refused(self, standing: S, error: exc.Error) -> None:
        if not standing.ready.done():
            self._by_key.pop(standing.key, None)
            standing.ready.set_exception(error)
        elif isinstance(error, exc.RemoteError) and error.remote_uri == TAKEN:
            # Most likely by ourselves: the router has not noticed yet that the lost connection is lost.
            log.info("%s can't be had back yet: %s", standing.uri, error)
            pause, standing.pause = standing.pause, min(standing.pause * 2, LONGEST_PAUSE)
            standing.again = asyncio.get_running_loop().call_later(pause, self._request, standing)
        else:
            self._by_key.pop(standing.key, None)
            log.warning("%s can't be had back: %s", standing.uri, error)
            self._session.revoked(*standing.key, error, self.kind)

    def _take_back(self, standing: S) -> None:
        self._requests.send(lambda id: self._unask(id, standing.id), lambda reply: self._gone(standing))

    def _gone(self, standing: S) -> None:
        if self._leaving.get(standing.key) is standing:
            del self._leaving[standing.key]
        if standing.gone is not None and not standing.gone.done():
            standing.gone.set_result(None)
