"""A stream's values over plain HTTP, line by line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import pytest_asyncio
from http_site import Site, serving

from limen import exc


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    site.ended = asyncio.Event()  # type: ignore[attr-defined]

    @site.service(safe=False)
    def prices() -> Iterator[Any]:
        yield Decimal("1.50")
        yield "two\nlines"

    @site.service(safe=False, methods=("GET", "POST"))
    async def breaks_off(after: int = 1) -> AsyncIterator[int]:
        for n in range(after):
            yield n
        raise exc.RecordVersionMismatch("Too late.", vsn=3)

    @site.service(safe=False)
    async def forever() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
                await asyncio.sleep(0)
        finally:
            site.ended.set()  # type: ignore[attr-defined]

    @site.service(safe=False)
    def strange() -> Iterator[Any]:
        yield 1
        yield object()

    @site.service(safe=False)
    def one() -> int:
        return 1

    @site.service()
    def sealed() -> Iterator[int]:
        yield 1

    async with serving(site):
        yield site


async def lines(site: Site, target: str, kind: str = "x-ndjson") -> tuple[str, list[str]]:
    """The head of the answer, and the lines of its body."""
    reader, writer = await site.connect()
    writer.write(
        f"POST {target} HTTP/1.1\r\nhost: localhost\r\naccept: application/{kind}\r\n"
        "connection: close\r\ncontent-length: 0\r\n\r\n".encode()
    )
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    chunks = body.split("\r\n")
    return head, "".join(chunks[1::2]).splitlines() if "chunked" in head else [body]


async def test_each_value_is_a_line(site: Site) -> None:
    head, values = await lines(site, "/prices")
    assert head.startswith("HTTP/1.1 200")
    assert "content-type: application/x-ndjson" in head
    assert "cache-control: no-store" in head
    assert list(map(json.loads, values)) == ["1.50", "two\nlines"]
    head, values = await lines(site, "/prices", "limen+ndjson")
    assert list(map(json.loads, values)) == [{"$decimal": "1.50"}, "two\nlines", {"$end": None}]


async def test_an_error_on_the_way_is_the_last_line(site: Site) -> None:
    wire = {"exc": "RecordVersionMismatch", "err": ["Too late."], "vsn": 3}
    assert list(map(json.loads, (await lines(site, "/breaks_off"))[1])) == [0, wire]
    assert list(map(json.loads, (await lines(site, "/breaks_off", "limen+ndjson"))[1])) == [0, {"$error": wire}]
    _, (first, second) = await lines(site, "/strange")
    assert (first, json.loads(second)["exc"]) == ("1", "InvalidValue")


async def test_an_error_before_the_first_value_has_its_own_status(site: Site) -> None:
    for target, status in (("/breaks_off?after=0", 409), ("/sealed", 401), ("/nothing", 404)):
        head, _ = await lines(site, target)
        assert head.startswith(f"HTTP/1.1 {status}")


async def test_who_does_not_ask_for_lines_or_asks_what_is_no_stream_gets_one_piece(site: Site) -> None:
    assert (await site.post("/prices", {})).value == ["1.50", "two\nlines"]
    assert (await lines(site, "/one"))[1] == ["1"]
    assert (await site.ask("HEAD", "/breaks_off?after=0", accept="application/x-ndjson")).status == 409


async def test_a_reader_that_leaves_ends_the_service(site: Site) -> None:
    reader, writer = await site.connect()
    writer.write(
        b"POST /forever HTTP/1.1\r\nhost: localhost\r\naccept: application/x-ndjson\r\ncontent-length: 0\r\n\r\n"
    )
    await reader.readuntil(b"1\n")
    writer.transport.abort()
    async with asyncio.timeout(5):
        await site.ended.wait()  # type: ignore[attr-defined]
