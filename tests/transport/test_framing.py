"""What picows leaves open of RFC 6455 is refused here, with the right code; nothing wrong reaches the door."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st
from uvicorn_here import uvicorn_serving

from limen.base.config import Config
from limen.testing.sockets import ClosedError, RefusedError, SocketClient, frame
from limen.testing.transports import Door, ending
from limen.transport.connection import BURST, MAX_FRAGMENTS
from limen.transport.http_server import HttpServer
from limen.transport.picows_ws import PicowsServer
from limen.transport.utf8 import Utf8Check, is_utf8

loop = uvloop.new_event_loop

LIMIT = 100_000


@asynccontextmanager
async def serving(door: Door, config: Config | None = None) -> AsyncIterator[int]:
    config = config or Config()
    config.MAX_MESSAGE_SIZE, config.MAX_UPLOAD_SIZE = LIMIT, 0
    server = PicowsServer(door.accept, config)
    async with uvicorn_serving(ws=server.protocol, http=HttpServer(config).protocol) as port:
        yield port


def closing(code: int, reason: bytes = b"") -> bytes:
    return frame(8, struct.pack("!H", code) + reason)


BAD_CODES = (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)
WRONG = {
    "an unmasked frame": (frame(1, b"x", mask=False), 1002),
    "RSV1 without an extension": (frame(1, b"x", rsv=4), 1002),
    "RSV2": (frame(2, b"x", rsv=2), 1002),
    "RSV3 on a ping": (frame(9, b"x", rsv=1), 1002),
    "RSV1 on a continuation": (frame(1, b"x", fin=False) + frame(0, b"x", rsv=4), 1002),
    "opcode 3": (frame(3, b"x"), 1002),
    "opcode 15": (frame(15), 1002),
    "a ping of 126 bytes": (frame(9, b"x" * 126), 1002),
    "a ping in two fragments": (frame(9, b"x", fin=False), 1002),
    "a continuation of nothing": (frame(0, b"x"), 1002),
    "a message inside a fragmented one": (frame(1, b"x", fin=False) + frame(2, b"y"), 1002),
    "text that is not UTF-8": (frame(1, b"\xff"), 1007),
    "a surrogate in UTF-8": (frame(1, b"\xed\xa0\x80"), 1007),
    "bad UTF-8 in a first fragment": (frame(1, b"\xff", fin=False), 1007),
    "bad UTF-8 in a last fragment": (frame(1, b"x", fin=False) + frame(0, b"\xff"), 1007),
    "a character cut off at the end": (frame(1, b"\xc3", fin=False) + frame(0, b""), 1007),
    "a frame above the limit": (frame(2, b"x" * LIMIT + b"x"), 1009),
    "fragments above the limit": (frame(2, b"x" * LIMIT, fin=False) + frame(0, b"x"), 1009),
    "a length of 5 in 2 bytes": (b"\x82\xfe\x00\x05" + bytes(4) + b"12345", 1002),
    "a length of 5 in 8 bytes": (b"\x82\xff" + bytes(7) + b"\x05" + bytes(4) + b"12345", 1002),
    "a length with its top bit": (b"\x82\xff\x80" + bytes(6) + b"\x05" + bytes(4) + b"12345", 1002),
    "a close of one byte": (frame(8, b"x"), 1002),
    "a close reason that is not UTF-8": (closing(1000, b"\xff"), 1007),
    **{
        f"close code {code}": (closing(code), 1002)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)
    },
}


@pytest.mark.parametrize("what", WRONG)
async def test_it_ends_with(what: str) -> None:
    sent, code = WRONG[what]
    door = Door()
    async with serving(door) as port:
        client = await SocketClient.connect(port)
        await client.raw(sent + frame(1, b"nobody hears this"))
        assert (await ending(client)).code == code
        assert str(code) in await door.peers[0].until_lost()
    assert door.peers[0].log == ["opened", "lost"]


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4999])
async def test_a_goodbye_is_answered_with_its_own_code(code: int) -> None:
    async with serving(Door()) as port:
        client = await SocketClient.connect(port)
        await client.raw(closing(code, b"bye"))
        assert (await ending(client)).code == code


async def test_a_goodbye_without_a_code_is_answered() -> None:
    async with serving(Door()) as port:
        client = await SocketClient.connect(port)
        await client.raw(frame(8))
        assert (await ending(client)).code == 1000


async def test_fragments_become_one_message_with_pings_between() -> None:
    door = Door(echo=True)
    async with serving(door) as port:
        client = await SocketClient.connect(port)
        data = "Grüße 😀".encode()
        sent = b"".join(
            frame(0 if n else 1, data[n : n + 1], fin=False) + frame(9, b"%d" % n) for n in range(len(data))
        )
        await client.raw(sent + frame(0) + frame(2, b"next"))
        assert await client.receive() == (data, True)
        assert await client.receive() == (b"next", False)
        assert client.got_pongs == [b"%d" % n for n in range(len(data))]


async def test_empty_fragments_without_end_are_too_many() -> None:
    async with serving(Door()) as port:
        client = await SocketClient.connect(port)
        await client.raw(frame(2, fin=False) + frame(0, fin=False) * (MAX_FRAGMENTS + 10))
        assert (await ending(client)).code == 1009


async def test_nothing_continues_after_the_last_fragment() -> None:
    door = Door()
    async with serving(door) as port:
        client = await SocketClient.connect(port)
        await client.raw(frame(1, b"x", fin=False) + frame(0, b"y") + frame(0, b"z"))
        assert (await ending(client)).code == 1002
        await door.peers[0].until_lost()
    assert door.peers[0].log == ["opened", (b"xy", True), "lost"]


async def test_masks_are_taken_off() -> None:
    async with serving(Door(echo=True)) as port:
        client = await SocketClient.connect(port)
        key, data = b"\x01\xfe\x80\x7f", b"masked data"
        await client.raw(bytes([0x81, 0x80 | len(data)]) + key + bytes(b ^ key[n % 4] for n, b in enumerate(data)))
        assert await client.receive() == (data, True)


async def test_a_burst_is_worked_off_in_turns_and_in_order() -> None:
    door = Door(echo=True)
    async with serving(door) as port:
        client = await SocketClient.connect(port)
        other = await SocketClient.connect(port)
        count = BURST * 20
        await client.raw(b"".join(frame(1, b"%d" % n) for n in range(count)))
        await other.send(b"me too", True)
        assert await other.receive() == (b"me too", True)
        assert [await client.receive() for _ in range(count)] == [(b"%d" % n, True) for n in range(count)]
        await client.send(b"after", True)
        assert await client.receive() == (b"after", True)


# -- the upgrade ----------------------------------------------------------------------------------------------------
BAD_UPGRADES = {
    "version 12": ((("Sec-WebSocket-Version", "12"),), 426),
    "no version": ((("Sec-WebSocket-Version", ""),), 426),
    "no key": ((("Sec-WebSocket-Key", ""),), 400),
    "a key of 2 bytes": ((("Sec-WebSocket-Key", "abc="),), 400),
    "a key with stray bits": ((("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZR=="),), 400),
    "a key that is not base64": ((("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZ-=="),), 400),
    "a subprotocol twice": ((("Sec-WebSocket-Protocol", "a, a"),), 400),
    "a subprotocol that is no token": ((("Sec-WebSocket-Protocol", "a b"),), 400),
    "a body": ((("Content-Length", "5"),), 400),
    "two origins": ((("Origin", "http://a"), ("origin", "http://b")), 400),
}


@pytest.mark.parametrize("what", BAD_UPGRADES)
async def test_no_connection_for(what: str) -> None:
    headers, status = BAD_UPGRADES[what]
    door = Door()
    async with serving(door) as port:
        with pytest.raises(RefusedError) as refused:
            await SocketClient.connect(port, headers=headers)
    assert refused.value.status == status
    assert door.handshakes == []


async def test_a_frame_before_the_answer_is_refused() -> None:
    door = Door()
    async with serving(door) as port:
        with pytest.raises(RefusedError) as refused:
            await SocketClient.connect(port, headers=[("X-Tail", "x\r\n\r\n" + frame(1, b"early").decode("latin-1"))])
    assert refused.value.status == 400
    assert door.peers == []


async def test_compression_is_not_agreed_on() -> None:
    async with serving(Door()) as port:
        client = await SocketClient.connect(port, headers=[("Sec-WebSocket-Extensions", "permessage-deflate")])
        assert "sec-websocket-extensions" not in client.headers


async def test_a_door_that_fails_on_a_handshake_is_500() -> None:
    class Broken(Door):
        def accept(self, handshake):  # type: ignore[no-untyped-def]
            raise RuntimeError("broken")

    async with serving(Broken()) as port:
        with pytest.raises(RefusedError) as refused:
            await SocketClient.connect(port)
    assert refused.value.status == 500


# -- UTF-8 ----------------------------------------------------------------------------------------------------------
def decodes(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@given(st.lists(st.one_of(st.binary(max_size=4), st.text(max_size=4).map(str.encode)), min_size=1))
def test_utf8_is_the_same_whole_and_in_fragments(pieces: list[bytes]) -> None:
    check, whole = Utf8Check(), b"".join(pieces)
    verdict = all([check.feed(piece, False) for piece in pieces[:-1]]) and check.feed(pieces[-1], True)
    assert verdict == is_utf8(whole) == decodes(whole)


async def test_the_end_of_a_silent_client_is_seen() -> None:
    door = Door()
    async with serving(door) as port:
        client = await SocketClient.connect(port)
        await door.peers[0].until(lambda: bool(door.peers[0].log))
        client.abort()
        assert await door.peers[0].until_lost() == "the connection was lost"
        with pytest.raises(ClosedError):
            await client.receive()


@pytest.mark.parametrize("first", [closing(1000), closing(3001, b"bye"), frame(8)], ids=["1000", "3001", "none"])
@pytest.mark.parametrize("second", [closing(1000), frame(8), frame(5), b"\xff" * 14])
async def test_what_comes_behind_a_goodbye_in_the_same_read_does_not_matter(first: bytes, second: bytes) -> None:
    door = Door()
    async with serving(door) as port:
        client = await SocketClient.connect(port)
        await client.raw(first + second)
        assert (await ending(client)).code == (3001 if b"bye" in first else 1000)
        assert "closed by the peer" in await door.peers[0].until_lost()
