"""The runner: uvicorn with Limen's transports."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limen.app import App


def run(
    app: App, *, host: str, port: int, tls: str | tuple[str, str] | None = None, reload: bool = False
) -> int:
    """Serves *app* until told to stop; gives the exit status."""
    import uvicorn
    import uvloop

    from limen.transport.http_server import HttpServer
    from limen.transport.picows_ws import PicowsServer

    async def main() -> None:
        config = uvicorn.Config(
            app.asgi(),
            host=host,
            port=port,
            ws=PicowsServer(app.accept, app.config).protocol,  # type: ignore[arg-type]
            http=HttpServer(app.config).protocol,  # type: ignore[arg-type]
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=10,
        )
        server = uvicorn.Server(config)
        serving = asyncio.ensure_future(server.serve())
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        if server.started:
            actual = server.servers[0].sockets[0].getsockname()[1]
            print(f"Limen listens on http://{app.config.DOMAIN}:{actual}", flush=True)
        await serving

    uvloop.run(main())
    return 0
