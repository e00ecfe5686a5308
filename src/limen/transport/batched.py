"""Batches (specification, section "Message Batching"): several WAMP messages in one message of a transport.

    return "wamp.2.json.batched", Batched(peer)

`Batched` stands between any transport and any door: it takes batches apart, and puts what the door sends within one
turn of the event loop into one batch.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from time import monotonic
from typing import Any, Final

from limen.transport.cork import SLICE
from limen.transport.wire import Peer, Wire

log = logging.getLogger("limen.transport")

SUFFIX: Final = ".batched"
RECORD: Final = b"\x1e"
"""Behind each message of JSON. The specification also writes it as `\\30`, which Autobahn-Python reads as octal:"""
AUTOBAHN: Final = b"\x18"
"""what it sends, and understands. Neither can stand in JSON; a peer gets the one that it uses."""
BURST = 64
"""Messages of one batch that are worked off in one go; then others get their turn."""
AT_ONCE = 65536
"""Bytes that are not kept for the end of the turn."""


class BrokenBatch(Exception):
    """Bytes that are no batch."""


def split(data: bytes, text: bool) -> Iterator[bytes]:
    """The messages of a batch, of JSON if *text*. Raises `BrokenBatch` where it comes to what is none.

    >>> list(split(b'[1]\\x1e[2]\\x1e', True)), list(split(b'\\0\\0\\0\\1a\\0\\0\\0\\2bc', False))
    ([b'[1]', b'[2]'], [b'a', b'bc'])
    >>> list(split(b'', False))
    Traceback (most recent call last):
    limen.transport.batched.BrokenBatch: a batch without a message
    """
    if not data:
        raise BrokenBatch("a batch without a message")
    at, end = 0, len(data)
    if text:
        mark = data[-1:]
        if mark not in (RECORD, AUTOBAHN):
            raise BrokenBatch("a batch of JSON ends with the octet 0x1e")
        while at < end:
            stop = data.index(mark, at)
            yield data[at:stop]
            at = stop + 1
        return
    while at < end:
        stop = at + 4 + int.from_bytes(data[at : at + 4])
        if stop > end:
            raise BrokenBatch("a batch that is cut off")
        yield data[at + 4 : stop]
        at = stop


class Batched:
    """The `Peer` of a transport whose messages are batches; *peer* gets them one by one."""

    __slots__ = ("_left", "_paused", "_peer", "_text", "_wire")

    _wire: BatchedWire

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._left: Iterator[bytes] | None = None
        self._text = False
        self._paused = False

    # -- what the transport calls -----------------------------------------------------------------------------------
    def opened(self, wire: Wire) -> None:
        self._wire = BatchedWire(wire, self)
        self._peer.opened(self._wire)

    def received(self, data: bytes, text: bool) -> None:
        if text and data.endswith(AUTOBAHN):
            self._wire.mark = AUTOBAHN
        self._left, self._text = split(data, text), text
        self._work_off()
        if self._left is not None:
            self._wire.wire.pause()  # until this batch is worked off

    def busy(self, yes: bool) -> None:
        self._peer.busy(yes)

    def lost(self, reason: str) -> None:
        self._left = None
        self._peer.lost(reason)

    # -- turns ------------------------------------------------------------------------------------------------------
    def _work_off(self) -> None:
        until = monotonic() + SLICE
        for _ in range(BURST):
            if self._left is None or self._paused:
                return
            try:
                data = next(self._left, None)
                if data is None:
                    self._left = None
                    return
                self._peer.received(data, self._text)
            except BrokenBatch as broken:
                self._wire.close(1002, str(broken))
            except Exception:
                log.exception("The door failed on a message")
                self._wire.close(1011, "internal error")
            if monotonic() > until:
                break
        asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        if self._left is not None:
            self._work_off()
            if self._left is None and not self._paused:
                self._wire.wire.resume()

    def pause(self) -> None:
        """The door has enough to do."""
        self._paused = True
        self._wire.wire.pause()

    def resume(self) -> None:
        """The door takes from the peer again."""
        if self._paused:
            self._paused = False
            if self._left is not None:
                asyncio.get_running_loop().call_soon(self._go_on)
            else:
                self._wire.wire.resume()

    def forget(self) -> None:
        """Nothing is received any more."""
        self._left = None


class BatchedWire:
    """The `Wire` of a door that knows nothing of batches."""

    __slots__ = (
        "_batched",
        "_out",
        "_text",
        "_waiting",
        "client",
        "host",
        "largest",
        "mark",
        "subprotocol",
        "tls",
        "transport",
        "wire",
    )

    def __init__(self, wire: Wire, batched: Batched) -> None:
        self.wire, self._batched = wire, batched
        self.subprotocol, self.client, self.host, self.tls = wire.subprotocol, wire.client, wire.host, wire.tls
        self.transport, self.largest = wire.transport, wire.largest - 4
        self.mark = RECORD
        self._out: list[bytes] = []
        self._waiting = 0
        self._text = False

    @property
    def tls_object(self) -> Any:
        return self.wire.tls_object

    @property
    def queued(self) -> int:
        return self.wire.queued + self._waiting

    def send(self, data: bytes, text: bool) -> None:
        out = self._out
        if not out:
            self._text = text
            asyncio.get_running_loop().call_soon(self._flush)
        if text:
            out.append(data)
            out.append(self.mark)
        else:
            out.append(len(data).to_bytes(4))
            out.append(data)
        self._waiting += len(data) + 4
        if self._waiting > AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        if self._out:
            data = b"".join(self._out)
            self._out, self._waiting = [], 0
            self.wire.send(data, self._text)

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._batched.forget()
        self._flush()
        self.wire.close(code, reason)

    def abort(self) -> None:
        self._batched.forget()
        self._out, self._waiting = [], 0
        self.wire.abort()

    def pause(self) -> None:
        self._batched.pause()

    def resume(self) -> None:
        self._batched.resume()
