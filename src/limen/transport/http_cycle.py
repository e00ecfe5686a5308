"""One request and its response, as the application sees them: uvicorn's, and an answer that goes out in one piece.

An application that finds `limen.response` among the extensions of its scope may answer with one message, not two:

    await send({"type": "limen.response", "status": 200, "head": b"content-type: text/plain\\r\\n", "body": b"hello"})

*head*: whole header lines but Content-Length, which the sender answers for: made and checked once, they are sent as
they are. What goes out is the same, for a fraction of the work.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from limen.transport.link import linger

EXTENSIONS: Final[dict[str, dict[object, object]]] = {"limen.response": {}}
"""What a scope says is offered."""

STOPPED: Final[dict[str, object]] = {
    "type": "limen.response",
    "status": 503,
    "head": b"content-type: application/json\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n",
    "body": b'{"exc":"OutcomeUnknown","err":["The server was stopped meanwhile; the call may or may not have run."]}',
}
"""What a request hears whose time was over when the server ended."""


class _Unread:
    """The transport of a request whose body still comes when its answer goes out. Closed at once it would be reset, and
    the client, which writes, would never read the answer."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self.write = transport.write
        self.is_closing = transport.is_closing

    def close(self) -> None:
        linger(self._transport)


class Cycle(RequestResponseCycle):
    """uvicorn's cycle, with `limen.response`."""

    given = False
    """The whole body was handed over in one piece."""

    async def run_asgi(self, app: Any) -> None:
        async def stopped(scope: Any, receive: Any, send: Any) -> None:
            try:
                await app(scope, receive, send)
            except asyncio.CancelledError:  # only the end of the server does that, when its patience is over
                if self.response_started and not self.response_complete:
                    raise
                if not self.response_started:
                    self.keep_alive = False
                    await send(STOPPED)

        await super().run_asgi(stopped)

    async def receive(self) -> Any:
        if self.more_body or self.given or self.disconnected or self.response_complete or self.waiting_for_100_continue:
            return await super().receive()
        # All of it is here, as it mostly is: nothing need be waited for.
        self.given = True
        self.message_event.clear()
        self.flow.resume_reading()
        return {"type": "http.request", "body": bytes(self.body), "more_body": False}

    async def send(self, message: Any) -> None:
        if self.more_body and not isinstance(self.transport, _Unread):
            self.transport = cast(Any, _Unread(self.transport))  # all of it that a cycle uses
        if message["type"] != "limen.response":
            return await super().send(message)
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return None
        if self.response_started:
            raise RuntimeError("There was an answer already.")
        body = message["body"]
        parts = [STATUS_LINE[message["status"]]]
        for name, value in self.default_headers:
            parts += (name, b": ", value, b"\r\n")
        parts += (message["head"], b"content-length: %d\r\n" % len(body))
        if not self.keep_alive:
            parts.append(b"connection: close\r\n")
        parts.append(b"\r\n")
        if self.scope["method"] != "HEAD":
            parts.append(body)
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        self.transport.write(b"".join(parts))
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
        return None
