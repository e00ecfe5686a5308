"""One WebSocket of a client: frames in, messages out; sealed once a channel is there.

While the handshake runs, frames wait for `next_frame()`; after `go_live()` each is opened, decoded and handed over at
once, in the order in which it came. No task, no queue: a message goes from picows' callback to whoever waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from ssl import SSLContext
from typing import TYPE_CHECKING, Any

import picows
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from limen import exc
from limen.core.seal.channel import BadFrame, Channel
from limen.core.wamp.codecs import Codec, Malformed, Unacceptable
from limen.core.wamp.messages import Message

if TYPE_CHECKING:
    Receive = Callable[[Message, exc.InvalidValue | None], None]

_LOG = logging.getLogger("limen.client.websocket")
_CONTINUATION, _TEXT, _BINARY, _CLOSE = WSMsgType.CONTINUATION, WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CLOSE
PING_IDLE, PING_REPLY = 10.0, 10.0
"""A server that says nothing for PING_IDLE + PING_REPLY seconds is gone."""


class Connection(WSListener):
    """*codec*: of the subprotocol. *receive*: takes each message, with what was wrong with its payload. *lost*: told
    once, when the connection has ended, however it ended."""

    def __init__(self, codec: Codec, receive: Receive, lost: Callable[[Connection], None], max_size: int) -> None:
        self.codec, self.max_size = codec, max_size
        self.channel: Channel | None = None
        self.subprotocol = ""
        self.reason = "The connection was lost."
        self.closed = False
        self._kind = _TEXT if codec.text else _BINARY
        self._receive, self._lost = receive, lost
        self._live = False
        self._inbox: deque[tuple[bytes, bool]] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._parts: list[bytes] = []
        self._first: WSMsgType | None = None
        self._transport: WSTransport

    # -- what picows calls --------------------------------------------------------------------------------------
    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self.subprotocol = transport.response.headers.get("Sec-WebSocket-Protocol", "")

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if (kind is _BINARY or kind is _TEXT) and frame.fin and self._first is None:
            self._frame(frame.get_payload_as_bytes(), kind is _TEXT)
        elif kind is _CLOSE:
            self.drop("The server closed the connection.")
        elif kind is _BINARY or kind is _TEXT or kind is _CONTINUATION:
            self._fragment(kind, frame.get_payload_as_bytes(), frame.fin)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._end()

    def pause_writing(self) -> None:
        if self._drained is None:
            self._drained = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    # -- in -----------------------------------------------------------------------------------------------------
    def _fragment(self, kind: WSMsgType, data: bytes, fin: bool) -> None:
        if (kind is _CONTINUATION) is (self._first is None):
            self.drop("The server broke the WebSocket protocol.")
            return
        self._first = self._first or kind
        self._parts.append(data)
        if sum(map(len, self._parts)) > self.max_size:
            self.drop("A message was larger than max_message_size.")
        elif fin:
            whole, text = b"".join(self._parts), self._first is _TEXT
            self._parts, self._first = [], None
            self._frame(whole, text)

    def _frame(self, data: bytes, text: bool) -> None:
        if self.closed:
            return
        if not self._live:
            self._inbox.append((data, text))
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(None)
            return
        error = None
        try:
            message = self.decode(data, text)
        except Unacceptable as unacceptable:
            message, error = unacceptable.message, unacceptable.error
        except (BadFrame, Malformed) as refused:
            self.drop(f"The server sent what can't be read: {refused}")
            return
        self._receive(message, error)

    def decode(self, data: bytes, text: bool) -> Message:
        """The message in a frame. Raises BadFrame, Malformed, Unacceptable."""
        if self.channel is not None:
            if text:
                raise BadFrame("a text frame in a sealed session")
            return self.codec.decode(self.channel.open(data))
        if text is not self.codec.text:
            raise Malformed("text frames carry json, binary frames the other encodings")
        return self.codec.decode(data)

    async def next_frame(self) -> tuple[bytes, bool]:
        """The next frame of the handshake, as it came, and whether it is a text frame. Raises exc.ConnectionLost."""
        while not self._inbox:
            if self.closed:
                raise exc.ConnectionLost(self.reason)
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._inbox.popleft()

    def go_live(self) -> None:
        """The handshake is over. What came behind WELCOME is handed over now."""
        self._live = True
        while self._inbox:
            self._frame(*self._inbox.popleft())

    # -- out ----------------------------------------------------------------------------------------------------
    @property
    def full(self) -> bool:
        """The server does not read as fast as we write."""
        return self._drained is not None

    async def drained(self) -> None:
        """Waits until the server has read enough, or the connection is lost."""
        while self._drained is not None and not self.closed:
            await asyncio.shield(self._drained)

    def send(self, message: Message) -> None:
        """Sends one message. exc.InvalidValue, with the path, for what can't travel: then nothing was sent."""
        self.write(self.codec.encode(message))

    def write(self, data: bytes) -> None:
        """Sends the encoded bytes of one message."""
        if self.closed:
            return
        if self.channel is not None:
            self._transport.send(_BINARY, self.channel.seal(data))
        else:
            self._transport.send(self._kind, data)

    def drop(self, reason: str = "The session was closed.") -> None:
        """Ends the connection."""
        if self.closed:
            return
        self.reason = reason
        self._transport.send_close(WSCloseCode.OK)
        self._transport.disconnect()
        self._end()

    def _end(self) -> None:
        if self.closed:
            return
        self.closed = True
        self.channel = None
        for future in (self._waiter, self._drained):
            if future is not None and not future.done():
                future.set_result(None)
        self._lost(self)


async def open_connection(
    url: str,
    subprotocol: str,
    make: Callable[[], Connection],
    *,
    ssl: SSLContext | None,
    max_size: int,
) -> Connection:
    """A WebSocket to *url* that speaks *subprotocol* and nothing else; exc.ConnectionLost says why there is none."""
    options: dict[str, Any] = {"ssl_context": ssl} if ssl is not None else {}
    try:
        _, listener = await picows.ws_connect(
            make,
            url,
            extra_headers={"Sec-WebSocket-Protocol": subprotocol},
            max_redirects=0,
            enable_auto_ping=True,
            auto_ping_idle_timeout=PING_IDLE,
            auto_ping_reply_timeout=PING_REPLY,
            max_frame_size=max_size,
            logger_name=_LOG,
            **options,
        )
    except picows.WSHandshakeError as error:
        status = error.response.status.value if error.response is not None else None
        hint = " The server has none (WSGI, uvicorn without a library for it): take an HttpClient." * (status == 426)
        said = f" ({status})" if status else ""
        raise exc.ConnectionLost(f"{url} did not take a WebSocket{said}.{hint}") from error
    except (OSError, picows.WSError, asyncio.IncompleteReadError) as error:
        raise exc.ConnectionLost(f"{url} can't be reached: {error}") from error
    if not isinstance(listener, Connection):  # picows has none when the connection ends before the answer
        raise exc.ConnectionLost(f"{url} ended the connection.")
    if listener.subprotocol != subprotocol:
        listener.drop()
        raise exc.ConnectionLost(f"{url} does not speak {subprotocol}; there is no falling back to another.")
    return listener
