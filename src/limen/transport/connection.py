"""One WebSocket over picows: the rules that picows leaves open, and the `Wire` that the door writes to.

What one message costs is `on_ws_frame`; whatever is rare has left that way after a look at one flag.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import deque
from typing import TYPE_CHECKING, Any

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from limen.transport.cork import LARGE, SLICE
from limen.transport.link import Link
from limen.transport.upgrade import shorten
from limen.transport.utf8 import Utf8Check, is_utf8
from limen.transport.wire import Handshake, Peer

if TYPE_CHECKING:
    from limen.transport.picows_ws import PicowsServer

log = logging.getLogger("limen.transport")

TEXT, BINARY = WSMsgType.TEXT, WSMsgType.BINARY
CONTINUATION, PING, PONG, CLOSE = WSMsgType.CONTINUATION, WSMsgType.PING, WSMsgType.PONG, WSMsgType.CLOSE

BURST = 64
"""Messages of one peer that are worked off in one go; then others get their turn."""
MAX_FRAGMENTS = 2**17
"""Fragments of one message: empty ones would never reach the limit of size."""
PONG_HIGH = 16384
"""Bytes queued from which on only the latest ping is answered (RFC 6455, section 5.5.3), once there is room."""
BULKY = 65536
"""Bytes of a read buffer (it only grows) from which on it is given back once the message is through."""

_BY_DOOR, _BY_QUEUE, _BY_TURN = 1, 2, 4
"""Why reading is held: the door said so, the peer does not read, others get their turn."""


class Connection(WSListener):
    """The `Wire` of one WebSocket, and picows' listener."""

    __slots__ = (
        "_awake", "_backlog", "_burst", "_closing", "_fragments", "_held", "_moved", "_parts", "_peer", "_ping_at",
        "_pinged", "_plain", "_pong", "_reason", "_room", "_server", "_slim", "_taken", "_text", "_until", "_utf8",
        "client", "host", "link", "state", "subprotocol", "tls", "ws",
    )  # fmt: skip

    link: Link
    ws: Any
    transport = "websocket"
    largest = sys.maxsize

    def __init__(
        self, server: PicowsServer, state: Any, peer: Peer, handshake: Handshake, subprotocol: str | None
    ) -> None:
        self._server, self.state, self._peer = server, state, peer
        self.client, self.host, self.tls = handshake.client, handshake.host, handshake.tls
        self.subprotocol = subprotocol
        self._plain = True
        """Nothing rare is under way: no fragments, no backlog, no closing."""
        self._burst, self._until = 0, 0.0
        """Messages of the read that is worked off, and when others get their turn."""
        self._parts: bytearray | None = None
        self._fragments = 0
        self._text = False
        self._utf8: Utf8Check | None = None
        self._backlog: deque[tuple[bytes, bool]] | None = None
        self._held = 0
        self._pong: bytes | None = None
        self._closing = 0.0
        """Loop time at which a goodbye turns into a cut; 0 while open."""
        self._reason = ""
        self._pinged = 0.0
        """Loop time of the ping that is not answered yet; 0 if none is."""
        self._ping_at = asyncio.get_running_loop().time()
        self._moved = 0.0
        self._taken = 0
        self._room = 0
        self._slim = False

    def begin(self) -> None:
        """Tells the door."""
        try:
            self._peer.opened(self)
        except Exception:
            self._broken()

    # -- Wire -------------------------------------------------------------------------------------------------------
    @property
    def tls_object(self) -> Any:
        return self.link.transport.get_extra_info("ssl_object")

    @property
    def queued(self) -> int:
        return self.link.queued

    def send(self, data: bytes, text: bool) -> None:
        self.ws.send(TEXT if text else BINARY, data)

    def close(self, code: int = 1000, reason: str = "") -> None:
        if self._closing:
            return
        self._leave(f"closed here: {code} {reason}".rstrip())
        self.ws.send_close(code, shorten(reason))
        self._release(_BY_DOOR | _BY_QUEUE | _BY_TURN)  # to read the answer

    def abort(self) -> None:
        self.cut("aborted here")

    def pause(self) -> None:
        if self._closing or self._held & _BY_DOOR:
            return
        self._hold(_BY_DOOR)
        self._plain = False
        if self._backlog is None:
            self._backlog = deque()

    def resume(self) -> None:
        if self._held & _BY_DOOR:
            self._release(_BY_DOOR)
            asyncio.get_running_loop().call_soon(self._work_off)

    # -- what comes in ----------------------------------------------------------------------------------------------
    def on_ws_frame(self, ws: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if (
            self._plain
            and (kind is TEXT or kind is BINARY)
            and frame.fin
            and not (frame.rsv1 or frame.rsv2 or frame.rsv3 or ws.is_close_frame_sent)
        ):
            data = frame.get_payload_as_bytes()
            if kind is BINARY or data.isascii() or is_utf8(data):
                if frame.last_in_buffer:
                    self._burst = 0
                else:
                    now = self._server.cork.hold()
                    if not self._burst:
                        self._until = now + SLICE
                    self._burst += 1
                    if now > self._until:
                        self._turn()
                        self._deliver(data, kind is TEXT)
                        return
                    if self._burst >= BURST:
                        self._turn()
                try:
                    self._peer.received(data, kind is TEXT)
                except Exception:
                    self._broken()
                if len(data) > LARGE and not self._closing:
                    self._turn()
                return
        if not ws.is_close_frame_sent:
            self._rare(frame, kind)
        elif kind is CLOSE and self._closing:
            self.link.finish()  # the answer to our goodbye
        # else picows has found a mistake, and goes on parsing until it closes 10 ms later

    def _rare(self, frame: WSFrame, kind: WSMsgType) -> None:
        """Every frame that is not a whole message on a connection where nothing else is under way."""
        if self._closing:
            return
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._fail(1002, "a reserved bit is set")
        elif kind is PONG:
            self._pinged = 0.0
        elif kind is PING:
            self._answer(frame)
        elif kind is CLOSE:
            payload = frame.get_payload_as_bytes()
            self._goodbye(int.from_bytes(payload[:2]) if payload else None, payload[2:].decode(errors="replace"))
        else:
            self._fragment(frame, kind)
        if self._slim and not frame.tail_size and not self._closing:
            self._renew()

    def _fragment(self, frame: WSFrame, kind: WSMsgType) -> None:
        data = frame.get_payload_as_bytes()
        final = bool(frame.fin)
        if kind is CONTINUATION:
            if self._parts is None:
                self._fail(1002, "a continuation of nothing")
                return
        else:
            if self._parts is not None:
                self._fail(1002, "a new message inside a fragmented one")
                return
            self._text = kind is TEXT
            if final:
                if self._text and not is_utf8(data):
                    self._fail(1007, "text is not UTF-8")
                else:
                    self._deliver(data, self._text)
                return
            self._plain = False
            self._parts, self._fragments = bytearray(), 0
            self._utf8 = Utf8Check() if self._text else None
        self._fragments += 1
        if len(self._parts) + len(data) > self._server.max_message_size or self._fragments > MAX_FRAGMENTS:
            self._parts = None
            self._fail(1009, "the message is too big")
        elif self._utf8 is not None and not self._utf8.feed(data, final):
            self._parts = None
            self._fail(1007, "text is not UTF-8")
        else:
            self._parts += data
            if final:
                whole, self._parts, self._utf8 = bytes(self._parts), None, None
                self._settle()
                self._deliver(whole, self._text)

    def _deliver(self, data: bytes, text: bool) -> None:
        if self._backlog is not None:
            self._backlog.append((data, text))
            return
        try:
            self._peer.received(data, text)
        except Exception:
            self._broken()
        if len(data) > LARGE and not self._closing:
            self._turn()

    def _settle(self) -> None:
        """Back to the short way, if nothing rare is left."""
        self._plain = self._parts is None and self._backlog is None and not self._closing and not self._slim

    # -- turns ------------------------------------------------------------------------------------------------------
    def _turn(self) -> None:
        """This peer has had its turn: what it has sent besides waits until others have had theirs."""
        self._burst = 0
        self._plain = False
        if self._backlog is None:
            self._backlog = deque()
            self._hold(_BY_TURN)
            asyncio.get_running_loop().call_soon(self._work_off)

    def _work_off(self) -> None:
        until = 0.0
        for _ in range(BURST):
            if self._backlog is None or self._held & _BY_DOOR or self._closing:
                return
            if not self._backlog:
                self._backlog = None
                self._settle()
                self._release(_BY_TURN)
                return
            now = self._server.cork.hold()
            if until and now > until:
                break
            until = until or now + SLICE
            data, text = self._backlog.popleft()
            try:
                self._peer.received(data, text)
            except Exception:
                self._broken()
            if len(data) > LARGE:
                break
        asyncio.get_running_loop().call_soon(self._work_off)

    def _hold(self, why: int) -> None:
        if not self._held:
            self.link.transport.pause_reading()
        self._held |= why

    def _release(self, why: int) -> None:
        if self._held & why:
            self._held &= ~why
            if not self._held and not self.link.transport.is_closing():
                self.link.transport.resume_reading()

    def pause_writing(self) -> None:
        """The peer does not read: it is not read from either."""
        if not self._closing:
            self._hold(_BY_QUEUE)
            self._peer.busy(True)

    def resume_writing(self) -> None:
        self._release(_BY_QUEUE)
        if not self._closing:
            self._peer.busy(False)

    # -- pings and time ---------------------------------------------------------------------------------------------
    def _answer(self, ping: WSFrame) -> None:
        self._burst += 1
        if self.link.queued > PONG_HIGH or (self._burst > BURST and not ping.last_in_buffer):
            self._pong = ping.get_payload_as_bytes()
            return
        if ping.last_in_buffer:
            self._burst = 0
        self._pong = None
        self.ws.send_pong(ping.get_payload_as_bytes())

    def beat(self, now: float) -> None:
        """Now and then: is the peer there, does it read, has it said goodbye?"""
        server, waiting = self._server, self.link.queued
        taken = self.link.written - waiting
        if not waiting or taken != self._taken or not self._moved:
            self._taken, self._moved = taken, now
        if self._closing:
            if now >= self._closing and (not waiting or now - self._moved >= server.close_timeout):
                self.link.transport.abort()
            return
        if self.ws.is_close_frame_sent:
            self._leave("broke the framing")
            return
        if waiting and now - self._moved >= server.max_stall:
            self.cut("left its queue unread for MAX_STALL")
            return
        if self._pong is not None and waiting <= PONG_HIGH:
            self.ws.send_pong(self._pong)
            self._pong = None
        if waiting or self._held:
            # its pongs are not read, or wait behind what it has not read: the rule above speaks
            self._pinged, self._ping_at = 0.0, now
        elif self._pinged:
            if now - self._pinged >= server.ping_timeout and not self._uploading(now):
                self.cut("answered no ping for PING_TIMEOUT")
        elif now - self._ping_at >= server.ping_interval:
            self._ping_at = self._pinged = now
            self._room = self._free()
            if self._room > BULKY:
                self._slim, self._plain = True, False
            self.ws.send_ping()

    def _free(self) -> int:
        return len(self.link.transport.get_protocol().get_buffer(-1))

    def _uploading(self, now: float) -> bool:
        """A long message on a slow line is under way: its sender cannot answer a ping in the middle of it."""
        room, self._room = self._room, self._free()
        if abs(room - self._room) < 1024:
            return False
        self._pinged = now
        return True

    def _renew(self) -> None:
        """Gives a grown read buffer back, with the parser that holds it: nothing is left in it now."""
        self._slim = False
        self._settle()
        self._server.renew(self)

    # -- the end ----------------------------------------------------------------------------------------------------
    def _leave(self, reason: str) -> None:
        """Nothing is received from now on."""
        self._reason = self._reason or reason
        self._plain = False
        self._backlog = self._parts = None
        self._closing = asyncio.get_running_loop().time() + self._server.close_timeout

    def _fail(self, code: int, reason: str) -> None:
        self._leave(f"{code} {reason}")
        self.ws.send_close(code, reason)
        self.link.linger()

    def _broken(self) -> None:
        log.exception("The door failed on a message")
        if not self._closing:
            self._fail(1011, "internal error")

    def _goodbye(self, code: int | None, reason: str) -> None:
        """The peer's CLOSE frame. picows has checked its length and the UTF-8 of its reason."""
        if code is not None and not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
            self._fail(1002, "not a close code")
            return
        self._leave(f"closed by the peer: {code or 1005} {reason}".rstrip())
        self.ws.send_close(code or 1000)
        self.link.finish()

    def mistaken(self) -> None:
        """picows has found a mistake and is about to say so. It parses one frame ahead: where the peer has said goodbye
        before it, that is answered, and what comes after it does not matter (RFC 6455, section 5.5.1)."""
        handshake = self.ws.close_handshake
        if handshake is not None and handshake.recv is not None and not self._closing:
            self._goodbye(int(handshake.recv.code) or None, handshake.recv.reason or "")

    def cut(self, reason: str) -> None:
        """Ends without goodbye."""
        self._leave(reason)
        self.link.transport.abort()

    def on_ws_disconnected(self, ws: WSTransport) -> None:
        self._closing = self._closing or 1.0
        self._plain = False
        self._backlog = None
        self._server.forget(self, self.state)
        try:
            self._peer.lost(self._reason or _verdict(ws))
        except Exception:
            log.exception("The door failed on a lost connection")


def _verdict(ws: Any) -> str:
    """Why a connection ended on which nothing was said here: picows has found a mistake, or the line went dead."""
    handshake = ws.close_handshake
    if handshake is not None and handshake.sent is not None:
        return f"{int(handshake.sent.code)} {handshake.sent.reason}"
    return "the connection was lost"
