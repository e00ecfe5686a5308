"""How whoever stands before the hub answers calls: a WebSocket's connection, or one request of the HTTP lane."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from limen import exc
from limen.core.wamp.messages import CALL, Result
from limen.core.wamp.messages import Error as WampError

if TYPE_CHECKING:
    from limen.base.config import Config
    from limen.base.principal import Principal
    from limen.core.wamp.codecs import Codec
    from limen.core.wamp.messages import Message
    from limen.core.wamp.realm import Realm
    from limen.core.wamp.session import Session

    from .tabs import KeptCall

log = logging.getLogger("limen.door")

STREAM_HIGH = 1 << 20
"""Bytes queued for a peer above which a stream waits for it to read."""


class Answering:
    """What the two have in common: answers, errors, streams and their cancelling, in the peer's encoding.

    *queued*: bytes that the peer has not read yet.
    """

    __slots__ = ()

    codec: Codec
    session: Session | None
    realm: Realm
    running: dict[int, tuple[asyncio.Future[None], Any, KeptCall | None]]
    closing: bool
    queued: int

    if TYPE_CHECKING:

        def send(self, message: Message) -> int: ...
        def _send(self, data: bytes) -> int: ...

    def result(self, request: int, value: Any) -> int:
        """Answers a call of a local service; an answer that can't be encoded becomes the error that says so."""
        if self.session is None or not self.realm.settle(self.session, request):
            return 0
        try:
            return self._send(self.codec.answer(request, value))
        except Exception as problem:
            return self.send(error_message(request, unsaid(problem)))

    def error(self, request: int, error: exc.Error) -> int:
        if self.session is None or not self.realm.settle(self.session, request):
            return 0
        message = error_message(request, error)
        try:
            return self.send(message)
        except Exception as problem:  # a fact of it can't travel
            unsaid(problem)
            return self.send(replace(message, kwargs={"exc": error.exc, "err": error.err}))

    def progress(self, request: int) -> Callable[[Any], Awaitable[None] | None]:
        """What a stream calls with each value; gives something to await when the peer reads too slowly."""

        def send(value: Any) -> Awaitable[None] | None:
            if self.session is None or not self.realm.progressed(self.session, request):
                return None
            self.send(Result(request, {"progress": True}, [value]))
            return self._drained() if self.queued > STREAM_HIGH else None

        return send

    async def _drained(self) -> None:
        while not self.closing and self.queued > STREAM_HIGH // 2:
            await asyncio.sleep(0.02)  # the port has no drain event: a stream that waits for its reader may poll

    def shared(self, message: Message, frames: dict[object, bytes]) -> bytes:
        """A message that others get too, encoded once for each codec; b"" where this encoding can't say it (NaN in
        JSON): there is no such event for its peers."""
        data = frames.get(self.codec)
        if data is None:
            try:
                data = self.codec.encode(message)
            except Exception as problem:
                unsaid(problem)
                data = b""
            frames[self.codec] = data
        return data

    def interrupt(self, request: int) -> None:
        """The caller has cancelled, or its time is up."""
        running = self.running.get(request)
        if running is not None:
            running[1].set()
            running[0].cancel()


def new_session_id() -> int:
    """A session id: random, 1 to 2^53 - 1: WAMP allows 2^53 too, JavaScript holds it unsafe."""
    return secrets.randbelow(2**53 - 1) + 1


def unsaid(problem: Exception) -> exc.Error:
    """What is told of an answer that can't be encoded. That is a value's fault, or the program's (a `to_dict` that
    fails, a dict that changes meanwhile), which the log must have."""
    if isinstance(problem, exc.Error):
        return problem
    log.error("An answer could not be written", exc_info=problem)
    return exc.InternalError()


def error_message(request: int, error: exc.Error) -> WampError:
    """ERROR of a CALL: sentences as positional, the whole error as keyword arguments."""
    return WampError(CALL, request, {}, error.uri, list(error.err), error.to_wire())


def welcome(principal: Principal, method: str, login: float, config: Config, roles: dict[str, Any]) -> dict[str, Any]:
    """What WELCOME says of a user's sealed session that began with the login at *login* (docs/security.md). *roles*:
    the realm's."""
    by = principal.impersonated_by
    return {
        "realm": principal.domain,
        "authid": principal.user,
        "authrole": principal.role,
        "authmethod": method,
        "authprovider": "limen",
        "roles": roles,
        "x_roles": list(principal.roles),
        "x_profile": dict(principal.profile),
        **({} if by is None else {"x_impersonated_by": by}),
        "x_timeout": config.SESSION_TIMEOUT,
        "x_password_min": config.PASSWORD_MIN_LENGTH,
        "x_max_age": max(0.0, login + config.SESSION_MAX_AGE - time.time()),
    }
