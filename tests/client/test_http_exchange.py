"""HTTP/1.1 as HttpClient speaks it, against servers that do what they like."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from limen import AsyncHttpClient, exc
from limen.client.address import site
from limen.client.exchange import Request
from limen.client.http1 import Sockets

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/limen+json\r\ncontent-length: 1\r\n\r\n"


@contextlib.asynccontextmanager
async def answering(handler: Handler, port: int = 0) -> AsyncIterator[str]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await handler(reader, writer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", port)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def request(reader: asyncio.StreamReader) -> bytes:
    """One request, its body left out."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    await reader.readexactly(int(length[0].split(b":")[1]))
    return head


@contextlib.asynccontextmanager
async def saying(*answers: bytes) -> AsyncIterator[str]:
    """A server that gives these answers, one a connection, and then ends it."""
    left = list(answers)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(left.pop(0))
        await writer.drain()

    async with answering(handler) as url:
        yield url


async def test_a_connection_is_kept_and_each_carries_one_request_at_a_time() -> None:
    heads: list[list[bytes]] = []
    both = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine: list[bytes] = []
        heads.append(mine)
        while True:
            mine.append(await request(reader))
            if len(heads) == 2:
                both.set()
            if mine[0].startswith(b"POST /both"):
                await both.wait()
            writer.write(OK + b"7")

    async with answering(handler) as url, AsyncHttpClient(url) as client:
        assert await asyncio.gather(client.call("both"), client.call("both")) == [7, 7]
        for _ in range(3):
            assert await client.call("more") == 7
    assert sorted(map(len, heads)) == [1, 4]
    assert b"host: 127.0.0.1:" in heads[0][0]


async def test_a_connection_that_the_server_has_ended_is_not_used_again() -> None:
    async with saying(OK + b"1", OK + b"2") as url, AsyncHttpClient(url) as client:
        assert await client.call("a") == 1
        await asyncio.sleep(0.01)
        assert await client.call("a") == 2


async def test_what_nobody_asked_for_is_no_answer_to_the_next_call() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(OK + b"1")
        if not more.is_set():
            await more.wait()
            writer.write(OK + b"9")
        await reader.read()

    more = asyncio.Event()
    async with answering(handler) as url, AsyncHttpClient(url) as client:
        assert await client.call("a") == 1
        more.set()
        await asyncio.sleep(0.02)
        assert await client.call("a") == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        OK,
        OK.replace(b"length: 1", b"length: 9") + b"1",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n7\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000 + b"\r\n",
        OK + b"x",
        OK + b"1" + OK + b"9",
        b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n",
    ],
)
async def test_an_answer_that_breaks_off_or_is_none_leaves_the_outcome_unknown(answer: bytes) -> None:
    async with saying(answer) as url, AsyncHttpClient(url) as client:
        with pytest.raises(exc.OutcomeUnknown):
            await client.call("a")


@pytest.mark.parametrize("status", [b"200 OK", b"301 Moved", b"404 Not Found"])
async def test_what_is_no_limen_is_said(status: bytes) -> None:
    async with (
        saying(b"HTTP/1.1 " + status + b"\r\ncontent-length: 2\r\n\r\nhi") as url,
        AsyncHttpClient(url) as client,
    ):
        with pytest.raises(exc.RemoteError, match="is that the right URL") as raised:
            await client.call("a")
    assert raised.value.facts == {"status": int(status[:3])}


async def test_interim_answers_are_passed_over() -> None:
    async with saying(b"HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n" + OK + b"7") as url, AsyncHttpClient(url) as client:
        assert await client.call("a") == 7


async def test_a_body_without_a_length_ends_with_the_connection() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/limen+json\r\n\r\n"
    async with saying(head + b"[1,2]") as url, AsyncHttpClient(url) as client:
        assert await client.call("a") == [1, 2]


async def test_an_answer_that_is_too_large_is_not_read() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(OK.replace(b"length: 1", b"length: 1000000000") + b"1")
        while True:
            writer.write(b"1" * 65536)
            await writer.drain()

    async with answering(handler) as url, AsyncHttpClient(url, max_message_size=2**20) as client:
        with pytest.raises(exc.TooLarge):
            await client.call("a")


async def test_a_server_that_was_there_is_waited_for_and_one_that_never_was_is_not() -> None:
    async with saying(OK + b"1") as url:
        client = AsyncHttpClient(url)
        assert await client.call("a") == 1
    waiting = asyncio.ensure_future(client.call("a"))
    await asyncio.sleep(0.1)
    assert not waiting.done()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(OK + b"2")

    async with answering(handler, int(url.rpartition(":")[2])):
        assert await waiting == 2
    await client.close()
    async with AsyncHttpClient(url, patience=0) as client:
        with pytest.raises(exc.ConnectionLost, match=url):
            await client.call("a")


async def test_a_cancelled_call_ends_its_connection() -> None:
    ended = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        assert await reader.read() == b""
        ended.set()

    async with answering(handler) as url, AsyncHttpClient(url) as client:
        with pytest.raises(exc.Timeout):
            await client.apply("a", timeout=0.02)
        await ended.wait()


async def test_a_body_is_sent_while_it_comes_and_no_further_than_it_is_wanted() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"transfer-encoding: chunked" in await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(2**20)
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
        await writer.drain()
        assert b"x" in await reader.read(2**20)

    async with answering(handler) as url:
        sockets = Sockets(site(url), ssl=None, patience=0, open_timeout=5)
        answer = await sockets.send(Request("POST", "/a", (), endless()))
        assert (answer.status, await answer.read(9)) == (413, b"no")
        assert not sockets._idle
        await sockets.close()


async def test_a_head_holds_no_lines_of_somebody_elses(tmp_path: Path) -> None:
    sockets = Sockets(site("http://127.0.0.1:9"), ssl=None, patience=0, open_timeout=5)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise AssertionError

    async with answering(handler) as url:
        sockets = Sockets(site(url), ssl=None, patience=0, open_timeout=5)
        with pytest.raises(exc.InvalidCall):
            await sockets.send(Request("POST", "/a", (("x", "1\r\ny: 2"),)))
        await sockets.close()


async def test_a_certificate_of_ones_own_authority_is_taken_and_a_strangers_is_not(tmp_path: Path) -> None:
    import trustme

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(OK + b"7")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handler, "127.0.0.1", 0, ssl=context)
    url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    trusting: Any = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with AsyncHttpClient(url, ssl=trusting) as client:
        assert await client.call("a") == 7
    async with AsyncHttpClient(url) as client:
        with pytest.raises(exc.ConnectionLost, match="certificate"):
            await client.call("a")
    server.close()
