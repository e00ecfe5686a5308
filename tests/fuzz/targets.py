"""What holds for any bytes at all: codecs, batches and the RawSocket parser. `test_targets.py` asks with a few,
tools/fuzz.py (`make soak`) with those that coverage leads to."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from limen.base.config import Config
from limen.core.wamp.codecs import Malformed, Unacceptable, codec
from limen.exc import InvalidValue
from limen.transport.batched import BrokenBatch, split
from limen.transport.rawframe import prefix
from limen.transport.rawsocket import BURST, RawSocketServer
from limen.transport.wire import Handshake, Peer, Refusal

ENCODINGS: Final = ("json", "msgpack", "cbor")
LIMIT: Final = 1024
VECTORS: Final = Path(__file__).parents[2] / "vectors" / "messages.json"


# -- codecs -----------------------------------------------------------------------------------------------------------
def decode(encoding: Any, tagged: bool, data: bytes) -> None:
    """It is a message or it is refused; a message that can be said is the same when it comes back."""
    reader = codec(encoding, tagged)
    try:
        message = reader.decode(data)
    except (Malformed, Unacceptable):
        return
    try:
        said = reader.encode(message)
    except InvalidValue:
        return  # NaN, for JSON; numbers and keys that it does not have
    again = reader.decode(said)
    assert type(again) is type(message)
    assert reader.encode(again) == said


# -- batches ----------------------------------------------------------------------------------------------------------
def batch(text: bool, data: bytes) -> None:
    """What comes out of a batch, put together again, is the batch."""
    parts: list[bytes] = []
    whole = True
    try:
        for part in split(data, text):
            parts.append(part)
    except BrokenBatch:
        whole = False
    if text:
        again = b"".join(part + data[-1:] for part in parts)
    else:
        again = b"".join(len(part).to_bytes(4) + part for part in parts)
    assert data == again if whole else data.startswith(again)


# -- RawSocket --------------------------------------------------------------------------------------------------------
class Loop:
    """As much of an event loop as a protocol asks for."""

    def __init__(self) -> None:
        self.soon: deque[Callable[[], Any]] = deque()

    def time(self) -> float:
        return 0.0

    def call_soon(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.soon.append(partial(function, *arguments))

    def call_later(self, _: float, function: Callable[..., Any], *arguments: Any) -> Loop:
        return self

    def run(self) -> None:
        while self.soon:
            self.soon.popleft()()


class Transport:
    """A transport that keeps what is written, and who may be read from."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.reading, self.closing = True, False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self if name == "socket" else default

    family = None

    def write(self, data: bytes) -> None:
        self.written += data

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closing

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = True

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, *_: int) -> None:
        pass


class Ear:
    """A peer that pauses now and then, and echoes. *pausing*: after how many messages."""

    def __init__(self, pausing: int) -> None:
        self.heard: list[bytes] = []
        self._pausing = pausing
        self.ends = 0

    def opened(self, wire: Any) -> None:
        self.wire = wire

    def received(self, data: bytes, text: bool) -> None:
        self.heard.append(data)
        self.wire.send(data, text)
        if self._pausing and len(self.heard) % self._pausing == 0:
            self.wire.pause()

    def busy(self, yes: bool) -> None:
        raise AssertionError("nothing waits")

    def lost(self, reason: str) -> None:
        self.ends += 1


def rawsocket(data: bytes) -> None:
    """However a stream is cut into pieces, and however often the door pauses: the same messages, the same answers. The
    first two bytes of *data* say how."""
    if len(data) < 2:
        return
    size, pausing, stream = data[0] + 1, data[1] % 8, data[2:]
    whole = _listen([stream], 0)
    parts = _listen([stream[at : at + size] for at in range(0, len(stream), size)], pausing)
    assert whole == parts
    heard, written = whole
    assert all(len(one) <= LIMIT for one in heard)
    if written[:1]:
        assert written[0] == 0x7F
        _whole_frames(written[4:])


def _listen(pieces: list[bytes], pausing: int) -> tuple[list[bytes], bytes]:
    config = Config()
    config.MAX_MESSAGE_SIZE = LIMIT
    ear, loop, transport = Ear(pausing), Loop(), Transport()

    def accept(handshake: Handshake) -> tuple[str | None, Peer] | Refusal:
        return handshake.subprotocols[0], ear

    asyncio._set_running_loop(loop)  # type: ignore[arg-type]
    try:
        protocol = RawSocketServer(accept, config).protocol()
        protocol.connection_made(transport)
        for piece in pieces:
            seen = len(ear.heard)
            if piece and not transport.closing:
                protocol.data_received(piece)
            assert len(ear.heard) - seen <= BURST
            loop.run()
            while not transport.reading and not transport.closing:
                ear.wire.resume()
                loop.run()
        protocol.connection_lost(None)
        loop.run()
    finally:
        asyncio._set_running_loop(None)
    assert ear.ends == hasattr(ear, "wire")
    return ear.heard, bytes(transport.written)


def _whole_frames(data: bytes) -> None:
    at = 0
    while at < len(data):
        at += 4 + int.from_bytes(data[at + 1 : at + 4])
    assert at == len(data)


# -- all of them ------------------------------------------------------------------------------------------------------
TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    **{name: partial(decode, name, False) for name in ENCODINGS},
    **{f"{name}, tagged": partial(decode, name, True) for name in ENCODINGS},
    "batch of json": partial(batch, True),
    "batch of msgpack": partial(batch, False),
    "rawsocket": rawsocket,
}


def seeds(target: str) -> list[bytes]:
    """Bytes to begin with."""
    cases = json.loads(VECTORS.read_text())
    if target == "rawsocket":
        frames = b"".join(prefix(kind, 3) + b"abc" for kind in (0, 1, 2, 0))
        return [b"\x05\x00\x7f\xf2\0\0" + frames, b"\x01\x01\x7f\x01\0\0" + frames * 40, b"\xff\x02\x7f\xf0\0\1"]
    name, _, tagged = target.partition(", ")
    if name not in ENCODINGS:
        return [b"[1]\x1e[2]\x1e", b"\0\0\0\1a\0\0\0\2bc", b"\0\0\0\0"]
    found = []
    for case in cases["messages"]:
        written = case[name].get("limen", case[name]["plain"]) if tagged else case[name]["plain"]
        found.append(written.encode() if name == "json" else bytes.fromhex(written))
    for case in [*cases["unusual"], *cases["refused"]]:
        if case["encoding"] == name:
            text = case.get("text", case.get("data", ""))
            found.append(bytes.fromhex(case["hex"]) if "hex" in case else _raw(name, text))
    return found


def _raw(encoding: str, text: str) -> bytes:
    return text.encode() if encoding == "json" else bytes.fromhex(text)
