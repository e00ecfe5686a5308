"""Topics over plain HTTP: Server-Sent Events (WHATWG HTML, 9.2), for pages (`EventSource`), scripts and curl.

    GET /limen/events/news/alarm        both topics in one stream

    id: 8217                            the publication; who comes back with a Last-Event-ID hears `missed` first
    event: news
    data: {"args": ["milk"], "kwargs": {}}

Nothing is kept for who was away. Who may listen is what the topic says: `safe=False` is for everybody, `roles` with it
for whoever signs the request (`signing.py`, in the header). Who leaves more unread than MAX_QUEUE_SIZE is cut.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Final

from limen import exc
from limen.core.wamp.messages import Event, Message, Subscribed
from limen.door.http.answers import to_json
from limen.web.headers import NO_STORE, data_headers
from limen.web.response import Response

from .guest import Guest, failure
from .signing import header_principal, is_signed

if TYPE_CHECKING:
    from limen.base.principal import Principal
    from limen.door.http.request import Request
    from limen.door.hub.hub import Hub

HEARTBEAT: Final = 15.0
"""Seconds without a word after which a comment is sent: a proxy does not end what it hears from."""
RETRY: Final = 3000
"""Milliseconds after which a page comes back."""
MOST_TOPICS: Final = 32
_HEADERS: Final = (*data_headers(b"text/event-stream"), NO_STORE, (b"x-accel-buffering", b"no"))


class Events:
    """What stands at `/limen/events`."""

    def __init__(self, hub: Hub, heartbeat: float = HEARTBEAT) -> None:
        self._hub, self._heartbeat = hub, heartbeat

    async def __call__(self, request: Request, asker: Principal, topics: tuple[str, ...]) -> Response:
        hub = self._hub
        if request.method not in ("GET", "HEAD"):
            raise exc.MethodNotAllowed(allow="GET, HEAD")
        if not topics or not all(topics) or len(topics) > MOST_TOPICS:
            raise exc.InvalidAddress(f"Name one topic or up to {MOST_TOPICS}: /limen/events/news/alarm")
        principal, key = asker, b""
        if is_signed(request):
            principal, key = await header_principal(hub, principal, request, b"")
            most = hub.config.domain(principal.domain).MAX_USER_SESSIONS
            if sum(session.key == key for session in hub.guests) >= most:
                raise exc.MaxActiveSessions(f"This key has {most} streams open, the most that are allowed.")
        else:
            wait = hub.gate.refused(principal.domain, principal.origin)
            if wait is not None:
                raise exc.Abusive(retry_after=wait)
            if hub.is_crowded(principal.origin):
                raise exc.Busy("Your address has as many connections as one may have.", retry_after=60)
        stream = Stream(hub, principal, key, self._heartbeat)
        try:
            for topic in dict.fromkeys(topics):
                await stream.listen(topic)
        except BaseException:
            stream.leave()
            raise
        if request.method == "HEAD":
            stream.leave()
            return Response(200, _HEADERS)
        hub.guests.add(stream.guest)
        return Response(200, _HEADERS, stream=stream.run(missed=bool(request.headers.get(b"last-event-id"))))


class Stream:
    """One reader: a guest that subscribes, and what it has not read yet."""

    def __init__(self, hub: Hub, principal: Principal, key: bytes, heartbeat: float) -> None:
        self._limit, self._heartbeat = hub.config.domain(principal.domain).MAX_QUEUE_SIZE, heartbeat
        self.guest = Guest(hub, principal, key, self._heard)
        self._topics: dict[int, str] = {}
        self._queue: deque[bytes] = deque()
        self._size = 0
        self._over = False
        self._news = asyncio.Event()

    async def listen(self, topic: str) -> None:
        """Subscribes to one more topic. Raises `Unauthorized` and what else the realm says."""
        message = await self.guest.subscribe(topic)
        if not isinstance(message, Subscribed):
            raise failure(message) or exc.InvalidAddress(f"{topic!r} is no topic.")
        self._topics[message.subscription] = topic

    def leave(self) -> None:
        self.guest.leave()

    def _heard(self, message: Message, frames: dict[object, bytes]) -> None:
        if isinstance(message, Event):
            text = frames.get(Stream)
            if text is None:  # written once for all streams
                text = frames[Stream] = _block(message, self._topics.get(message.subscription, ""))
            self._queue.append(text)
            self._size += len(text)
            self._over = self._over or self._size > self._limit
        else:
            self._over = True  # GOODBYE
        if self._over:
            self.leave()
        self._news.set()

    async def run(self, *, missed: bool) -> AsyncGenerator[bytes, None]:
        """The text of the stream. It ends when the server stops, or its reader is too slow."""
        try:
            # An id without data is no event, but a page that comes back names it: so we know that it was here.
            yield b"retry: %d\nid: 0\n\n" % RETRY
            if missed:
                yield b"event: missed\ndata: {}\n\n"
            while not self._over:
                try:
                    async with asyncio.timeout(self._heartbeat):
                        await self._news.wait()
                except TimeoutError:
                    yield b": \n\n"
                    continue
                self._news.clear()
                while self._queue and self._size <= self._limit:
                    text = self._queue.popleft()
                    self._size -= len(text)
                    yield text
        finally:
            self.leave()


def _block(event: Event, topic: str) -> bytes:
    """One event. JSON holds no line break, and an address neither."""
    try:
        data = to_json({"args": event.args or [], "kwargs": event.kwargs or {}})
    except exc.InvalidValue:
        return b""  # NaN, say, has no JSON; other sessions hear it as it is
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.publication, topic.encode(), data)
