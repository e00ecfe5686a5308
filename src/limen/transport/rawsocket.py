"""WAMP over RawSocket (specification, section "RawSocket Transport"): messages behind their length, no HTTP.

    server = RawSocketServer(accept, config)
    await loop.create_server(server.protocol, "127.0.0.1", 9001)            # ssl=… for TLS
    await loop.create_unix_server(server.protocol, "/run/limen/wamp.sock")

It is the same port as that of WebSockets (`limen.transport.wire`): the door is shown a handshake of framing "rawsocket"
whose one subprotocol is what the client's serializer is called over WebSockets. There are no codes in which an end
could be said: who breaks the framing, or is told to go, sees the connection close.

What one message costs is the loop in `_parse`. What is sent while a burst of messages is worked off leaves in one write
for each connection (`cork.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from struct import Struct
from typing import Any

from limen.base.config import Config
from limen.transport.cork import LARGE, SLICE, Cork
from limen.transport.pulse import Pulse
from limen.transport.rawframe import (
    CROWDED,
    MAGIC,
    PING,
    PONG,
    REGULAR,
    RESERVED,
    SERIALIZERS,
    UNSUPPORTED,
    exponent,
    keep_alive,
    prefix,
)
from limen.transport.utf8 import is_utf8
from limen.transport.wire import WRITE_HIGH, WRITE_LOW, Accept, Handshake, Peer, Refusal

log = logging.getLogger("limen.transport")

BURST = 64
"""Messages of one peer that are worked off in one go; then others get their turn."""
AT_ONCE = 65536
"""Bytes for one connection that wait for the end of a burst; more go out at once."""
_BY_DOOR, _BY_QUEUE, _BY_TURN = 1, 2, 4
"""Why reading is held: the door said so, the peer does not read, others get their turn."""

_head = Struct("!I").unpack_from


class RawSocketServer:
    """Makes the RawSocket connections of one server, whatever it listens on.

    *accept*: the door. *config*: MAX_MESSAGE_SIZE (the largest power of two within is announced and held),
    MAX_QUEUE_SIZE, MAX_STALL, HELLO_TIMEOUT (for the handshake), PING_INTERVAL and PING_TIMEOUT are read once.
    *serializers*: the encodings that are spoken. *close_timeout*: seconds that the other end has to close, too.
    *cork*: that of the event loop, where there are other servers on it.

    A peer that vanishes is noticed by the kernel's keep-alive within PING_INTERVAL + PING_TIMEOUT. PINGs are sent to
    peers that have sent one themselves, for Autobahn-Python drops the connection at a PING; *pings*: to all.
    """

    def __init__(
        self,
        accept: Accept,
        config: Config,
        serializers: Sequence[str] = ("json", "msgpack", "cbor"),
        *,
        close_timeout: float = 5.0,
        pings: bool = False,
        cork: Cork | None = None,
    ) -> None:
        self.accept = accept
        self.encodings = {number: name for number, name in SERIALIZERS.items() if name in serializers}
        self.close_timeout, self.pings = close_timeout, pings
        self.length = exponent(config.MAX_MESSAGE_SIZE)
        self.max_message_size = 1 << self.length + 9
        self.max_queue_size = config.MAX_QUEUE_SIZE
        self.max_stall = config.MAX_STALL
        self.handshake_timeout = config.HELLO_TIMEOUT
        self.ping_interval, self.ping_timeout = config.PING_INTERVAL, config.PING_TIMEOUT
        self.pulse = Pulse(min(1.0, self.ping_interval / 4, self.ping_timeout / 4, self.max_stall / 4))
        self.cork = cork or Cork()

    def protocol(self) -> RawSocket:
        """What `loop.create_server` and `loop.create_unix_server` call for each connection."""
        return RawSocket(self)

    def shutdown(self) -> None:
        """Ends every connection after what is queued; its peer is told soon."""
        for member in list(self.pulse.members):
            if isinstance(member, RawSocket):
                member.close(1001, "the server ends")


class RawSocket(asyncio.Protocol):
    """One connection: the `Wire` that the door writes to."""

    __slots__ = (
        "_at", "_begun", "_closing", "_data", "_held", "_most", "_moved", "_need", "_out", "_peer", "_ping_at",
        "_pinged", "_pings", "_reason", "_rest", "_server", "_stuck", "_taken", "_text", "_transport", "_waiting",
        "_written", "client", "host", "largest", "subprotocol", "tls",
    )  # fmt: skip

    transport = "rawsocket"
    _peer: Peer
    _transport: Any

    def __init__(self, server: RawSocketServer) -> None:
        self._server = server
        self.subprotocol: str | None = None
        self.client = self.host = ""
        self.tls = False
        self.largest = 0
        self._begun = False
        """The handshake is done, and the door has let it in."""
        self._text = False
        self._most = min(server.max_message_size, 2**24 - 1)
        """A prefix above this is something else than a regular message that is taken, but for one of 2^24 bytes."""
        self._data, self._at = b"", 0
        """What was read while others had their turn, and how far it is worked off."""
        self._rest: bytearray | None = None
        """The beginning of a message or handshake, and how many bytes it has (0: not known)."""
        self._need = 0
        self._stuck = (0, 0.0)
        self._held = 0
        self._out: list[bytes] = []
        """What was sent within this burst, and how many bytes that is."""
        self._waiting = 0
        self._closing = 0.0
        """Loop time at which a goodbye turns into a cut; 0 while open."""
        self._reason = ""
        self._pings = server.pings
        self._pinged = 0.0
        """Loop time of the ping that is not answered yet; 0 if none is."""
        self._ping_at = asyncio.get_running_loop().time()
        self._moved = 0.0
        self._written = self._taken = 0

    # -- Wire -------------------------------------------------------------------------------------------------------
    @property
    def tls_object(self) -> Any:
        return self._transport.get_extra_info("ssl_object")

    @property
    def queued(self) -> int:
        waiting: int = self._transport.get_write_buffer_size()
        return waiting + self._waiting

    def send(self, data: bytes, text: bool) -> None:
        if len(data) <= self.largest:
            self._put(REGULAR, data)

    def close(self, code: int = 1000, reason: str = "") -> None:
        if not self._closing:
            self._end(f"closed here: {code} {reason}".rstrip())

    def abort(self) -> None:
        self.cut("aborted here")

    def pause(self) -> None:
        if not self._closing:
            self._hold(_BY_DOOR)

    def resume(self) -> None:
        self._release(_BY_DOOR)

    # -- what goes out ----------------------------------------------------------------------------------------------
    def _put(self, kind: int, data: bytes) -> None:
        if self._closing:
            return
        size, cork = len(data), self._server.cork
        head = prefix(kind, size) if kind or size >> 24 else size.to_bytes(4)
        if not cork.held:
            self._write(head + data)
            return
        if not self._out:
            cork.add(self)
        self._out += (head, data)
        self._waiting += size + 4
        if self._waiting > AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Writes what was gathered."""
        if self._out:
            data = b"".join(self._out)
            self._out, self._waiting = [], 0
            self._write(data)

    def _write(self, data: bytes) -> None:
        if self._transport.get_write_buffer_size() > self._server.max_queue_size:
            self.cut("left more unread than MAX_QUEUE_SIZE")
            return
        self._written += len(data)
        self._transport.write(data)

    def pause_writing(self) -> None:
        """The peer does not read: it is not read from either."""
        if not self._closing:
            self._hold(_BY_QUEUE)
            if self._begun:
                self._peer.busy(True)

    def resume_writing(self) -> None:
        if not self._closing and self._begun:
            self._peer.busy(False)
        self._release(_BY_QUEUE)

    # -- what comes in ----------------------------------------------------------------------------------------------
    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(WRITE_HIGH, WRITE_LOW)
        address = transport.get_extra_info("peername")
        self.client = address[0] if isinstance(address, tuple) else ""
        self.tls = transport.get_extra_info("ssl_object") is not None
        keep_alive(transport, self._server.ping_interval, self._server.ping_timeout)
        self._server.pulse.add(self)

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        if self._rest is not None:
            self._rest += data
            if len(self._rest) < self._need:
                return
            data, self._rest = bytes(self._rest), None
        if self._held:  # a transport may have had some on its way
            self._data, self._at = self._data[self._at :] + data, 0
        else:
            self._parse(data, 0)

    def eof_received(self) -> None:
        """The peer says no more: nothing is worth keeping its connection for."""
        self._leave("closed by the peer")

    def _parse(self, data: bytes, at: int) -> None:
        """Hands on the messages in *data* from *at* on, and keeps what is not whole, or not for now."""
        if not self._begun and not (at := self._greeted(data)):
            return
        end, most, turns, text = len(data), self._most, BURST, self._text
        received, until = self._peer.received, 0.0
        while end - at >= 4 and not self._held and turns:
            (size,) = _head(data, at)
            if size > most:  # not a regular message, or one that is not taken
                kind, size = size >> 24 & 7, self._rare(size)
                if self._closing:
                    return
            else:
                kind = REGULAR
            stop = at + 4 + size
            if stop > end:
                self._keep(data[at:], 4 + size)
                return
            if stop < end:
                now = self._server.cork.hold()
                if not until:
                    until = now + SLICE
                elif now > until:
                    turns = 0
                    break
            message = data[at + 4 : stop]
            at = stop
            if kind:
                self._control(kind, message)
            elif text and not message.isascii() and not is_utf8(message):
                self._end("1007 text is not UTF-8")
            else:
                try:
                    received(message, text)
                except Exception:
                    self._broken()
            if self._closing:
                return
            turns = turns - 1 if size <= LARGE else 0
        if at == end and turns:
            return
        if self._held or not turns:
            self._wait(data, at)
        else:
            self._keep(data[at:], 4)

    def _rare(self, head: int) -> int:
        """The size that a prefix of another kind, or of 2^24 bytes, tells of; ends the connection if it is wrong."""
        size, kind = head & 0xFFFFFF, head >> 24 & 7
        if head >> 27 & 1:
            size += 2**24
        if head >> 28:
            self._end("1002 a reserved bit is set")
        elif kind > PONG:
            self._end("1002 a reserved type of message")
        elif size > 2**24:
            self._end("1002 a length above 16 MiB")
        elif size > self._server.max_message_size:
            self._end("1009 the message is too big")
        return size

    def _control(self, kind: int, payload: bytes) -> None:
        if kind == PONG:
            self._pinged = 0.0
            return
        self._pings = True
        if len(payload) > self.largest:
            self._end("1009 a PING that is too big to be answered")
        else:
            self._put(PONG, payload)

    def _keep(self, data: bytes, need: int) -> None:
        self._rest, self._need = bytearray(data), need

    # -- the handshake ----------------------------------------------------------------------------------------------
    def _greeted(self, data: bytes) -> int:
        """Answers the handshake, once it is whole: how many bytes it had; 0 where nothing is to be read yet or ever."""
        if data[0] != MAGIC:
            self._end("1002 not a RawSocket")
            return 0
        if len(data) < 4:
            self._keep(data, 4)
            return 0
        encoding = self._server.encodings.get(data[1] & 15)
        if data[2] or data[3]:
            self._refuse(RESERVED)
        elif encoding is None:
            self._refuse(UNSUPPORTED)
        else:
            self._enter(data[1], encoding)
        return 4 if self._begun and not self._closing else 0

    def _enter(self, octet: int, encoding: str) -> None:
        offered = (f"wamp.2.{encoding}",)
        shown = Handshake("", "", None, offered, self.client, self.tls, framing="rawsocket")
        try:
            answer = self._server.accept(shown)
        except Exception:
            log.exception("The door failed on a handshake")
            answer = Refusal(500)
        if isinstance(answer, Refusal):
            self._refuse(CROWDED if answer.status in (429, 503) else RESERVED)
            return
        self.subprotocol, self._peer = answer
        self._text = encoding == "json"
        self.largest = 1 << (octet >> 4) + 9
        self._begun = True
        self._write(bytes((MAGIC, self._server.length << 4 | octet & 15, 0, 0)))
        try:
            self._peer.opened(self)
        except Exception:
            self._broken()

    def _refuse(self, error: int) -> None:
        self._write(bytes((MAGIC, error << 4, 0, 0)))
        self._end(f"the handshake was refused: error {error}")

    # -- turns ------------------------------------------------------------------------------------------------------
    def _wait(self, data: bytes, at: int) -> None:
        """*data* from *at* on is worked off when reading is not held any more, or others have had their turn."""
        self._data, self._at = data, at
        if not self._held:
            self._hold(_BY_TURN)
            asyncio.get_running_loop().call_soon(self._go_on)

    def _hold(self, why: int) -> None:
        if not self._held:
            self._transport.pause_reading()
        self._held |= why

    def _release(self, why: int) -> None:
        if not self._held & why:
            return
        self._held &= ~why
        if self._held or self._closing or self._transport.is_closing():
            return
        if self._data:
            self._held = _BY_TURN  # still not read from
            asyncio.get_running_loop().call_soon(self._go_on)
        else:
            self._transport.resume_reading()

    def _go_on(self) -> None:
        self._held &= ~_BY_TURN
        if self._held or self._closing:
            return
        data, at, self._data = self._data, self._at, b""
        self._parse(data, at)
        if not self._held and not self._closing:
            self._transport.resume_reading()

    # -- time -------------------------------------------------------------------------------------------------------
    def beat(self, now: float) -> None:
        """Now and then: is the peer there, does it read, has it closed?"""
        server, waiting = self._server, self._transport.get_write_buffer_size()
        taken = self._written - waiting
        if not waiting or taken != self._taken or not self._moved:
            self._taken, self._moved = taken, now
        if self._closing:
            if now >= self._closing and (not waiting or now - self._moved >= server.close_timeout):
                self._transport.abort()
        elif not self._begun:
            if now - self._ping_at >= server.handshake_timeout:
                self.cut("said nothing for HELLO_TIMEOUT")
        elif waiting and now - self._moved >= server.max_stall:
            self.cut("left its queue unread for MAX_STALL")
        elif waiting or self._held:
            self._pinged, self._ping_at = 0.0, now  # its pongs are not read, or wait behind what it has not read
        elif self._rest is not None:
            self._uploading(now)
        elif self._pinged:
            if now - self._pinged >= server.ping_timeout:
                self.cut("answered no ping for PING_TIMEOUT")
        elif self._pings and now - self._ping_at >= server.ping_interval:
            self._ping_at = self._pinged = now
            self._put(PING, b"limen")

    def _uploading(self, now: float) -> None:
        """A message is under way, and its sender cannot answer a ping in the middle of it."""
        assert self._rest is not None
        self._pinged, self._ping_at = 0.0, now
        if len(self._rest) != self._stuck[0]:
            self._stuck = (len(self._rest), now)
        elif now - self._stuck[1] >= self._server.ping_interval + self._server.ping_timeout:
            self.cut("stopped in the middle of a message")

    # -- the end ----------------------------------------------------------------------------------------------------
    def _leave(self, reason: str) -> None:
        """Nothing is received or sent from now on."""
        self._reason = self._reason or reason
        self.flush()
        self._closing = self._closing or asyncio.get_running_loop().time() + self._server.close_timeout
        self._data, self._rest = b"", None

    def _end(self, reason: str) -> None:
        """Ends after what is queued. What still comes is thrown away: closing with unread bytes would reset the
        connection, and lose the last word."""
        self._leave(reason)
        transport = self._transport
        if transport.is_closing():
            return
        if transport.can_write_eof():
            transport.write_eof()
            if self._held:
                self._held = 0
                transport.resume_reading()
        else:
            transport.close()

    def _broken(self) -> None:
        log.exception("The door failed on a message")
        if not self._closing:
            self._end("1011 internal error")

    def cut(self, reason: str) -> None:
        """Ends without goodbye."""
        if not self._closing:
            self._out, self._waiting = [], 0
            self._leave(reason)
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._out, self._waiting = [], 0
        self._leave("the connection was lost" if exc is None else f"the connection was lost: {exc}")
        self._server.pulse.remove(self)
        if not self._begun:
            return
        try:
            self._peer.lost(self._reason)
        except Exception:
            log.exception("The door failed on a lost connection")
