"""`limen.server`: starting the usual server from a program; `limen serve` does the same from the shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .app import App


class Server:
    """Starts the App's own server (uvicorn with Limen's transports)."""

    def __init__(self, app: App) -> None:
        self._app = app

    def start(self, host: str = "127.0.0.1", port: int = 9000, tls: str | tuple[str, str] | None = None) -> None:
        """Serves until SIGTERM or Ctrl-C. *port*: 0 takes a free one. *tls*: "local", or (certificate, key) files."""
        from limen.cli.target import serve_app

        serve_app(self._app, host=host, port=port, tls=tls)

    def start_wsgi_server(self, host: str = "127.0.0.1", port: int = 9000) -> None:
        """The seed's name for `start`."""
        self.start(host, port)
