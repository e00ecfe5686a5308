"""A guest: the WAMP session that stands behind plain HTTP requests, the bridge's calls and streams of events.

It is a session of the realm like all others, so that what the realm knows (local services, procedures that others have
registered, rules, topics) holds for it without a second way in. It has no tab and no bytes: what the realm says to it
goes to `heard`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from limen import exc
from limen.core.wamp.messages import Call, Error, Event, Goodbye, Message, Publish, Result, Subscribe
from limen.core.wamp.session import Session
from limen.door.hub.answering import error_message, new_session_id

if TYPE_CHECKING:
    from limen.base.principal import Principal
    from limen.door.hub.hub import Hub
    from limen.door.hub.tabs import KeptCall

ROLES: dict[str, Any] = {"caller": {}, "publisher": {}, "subscriber": {}}
ANONYMOUS = {"authmethod": "anonymous", "authprovider": "limen", "transport": {"encoding": "json", "sealed": False}}
BY_KEY = {**ANONYMOUS, "authmethod": "cryptosign"}
"""What the session meta API tells of a guest."""


Heard = Callable[[Message, dict[object, bytes]], None]


class Guest:
    """*key*: the id of the key that signed for it, b"" for nobody. *heard*: takes events and GOODBYE, with what others
    who hear the same have made of it already.

    Its end is `leave`: what it has called is cancelled, what it has subscribed is given back.
    """

    tab = None
    transport = "http"

    def __init__(self, hub: Hub, principal: Principal, key: bytes = b"", heard: Heard | None = None) -> None:
        self.hub, self.principal, self.key = hub, principal, key
        self.since = hub.loop.time()
        self.running: dict[int, tuple[asyncio.Future[None], Any, KeptCall | None]] = {}
        self._heard = heard
        self._answers: dict[int, asyncio.Future[Message]] = {}
        id = new_session_id()
        authid = principal.user or f"anonymous-{id}"
        about = BY_KEY if key else ANONYMOUS
        self.session = Session(id, principal=principal, roles=ROLES, authid=authid, details=about)
        self.realm = hub.realm(principal.domain)
        hub.join(self.realm, self.session, self)

    @property
    def domain(self) -> str:
        return self.principal.domain

    @property
    def origin(self) -> str:
        return self.principal.origin

    @property
    def tls(self) -> bool:
        return self.principal.tls

    # -- what the door asks -------------------------------------------------------------------------------------
    async def call(self, uri: str, args: list[Any], kwargs: dict[str, Any], options: dict[str, Any]) -> Message:
        """RESULT or ERROR."""
        return await self._ask(lambda request: Call(request, options, uri, args, kwargs))

    async def publish(self, uri: str, args: list[Any], kwargs: dict[str, Any], options: dict[str, Any]) -> Message:
        """PUBLISHED or ERROR."""
        return await self._ask(lambda request: Publish(request, {**options, "acknowledge": True}, uri, args, kwargs))

    async def subscribe(self, uri: str) -> Message:
        """SUBSCRIBED or ERROR."""
        return await self._ask(lambda request: Subscribe(request, {}, uri))

    async def _ask(self, make: Callable[[int], Message]) -> Message:
        request = self.session.next_request
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._answers[request] = answer
        self.hub.act(self.realm, self.realm.receive(self.session, make(request)))
        return await answer

    def leave(self) -> None:
        """It is gone, whatever it was doing. A second time nothing happens."""
        self.hub.guests.discard(self)
        self.hub.part(self.realm, self.session)
        for task, cancellation, _ in tuple(self.running.values()):
            cancellation.set()
            task.cancel()

    # -- what the realm and the hub call ------------------------------------------------------------------------
    def send(self, message: Message) -> int:
        if isinstance(message, Event | Goodbye):
            self.send_shared(message, {})
            return 0
        request = getattr(message, "request", None)
        answer = self._answers.pop(request, None) if isinstance(request, int) else None
        if answer is None and self._answers:  # ABORT: this session is over, and nothing else will come
            _, answer = self._answers.popitem()
        if answer is not None and not answer.done():
            answer.set_result(message)
        return 0

    def send_shared(self, message: Message, frames: dict[object, bytes]) -> None:
        if self._heard is not None:
            self._heard(message, frames)

    def result(self, request: int, value: Any) -> int:
        if self.realm.settle(self.session, request):
            self.send(Result(request, {}, [value]))
        return 0

    def error(self, request: int, error: exc.Error) -> int:
        if self.realm.settle(self.session, request):
            self.send(error_message(request, error))
        return 0

    def progress(self, request: int) -> Callable[[Any], None]:
        """Nobody here asks for the pieces of an answer."""
        return lambda value: None

    def interrupt(self, request: int) -> None:
        running = self.running.get(request)
        if running is not None:
            running[1].set()
            running[0].cancel()

    def end(self, message: Message | None) -> None:
        if message is not None:
            self.send(message)

    def goodbye(self, reason: str, details: dict[str, Any]) -> None:
        """The server ends it: its key was removed, the server stops."""
        self.send(Goodbye(details, reason))


def failure(message: Message) -> exc.Error | None:
    """The error that *message* says; None for an answer."""
    if isinstance(message, Error):
        return exc.from_wire(message.error, message.kwargs, message.args)
    return None
