"""An App served for real, in a thread of this process: for tests that need a socket or a browser."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Queue
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limen import App

PATIENCE = 30.0
"""Seconds that a server has to begin, and to end."""


class Served:
    """*app* on a free port of this machine, for the length of a `with` block; `url` says where. In development, so that
    plain HTTP will do.

    >>> from limen import App
    >>> import urllib.request
    >>> app = App()
    >>> @app.service(safe=False, methods=["GET"])
    ... def hello():
    ...     return "Hello"
    >>> with Served(app) as server:
    ...     urllib.request.urlopen(server.url + "/hello.txt").read()
    b'Hello'
    """

    def __init__(self, app: App) -> None:
        self.app = app
        self.url = ""
        self._stop: Callable[[], None] = lambda: None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Served:
        from limen.cli.serve import run

        said: Queue[str | BaseException] = Queue()

        def begin(stop: Callable[[], None]) -> None:
            self._stop = stop

        def work() -> None:
            try:
                run(self.app, port=0, on_ready=said.put, on_begin=begin)
                said.put(RuntimeError("The server ended before it was ready; what it said stands above."))
            except BaseException as error:
                said.put(error)

        self._development = self.app.config.IS_DEVELOPMENT
        self.app.config.IS_DEVELOPMENT = True
        self._thread = threading.Thread(target=work, name="limen-served", daemon=True)
        self._thread.start()
        first = said.get(timeout=PATIENCE)
        if isinstance(first, BaseException):
            self.__exit__(None, None, None)
            raise first
        self.url = first
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        if self._thread is not None:
            self._thread.join(PATIENCE)
        self.app.config.IS_DEVELOPMENT = self._development
        self.app.hub = None  # the next server begins anew
