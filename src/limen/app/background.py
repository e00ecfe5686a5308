"""An App whose event loop has a thread of its own: what stands behind `app.wsgi()`.

The loop starts with the first request, and so in the process that answers: a server such as gunicorn forks before that.
It ends with the process: sessions, ledger and mark are written then, as `limen serve` does it.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, MutableMapping
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any

import uvloop

from limen import exc
from limen.service.workers import Workers

if TYPE_CHECKING:
    from limen.door.http.door import HttpDoor

    from .app import App

STOP_TIMEOUT = 20.0
"""Seconds that the end may take."""

APART = (
    "This WSGI server runs several processes, and the users and records of this program are in {place}, which one "
    "process has for itself. Let it run one process with threads (gunicorn --workers 1 --threads 16), or keep them in "
    "a database that processes share: LIMEN_DB=postgresql://…, or config.DB."
)
ONCE = (
    "This WSGI server ends its process after each request (wsgi.run_once, as CGI does): no session would outlive one. "
    "Let it run processes that stay."
)
FORKED = (
    "This program answered a request before its process was forked, and the copy can't go on with the original's "
    "stores. Let each process start for itself (gunicorn: without --preload, or with nothing called while it loads)."
)


class _Loop(uvloop.Loop):
    """Its threads may still be asked while the interpreter ends, which those of concurrent.futures may not."""

    workers: Workers

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        return super().run_in_executor(executor or self.workers, func, *args)


class Background:
    """The loop of *app*, in this process. Threads may ask for it at once."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._running: tuple[asyncio.AbstractEventLoop, HttpDoor] | None = None
        self._pid = 0
        self._stop: Callable[[], None] | None = None

    def begin(self, environ: MutableMapping[str, Any]) -> tuple[asyncio.AbstractEventLoop, HttpDoor]:
        """The running loop and its door; the first request starts them. Raises `exc.Error` where they can't start."""
        running = self._running
        if running is None or self._pid != os.getpid():
            if self._pid not in (0, os.getpid()):
                raise exc.StoreError(FORKED)
            with self._lock:
                running = self._running
                if running is None:
                    self._check(environ)
                    running = self._running = self._start()
        return running

    def _check(self, environ: MutableMapping[str, Any]) -> None:
        if environ.get("wsgi.run_once"):
            raise exc.StoreError(ONCE)
        vault = self._app.vault
        if environ.get("wsgi.multiprocess") and not vault.shared:
            raise exc.StoreError(APART.format(place="an SQLite file" if vault.url else "memory"))

    def _start(self) -> tuple[asyncio.AbstractEventLoop, HttpDoor]:
        ready: Future[tuple[asyncio.AbstractEventLoop, HttpDoor]] = Future()

        def make() -> _Loop:
            loop = _Loop()
            loop.workers = Workers(8, "limen-wsgi")
            return loop

        def run() -> None:
            with asyncio.Runner(loop_factory=make) as runner:
                try:
                    runner.run(self._live(ready))
                except BaseException as error:
                    if not ready.done():
                        ready.set_exception(error)

        thread = threading.Thread(target=run, name="limen-loop", daemon=True)
        thread.start()
        running = ready.result()
        self._pid = os.getpid()

        def stop() -> None:
            if self._stop is not None and self._pid == os.getpid():
                running[0].call_soon_threadsafe(self._stop)
                thread.join(STOP_TIMEOUT)

        atexit.register(stop)
        return running

    async def _live(self, ready: Future[tuple[asyncio.AbstractEventLoop, HttpDoor]]) -> None:
        from .running import lifespan, make_door

        over = asyncio.Event()
        door = make_door(self._app)
        async with lifespan(self._app):
            self._stop = over.set
            ready.set_result((asyncio.get_running_loop(), door))
            await over.wait()
        self._stop = None
