"""uvicorn in the test's own loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn


async def pause(seconds: float) -> None:
    """Lets others run for *seconds*: where time is what a test is about."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.Event().wait()


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError(f"nothing should come here: {scope}")


@asynccontextmanager
async def uvicorn_serving(app: Any = nothing, **options: Any) -> AsyncIterator[int]:
    """Serves for the length of the block, which is given the port."""
    sock = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="critical",
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=False,
        interface="asgi3",
        timeout_graceful_shutdown=1,
        **options,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[sock])
    try:
        yield sock.getsockname()[1]
    finally:
        await server.shutdown(sockets=[sock])
