"""Sealed requests over plain HTTP: each is sent until its answer has begun, the same bytes, and is answered once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

from limen import exc
from limen.client.exchange import Answer, Exchange, Request
from limen.core.seal.channel import BadFrame
from limen.core.seal.lane import WINDOW, Caller, Sealed
from limen.core.wamp.codecs import Codec, Malformed, Unacceptable
from limen.core.wamp.messages import Message

ROOT: Final = "/limen/lane"
TRIES: Final = 3
"""So often is a request sent whose answer does not come."""
MAX_GREETING: Final = 1 << 20
_LOST: Final = (exc.ConnectionLost, exc.OutcomeUnknown)
_NOT_RUN: Final = (
    exc.UnknownSession,
    exc.Abusive,
    exc.RequireSSL,
    exc.TooLarge,
    exc.Busy,
    exc.Forbidden,
    exc.InvalidCall,
    exc.NotFound,
)
"""Unsealed verdicts that say that nothing ran. As an ABORT they may be anyone's on the way, and are shown as such."""

_GATEWAY: Final = (502, 503, 504)
"""A proxy that could not reach the server: it may know the answer, once it is back."""


class Posts:
    """Those of one session. *slot*: its name. *over*: why the session has ended."""

    def __init__(self, exchange: Exchange, codec: Codec, caller: Caller, slot: str) -> None:
        self.exchange, self.codec, self.caller, self.slot = exchange, codec, caller, slot
        self.over: exc.Error | None = None
        self._sending: dict[int, float] = {}
        """Numbers whose answers have not begun, and when they were sent."""
        self._moved = asyncio.Event()

    async def room(self) -> None:
        """Waits while so many requests are on their way that one could overtake another by more than the window. One
        that was sent a second ago has arrived, though its call may run for long."""
        while True:
            late = time.monotonic() - 1.0
            low = min((number for number, sent in self._sending.items() if sent > late), default=self.caller.next)
            if self.caller.next - low < WINDOW // 2:
                return
            self._moved.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await self._moved.wait()

    def _arrived(self, number: int) -> None:
        self._sending.pop(number, None)
        self._moved.set()

    def seal(self, make: Callable[[int], Message]) -> Sealed:
        """A request with the next number, which *make* gets. Raises why the session is over."""
        if self.over is not None:
            raise self.over
        data = self.codec.encode(make(self.caller.next))  # before a number is used up
        self._sending[self.caller.next] = time.monotonic()
        return self.caller.seal(data)

    async def only(self, make: Callable[[int], Message]) -> Message:
        """The one message that answers."""
        await self.room()
        async with aclosing(self.messages(self.seal(make))) as messages:
            said = [message async for message in messages]
        if not said:
            raise exc.OutcomeUnknown
        return said[-1]

    async def messages(self, sealed: Sealed) -> AsyncGenerator[Message, None]:
        """The messages of an answer. A request is sent again as long as nothing of its answer has come."""
        sent = False
        for left in reversed(range(TRIES)):
            begun = False
            try:
                try:
                    said = await self._post(sealed, sent)
                finally:
                    self._arrived(sealed.number)
                sent = True
                async with aclosing(said.chunks) as chunks:
                    async for chunk in chunks:
                        for frame in sealed.answer.feed(chunk):
                            begun = True
                            yield decode(self.codec, frame)
                if not sealed.answer.whole:
                    raise exc.OutcomeUnknown("The answer ended before it was whole.")
                return
            except BadFrame:
                raise exc.OutcomeUnknown("What came is not the server's answer.") from None
            except _Verdict as verdict:
                raise verdict.error from None
            except _LOST as error:
                sent = sent or isinstance(error, exc.OutcomeUnknown)
                if not left and not sent:
                    self.caller.unsent(sealed)
                if begun or not left:
                    raise (exc.OutcomeUnknown() if sent else error) from None
                sealed.answer.rewind()
                await asyncio.sleep(0.05 * (TRIES - left))

    async def _post(self, sealed: Sealed, again: bool) -> Answer:
        """The answer with status 200. *again*: an earlier try may have run. Raises `_Verdict`, or that it was lost."""
        headers = (("x-limen-slot", self.slot), ("x-limen-number", str(sealed.number)))
        said = await post(self.exchange, "call", self.codec, sealed.frame, headers)
        if said.status == 200:
            return said
        error = await refusal(said)
        if error is None:
            if said.status in _GATEWAY:
                raise exc.OutcomeUnknown
            error = exc.OutcomeUnknown(f"Something on the way answered with status {said.status}.")
        if again or not isinstance(error, _NOT_RUN):
            raise _Verdict(
                exc.OutcomeUnknown(*error.err) if isinstance(error, exc.OutcomeUnknown) else exc.OutcomeUnknown()
            )
        if isinstance(error, exc.UnknownSession):
            self.over = error
        raise _Verdict(error)


class _Verdict(Exception):
    """The server, or somebody on the way, refuses: to send the request again would help nobody."""

    def __init__(self, error: exc.Error) -> None:
        super().__init__(str(error))
        self.error = error


async def post(
    exchange: Exchange, step: str, codec: Codec, body: bytes, headers: tuple[tuple[str, str], ...] = ()
) -> Answer:
    """Sends one, and gives its answer, whatever its status."""
    kind = (("content-type", f"application/x-limen-{codec.name}"),)
    return await exchange.send(Request("POST", f"{exchange.prefix}{ROOT}/{step}", kind + headers, body))


async def refusal(said: Answer) -> exc.Error | None:
    """What an answer without a seal says; None where it is not Limen's."""
    try:
        facts = json.loads(await said.read(MAX_GREETING))
    except ValueError:
        return None
    return exc.from_wire("", facts, None) if isinstance(facts, dict) and "exc" in facts else None


def decode(codec: Codec, data: bytes) -> Message:
    """The message in *data*. Raises exc.OutcomeUnknown where there is none."""
    try:
        return codec.decode(data)
    except Unacceptable as error:
        raise error.error from None
    except Malformed as error:
        raise exc.OutcomeUnknown(f"The server sent no message: {error.reason}") from None
