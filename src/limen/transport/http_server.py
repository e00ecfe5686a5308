"""uvicorn's HTTP/1.1 over httptools, with the time-outs and limits that it lacks.

    from limen.transport.http_server import HttpServer

    uvicorn.Config(app, http=HttpServer(config).protocol, ...)

llhttp (in httptools) is strict about framing: bare LF, both lengths, chunk sizes. What it leaves open is decided here,
and in front of the application: time for head and body, sizes of head, target, body, chunk extensions and trailers, one
Host, versions, absolute targets (RFC 9112, section 3.2.2), upgrades that nobody offers, and how much may be pipelined.

A request that is refused is answered once, in its turn, and then the connection is closed: nothing behind it is parsed.
"""

from __future__ import annotations

import asyncio
import logging
import re
from functools import partial
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from limen.base.config import Config
from limen.transport.http_cycle import EXTENSIONS, Cycle
from limen.transport.link import is_ending, linger
from limen.transport.pulse import Pulse
from limen.transport.upgrade import refuse, refused
from limen.transport.wire import Refusal

MAX_HEAD = 32768
"""Bytes of request line and headers."""
MAX_TARGET = 16384
"""Bytes of the request's target."""
MAX_HEADERS = 128
MAX_TRAILER = 8192
"""Bytes of a trailer, which is read and dropped."""
MAX_FRAMING = 65536
"""Bytes of a chunked body that may be framing, over as many as are body."""
LAST_CALL = 1.0
"""Seconds that a connection which has said nothing yet may still speak when the server ends."""
PROGRESS = 65536
"""Bytes of a body that must come within BODY_TIMEOUT: a large one may take longer, but not stand still."""
SLICE = 16384
"""Bytes that are parsed in one go: what was pipelined behind them waits unparsed."""

log = logging.getLogger("limen.transport")

_WATCHED = frozenset((b"host", b"content-length", b"transfer-encoding", b"expect"))
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_ABSOLUTE = re.compile(rb"https?://([^/?#@]+)((?:[/?][^#]*)?)", re.IGNORECASE)
_IDLE, _HEAD, _BODY = 0, 1, 2


class HttpServer:
    """Makes the HTTP connections of one server.

    *config*: HELLO_TIMEOUT (for the head), BODY_TIMEOUT, MAX_UPLOAD_SIZE and MAX_MESSAGE_SIZE (together the largest
    body that any address takes; what each takes is the application's to say) and MAX_STALL are read once.
    *keep_alive*: seconds that a connection may say nothing between two requests.
    """

    def __init__(self, config: Config, keep_alive: float = 30.0) -> None:
        self.keep_alive = keep_alive
        self.head_timeout = config.HELLO_TIMEOUT
        self.body_timeout = config.BODY_TIMEOUT
        self.max_body = config.MAX_UPLOAD_SIZE + config.MAX_MESSAGE_SIZE
        self.max_stall = config.MAX_STALL
        self.pulse = Pulse(min(1.0, self.head_timeout / 4, self.body_timeout / 4, self.max_stall / 4, keep_alive / 4))
        self.protocol = partial(HttpProtocol, self)
        """What uvicorn calls for each connection; pass this as `http=`."""


