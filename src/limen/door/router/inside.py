"""Calls that the router itself makes: of procedures which say who may come in, and who may do what.

    result = await inside.call("realm1", "com.example.authorize", [details, uri, action, options], {}, 5.0)

The caller is a session of the realm of which nobody is told: its id is above all that WAMP has, and it stands for no
user (`Session.principal` is None), so that no rule is asked about it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from limen import exc
from limen.core.wamp.messages import CALL, MAX_ID, Call, Cancel, Error, Result
from limen.core.wamp.session import Session

if TYPE_CHECKING:
    from limen.core.wamp.messages import Abort, Goodbye, Kwargs, Message
    from limen.core.wamp.realm import Realm
    from limen.door.hub.hub import Hub

ROLE = "limen.router"

CallInside: TypeAlias = Callable[[str, str, list[Any], "Kwargs", float], Awaitable[Result]]
"""`Inside.call`, for those who ask by it: realm, URI, args, kwargs, seconds."""


class Inside:
    """One line for each realm, made when it is first needed."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._lines: dict[str, _Line] = {}

    async def call(self, realm: str, uri: str, args: list[Any], kwargs: Kwargs, seconds: float) -> Result:
        """What *uri* answers in *realm*. Raises the `exc.Error` that it fails with, `exc.NotFound` where nothing stands
        there, `exc.Timeout` after *seconds*; who waits no longer, whatever the reason, cancels the call."""
        there = self._hub.realm(realm)
        line = self._lines.get(realm)
        if line is None or line.realm is not there or not line.session.attached:
            line = self._lines[realm] = _Line(self._hub, there, len(self._lines))
        try:
            async with asyncio.timeout(seconds):
                return await line.call(uri, args, kwargs)
        except TimeoutError:
            raise exc.Timeout(f"{uri} has not answered within {seconds:g} s.") from None


class _Line:
    """The `peer` of such a session."""

    def __init__(self, hub: Hub, realm: Realm, number: int) -> None:
        self._hub, self.realm = hub, realm
        self.session = Session(2 * MAX_ID + number, None, peer=self, authid=ROLE, authroles=(ROLE,))
        self._waiting: dict[int, asyncio.Future[Result]] = {}
        hub.join(realm, self.session, self)  # type: ignore[arg-type]  # it calls, and is never called

    async def call(self, uri: str, args: list[Any], kwargs: Kwargs) -> Result:
        request = self.session.next_request
        answer = self._waiting[request] = self._hub.loop.create_future()
        self._hub.act(self.realm, self.realm.receive(self.session, Call(request, {}, uri, args, kwargs)))
        try:
            result: Result = await answer
            return result
        finally:
            del self._waiting[request]
            if answer.cancelled():
                self._hub.act(self.realm, self.realm.receive(self.session, Cancel(request, {"mode": "killnowait"})))

    # -- what the hub calls -------------------------------------------------------------------------------------
    def send(self, message: Message) -> int:
        match message:
            case Result(request):
                answer = self._waiting.get(request)
                if answer is not None and not answer.done():
                    answer.set_result(message)
            case Error(kind, request, _, uri, args, kwargs) if kind == CALL:
                answer = self._waiting.get(request)
                if answer is not None and not answer.done():
                    answer.set_exception(exc.from_wire(uri, kwargs, args))
        return 0

    def end(self, message: Abort | Goodbye | None) -> None:
        """The realm has ended this session: it is not to happen, and must not leave anybody waiting."""
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(exc.ConnectionLost("The router has ended its own session."))

    def goodbye(self, reason: str, details: dict[str, Any]) -> None:
        self.end(None)

    def interrupt(self, request: int) -> None: ...
    def send_shared(self, message: Message, frames: dict[object, bytes]) -> None: ...
