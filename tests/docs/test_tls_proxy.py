"""docs/how-to/tls.md, "Behind a proxy": what works where TLS ends, tried with a page in a browser."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from playwright.async_api import Browser
from served import Server

PROGRAM = """
from limen import auth, service, static

@service(safe=False, ssl=False)
def public(): return "public"

@service(ssl=False)
def orders(): return "orders"

@service()
def strict(): return "strict"

auth.add_user("ada", "lovelace")
static("/", "public")
"""

CALLS = """async () => {
    const said = (promise) => promise.catch((error) => error.exc);
    return [
        await said(Limen.call("public")),
        (await Limen.login("ada", "lovelace")).status,
        await said(Limen.safe_call("orders")),
        await said(Limen.safe_call("strict")),
    ];
}"""


@asynccontextmanager
async def proxy(port: int, *, tls_behind: bool) -> AsyncIterator[str]:
    """A proxy at which TLS ends, before the server at *port*; its URL. It hands on every byte, and so the Host."""
    front = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(front)
    behind = ssl._create_unverified_context() if tls_behind else None

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass  # one of the two has gone
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port, ssl=behind)
        await asyncio.gather(pump(reader, back), pump(there, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=front)
    try:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


@pytest.mark.parametrize(
    ("options", "outcome"),
    [
        pytest.param([], ["public", "online", "orders", "RequireSSL"], id="plain http behind the proxy"),
        pytest.param(["--tls", "local"], ["public", "online", "orders", "strict"], id="TLS behind the proxy"),
    ],
)
async def test_what_a_page_reaches_where_tls_ends_at_a_proxy(
    serve: Callable[..., Server], browser: Browser, tmp_path: Path, options: list[str], outcome: list[str]
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "index.html").write_text('<!doctype html><script src="/limen/limen.js"></script>')
    server = serve(tmp_path / "program.py", *options, cwd=tmp_path)
    async with proxy(server.port, tls_behind=bool(options)) as url:
        context = await browser.new_context(ignore_https_errors=True)
        try:
            page = await context.new_page()
            await page.goto(url)
            assert await page.evaluate(CALLS) == outcome
        finally:
            await context.close()