class Refused(Exception):
    """Raised within the parser's callbacks: the request is not taken."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(status, why)
        self.refusal = refuse(status, why, (("cache-control", "no-store"), ("x-content-type-options", "nosniff")))


class _Flow(FlowControl):
    """uvicorn's flow control, which the application's `receive()` may not talk into reading more pipelined requests."""

    def __init__(self, transport: Any, protocol: HttpProtocol) -> None:
        super().__init__(transport)
        self._protocol = protocol

    def resume_reading(self) -> None:
        if self.read_paused and not self._protocol.behind():
            super().resume_reading()


class HttpProtocol(HttpToolsProtocol):
    """One connection. What a request costs here is a few attributes; nothing is timed that arrives in one piece."""

    def __init__(self, server: HttpServer, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._server = server
        self._phase = _IDLE
        self._deadline = 0.0
        """Loop time by which the head, the body or the next request must be here; 0 while the application works."""
        self._timed = True
        """The deadline is that of the head under way."""
        self._head_size = 0
        self._hosts = 0
        self._length = 0
        self._chunked = False
        self._body_size = 0
        self._progress = 0
        """Bytes of the body that were here when its time was last counted anew."""
        self._framing = 0
        self._other_upgrade = False
        self._last = False
        """The server ends; this request is the last that is heard."""
        self._rest = b""
        self._refusal: Refusal | None = None
        self._running: RequestResponseCycle | None = None
        self._waiting = 0
        self._moved = 0.0

    # -- the connection ---------------------------------------------------------------------------------------------
    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.flow = _Flow(transport, self)
        self._deadline = self.loop.time() + self._server.head_timeout
        self._server.pulse.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.pulse.remove(self)
        self.pipeline.clear()
        if self._running is not None and not self._running.response_complete:  # uvicorn only tells the latest
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        task = self.loop.create_task(cycle.run_asgi(app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            return
        if self.behind():
            self._rest += data
            self.flow.pause_reading()
        else:
            self._parse(data)

    def behind(self) -> bool:
        """Whether requests wait that were sent before their turn, or none are taken any more."""
        return bool(self._rest or self.pipeline) or self._refusal is not None

    def _parse(self, data: bytes) -> None:
        start, end = 0, len(data)
        while start < end:
            # Of a body whose length is known nothing need be looked for: all of what is here is body.
            size = SLICE if self._phase is not _BODY or self._chunked else max(SLICE, self._length - self._body_size)
            piece = data if not start and end <= size else data[start : start + size]
            start += len(piece)
            try:
                if not self._parse_piece(piece, start == end):
                    return
            except httptools.HttpParserError as error:
                reason = error.__context__
                if not isinstance(reason, Refused):
                    if isinstance(error, httptools.HttpParserCallbackError):
                        log.error("Reading a request failed", exc_info=reason)
                    reason = Refused(400, "This is not HTTP/1.1.")
                self._refuse(reason)
                return
            except Refused as refusal:
                self._refuse(refusal)
                return
            if self.pipeline and start < end:
                self._rest = data[start:]
                self.flow.pause_reading()
                return

    def _parse_piece(self, piece: bytes, last: bool) -> bool:
        """Whether the connection still speaks HTTP."""
        phase = self._phase
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            tail = piece[upgrade.args[0] :]
            if self._other_upgrade:
                return self._without_upgrade(tail)
            if tail or not last or (self.cycle is not None and not self.cycle.response_complete):
                raise Refused(400, "A WebSocket client waits for its answer.") from None
            self._server.pulse.remove(self)
            self.handle_websocket_upgrade()
            self.parser = None  # type: ignore[assignment]  # it refers to this protocol, as this does to it
            return False
        if self._phase is _HEAD:
            self._head_size = self._head_size + len(piece) if phase is not _BODY else 0
            if self._head_size >= MAX_HEAD:
                raise Refused(431, "The headers are too large.") if self.headers else Refused(414, "Too long a target.")
            if not self._timed:
                self._timed = True
                self._deadline = self.loop.time() + self._server.head_timeout
        elif self._chunked and self._phase is _BODY and phase is _BODY:
            self._framing += len(piece)
            if self._framing > MAX_FRAMING + 2 * self._body_size:
                raise Refused(400, "The chunks are nearly all framing.")
        return True

    def _without_upgrade(self, tail: bytes) -> bool:
        """Reads the request again without the upgrade that is not offered here (RFC 9110, section 7.8)."""
        dropped = (b"upgrade", b"http2-settings", b"connection")
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [name + b": " + value for name, value in self.headers if name not in dropped]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(b"\r\n".join(lines) + b"\r\n\r\n")
        return self._parse_piece(tail, True) if tail else True

    # -- what the parser finds --------------------------------------------------------------------------------------
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._phase = _HEAD
        self._hosts = self._length = self._body_size = self._progress = self._framing = 0
        self._chunked = self._other_upgrade = False

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if self._phase is _BODY:
            self._head_size += len(name) + len(value) + 4
            if self._head_size > MAX_TRAILER:
                raise Refused(431, "The trailer is too large.")
            return
        if name in _WATCHED:
            self._watch(name, value)
        self.headers.append((name, value))

    def _watch(self, name: bytes, value: bytes) -> None:
        if name == b"host":
            self._hosts += 1
        elif name == b"content-length":
            self._length = int(value)
        elif name == b"transfer-encoding":
            if value.lower() != b"chunked":
                raise Refused(501, "Only chunked is known as a transfer encoding.")
            self._chunked = True
        elif value.lower() == b"100-continue":
            self.expect_100_continue = True
        else:
            raise Refused(417, "Only 100-continue can be expected.")

    def on_headers_complete(self) -> None:
        parser, version = self.parser, self.parser.get_http_version()
        if version != "1.1" and (version != "1.0" or self._chunked):
            raise Refused(505, "HTTP/1.1 is spoken here.")
        if self._hosts != 1 and (version == "1.1" or self._hosts):
            raise Refused(400, "One Host, please.")
        if len(self.url) > MAX_TARGET:
            raise Refused(414, "The target is too long.")
        if len(self.headers) > MAX_HEADERS:
            raise Refused(431, "There are too many headers.")
        if self._length > self._server.max_body:
            raise Refused(413, "The body is too large.")
        if not self.url.startswith(b"/") or b"#" in self.url or b"%" in self.url:
            self._read_target()
        self._phase = _BODY
        self._head_size = 0
        if parser.should_upgrade():
            self.scope["method"] = parser.get_method().decode()
            if parser.get_method() == b"CONNECT":
                raise Refused(501, "This is not a proxy.")
            self._other_upgrade = version != "1.1" or not self._should_upgrade()
            return
        self._begin(version)
        if self._last:
            self.cycle.keep_alive = False
        if self._length or self._chunked:
            self._deadline = self.loop.time() + self._server.body_timeout
        self._timed = False

    def _begin(self, version: str) -> None:
        """Hands the request to the application, in its turn: uvicorn's `on_headers_complete`, with our `Cycle`."""
        scope = self.scope
        scope["method"] = self.parser.get_method().decode()
        scope["http_version"] = version
        raw_path, _, query = self.url.partition(b"?")
        path = raw_path.decode("ascii")
        scope["path"] = self.root_path + (unquote(path) if "%" in path else path)
        scope["raw_path"] = self.root_path.encode() + raw_path if self.root_path else raw_path
        scope["query_string"] = query
        if not self.access_log:  # uvicorn's own log is written where it sends
            scope["extensions"] = EXTENSIONS
        before = self.cycle
        self.cycle = Cycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def _read_target(self) -> None:
        """Targets that are not just a path: RFC 9112, section 3.2."""
        url = self.url
        if not url.startswith(b"/"):
            absolute = _ABSOLUTE.fullmatch(url)
            if absolute is not None:
                host, rest = absolute.groups()
                self.url = url = rest if rest.startswith(b"/") else b"/" + rest
                for at, (name, _) in enumerate(self.headers):
                    if name == b"host":
                        self.headers[at] = (name, host)  # "the origin server MUST ignore the received Host"
            elif url != b"*":
                raise Refused(400, "This is not a target.")
        if b"#" in url or _BAD_ESCAPE.search(url.partition(b"?")[0]):
            raise Refused(400, "This is not a target.")

    def on_body(self, body: bytes) -> None:
        cycle = self.cycle
        self._body_size += len(body)
        if self._chunked and self._body_size > self._server.max_body:
            raise Refused(413, "The body is too large.")
        if self._body_size - self._progress >= PROGRESS:
            self._progress = self._body_size
            self._deadline = self.loop.time() + self._server.body_timeout
        if cycle.response_complete:
            return
        if not cycle.body:  # the last piece was taken: this one is handed on as it is, not copied once more
            cycle.body = body  # type: ignore[assignment]
        else:
            if type(cycle.body) is bytes:  # type: ignore[comparison-overlap]
                cycle.body = bytearray(cycle.body)
            cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._phase = _IDLE
        self._head_size = 0
        cycle = self.cycle
        if cycle.response_complete:
            self._deadline = self.loop.time() + self._server.keep_alive
        else:
            self._deadline = 0.0
            cycle.more_body = False
            cycle.message_event.set()

    # -- answers ----------------------------------------------------------------------------------------------------
    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if is_ending(self.transport):
            self._deadline = 0.0
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._refusal is not None:
            self._say_refusal()
            return
        elif self._phase is _IDLE:
            self._deadline = self.loop.time() + self._server.keep_alive
        if self._rest and not self.pipeline:
            self.loop.call_soon(self._go_on)
        else:
            self.flow.resume_reading()

    def shutdown(self) -> None:
        """The server ends: uvicorn asks for it. A connection that has only just come is heard first."""
        if self.cycle is None and self._refusal is None:
            self._last = True
            self._deadline = min(self._deadline, self.loop.time() + LAST_CALL)
        elif self.cycle is not None:
            for cycle in (self.cycle, self._running):
                if cycle is not None:
                    cycle.keep_alive = False
            if self.cycle.response_complete and self._phase is _IDLE:
                self.transport.close()

    def _go_on(self) -> None:
        """Parses what was pipelined, now that its turn has come; it may begin with the running request's body."""
        rest, self._rest = self._rest, b""
        if rest and self.parser is not None and self._refusal is None and not self.transport.is_closing():
            self._parse(rest)
            self.flow.resume_reading()

    def _refuse(self, refused_by: Refused) -> None:
        """Answers with *refused_by* as soon as all requests before this one are answered; then closes."""
        self._refusal = refused_by.refusal
        self._deadline, self._rest = 0.0, b""
        if self._phase is _BODY and self.cycle is not None and not self._other_upgrade:
            cycle = self.cycle
            if any(queued is cycle for queued, _ in self.pipeline):
                self.pipeline.popleft()
                return
            if cycle.response_started:
                self.transport.close() if cycle.response_complete else self.transport.abort()
                return
            cycle.disconnected = True
            cycle.message_event.set()
            self._say_refusal()
        elif self.cycle is None or self.cycle.response_complete:
            self._say_refusal()
        else:
            self.flow.pause_reading()

    def _say_refusal(self) -> None:
        assert self._refusal is not None
        self.transport.write(refused(self._refusal, self.server_state.default_headers))
        linger(self.transport)

    # -- time -------------------------------------------------------------------------------------------------------
    def beat(self, now: float) -> None:
        """Now and then: has the request arrived in time, does the other side read the answer?"""
        waiting = self.transport.get_write_buffer_size()
        if not waiting or waiting != self._waiting:
            self._waiting, self._moved = waiting, now
        elif now - self._moved >= self._server.max_stall:
            self.transport.abort()
            return
        if not self._deadline or now < self._deadline:
            return
        if self._phase is _IDLE:
            self.transport.close()
        elif self._phase is _BODY and self.flow.read_paused:
            self._deadline = now + self._server.body_timeout  # the application does not take it
        else:
            self._refuse(Refused(408, "The request did not arrive in time."))
