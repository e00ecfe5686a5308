"""`limen serve`: uvicorn on uvloop with Limen's own HTTP and WebSocket transports, on one port.

    run(app, host="127.0.0.1", port=9000)            an App
    serve(asgi, accept, config, port=9000)           any ASGI callable, with any door for WebSockets

Stopping: SIGTERM or Ctrl-C ends the listening, says goodbye to sessions, lets running calls finish, and returns 0; a
second Ctrl-C ends at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import uvicorn
import uvloop

from limen import exc
from limen.app.calllog import Indented
from limen.base.config import Config
from limen.transport.http_server import HttpServer
from limen.transport.listening import BACKLOG, CIPHERS, TLS_HANDSHAKE_TIMEOUT, bind
from limen.transport.picows_ws import PicowsServer
from limen.transport.wire import Accept

from .process import raise_file_limit

if TYPE_CHECKING:
    from limen.app.app import App

    from .evenly import Evenly

PATIENCE = 10
"""Seconds that calls have to finish when the server is told to end."""
INHERITED = "LIMEN_SOCKET"
"""Environment variable with the number of a listening socket that a parent process holds (`--dev`)."""


class _Loop(uvloop.Loop):
    def create_server(self, *args: Any, ssl: Any = None, **options: Any) -> Any:
        if ssl is not None:
            options.setdefault("ssl_handshake_timeout", TLS_HANDSHAKE_TIMEOUT)
        return super().create_server(*args, ssl=ssl, **options)


class _Server(uvicorn.Server):
    """uvicorn's server, which says goodbye before it closes, and whose exit code is not the signal's."""

    def __init__(
        self,
        config: uvicorn.Config,
        on_ready: Callable[[], None],
        drain: Callable[[], Awaitable[None]] | None,
        evenly: Evenly | None = None,
    ) -> None:
        super().__init__(config)
        self._on_ready, self._drain, self._evenly = on_ready, drain, evenly

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        ours = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self.handle_exit) for number in ours}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        spare = sockets[0].dup() if self._evenly is not None and sockets else None
        await super().startup(sockets)
        if self.started:
            if self._evenly is not None and spare is not None:
                self._evenly.begin(self, spare)
            gc.collect()
            gc.freeze()  # what was loaded stays; the collector need not look at it again and again
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        begun = asyncio.get_running_loop().time()
        gc.unfreeze()  # in a test the process lives on
        if self._evenly is not None:
            self._evenly.stop()
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            if not isinstance(connection, PicowsServer):
                connection.shutdown()  # idle keep-alive connections; the others end with their answer
        if self._drain is not None:
            draining = asyncio.ensure_future(self._drain())
            while not draining.done() and not self.force_exit:
                await asyncio.wait({draining}, timeout=0.1)
            draining.cancel()
            await asyncio.gather(draining, return_exceptions=True)
        if not self.force_exit:  # what sealed calls have taken of the time is gone for plain ones, too
            spent = asyncio.get_running_loop().time() - begun
            self.config.timeout_graceful_shutdown = max(1, round(PATIENCE - spent))
            await super().shutdown(sockets)


def run(
    app: App,
    *,
    host: str = "127.0.0.1",
    port: int = 9000,
    tls: str | tuple[str, str] | None = None,
    on_ready: Callable[[str], None] | None = None,
    on_begin: Callable[[Callable[[], None]], None] | None = None,
    quiet: bool = False,
    evenly: Evenly | None = None,
) -> int:
    """Serves *app* until it is told to stop; the exit code. Options: see `serve`."""

    async def drain() -> None:
        if app.hub is not None:
            await app.hub.drain()

    database = app.config.DB.partition("sqlite:///")[2].partition("?")[0]
    return serve(
        app.asgi(),
        app.accept,
        app.config,
        host=host,
        port=port,
        tls=tls,
        names=[app.config.DOMAIN, *sorted(app.domains)],
        directory=os.path.join(os.path.dirname(os.path.abspath(database)), "limen-tls") if database else None,
        on_ready=on_ready,
        on_begin=on_begin,
        drain=drain,
        quiet=quiet,
        evenly=evenly,
    )


def serve(
    app: Callable[..., Any],
    accept: Accept,
    config: Config,
    *,
    host: str = "127.0.0.1",
    port: int = 9000,
    tls: str | tuple[str, str] | None = None,
    names: Sequence[str] = ("localhost",),
    directory: str | None = None,
    on_ready: Callable[[str], None] | None = None,
    on_begin: Callable[[Callable[[], None]], None] | None = None,
    drain: Callable[[], Awaitable[None]] | None = None,
    quiet: bool = False,
    evenly: Evenly | None = None,
) -> int:
    """Serves *app* (ASGI: HTTP and lifespan) and *accept* (WebSockets) until it is told to stop; the exit code.

    *port*: 0 takes a free one. *tls*: "local" (own authority, see `limen.cli.tls`), or paths of certificate and key.
    *names*: the host names that are answered for; the first is shown. *directory*: where the files of "local" are kept.
    *on_ready*: is given the URL; without it a line is printed. *on_begin*: is given what stops the server, from any
    thread, as SIGTERM does. *drain*: says goodbye and waits for what runs; nothing
    new is accepted meanwhile. *quiet*: what "local" has to say was said by another process. *evenly*: this is
    one of several workers.

    Raises `exc.InvalidAddress` if host or port cannot be listened on.
    """
    raise_file_limit()
    if logging.lastResort is not None:  # what writes where the program has not set up a log of its own
        logging.lastResort.setFormatter(Indented())
    files = _tls_files(tls, [*names, host], directory, quiet)
    sock = listen(host, port)
    url = f"{'https' if files else 'http'}://{names[0]}:{sock.getsockname()[1]}"
    websockets, http = PicowsServer(accept, config), HttpServer(config).protocol
    uvicorn_config = uvicorn.Config(
        app,
        ws=websockets.protocol,  # type: ignore[arg-type]  # any factory will do
        http=evenly.counted(http, websockets) if evenly is not None else http,  # type: ignore[arg-type]
        interface="asgi3",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # a stranger's X-Forwarded-For says nothing
        backlog=BACKLOG,
        timeout_graceful_shutdown=PATIENCE,
        ssl_certfile=files[0] if files else None,
        ssl_keyfile=files[1] if files else None,
        ssl_ciphers=CIPHERS,
    )
    say = on_ready or (lambda where: print(f"Limen listens on {where}", flush=True))
    server = _Server(uvicorn_config, lambda: say(url), drain, evenly)
    if on_begin is not None:
        on_begin(lambda: setattr(server, "should_exit", True))
    with asyncio.Runner(loop_factory=_Loop) as runner:
        try:
            runner.run(server.serve(sockets=[sock]))
        except SystemExit:  # uvicorn's way out where the lifespan did not start
            if server.started:
                raise
    if not server.started:
        return 1
    return 130 if server.force_exit else 0


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; the one that a parent process holds, if there is one."""
    inherited = os.environ.pop(INHERITED, None)
    if inherited:
        sock = socket.socket(fileno=int(inherited))
        sock.set_inheritable(False)  # what the program starts has no business with it
        # Whether it blocks is said once for all processes that share it, and `socket.dup` says it anew, by what this
        # object believes: a worker that starts would have the others wait in accept(), and serve nobody meanwhile.
        sock.setblocking(False)
        return sock
    try:
        return bind(host, port)
    except exc.InvalidAddress as error:
        raise exc.InvalidAddress(f"{error} Say another --host or --port.") from None


def _tls_files(
    tls: str | tuple[str, str] | None, names: list[str], directory: str | None, quiet: bool
) -> tuple[str, str] | None:
    if tls is None:
        return None
    if tls == "local":
        from .tls import local_certificate

        local = local_certificate(names, directory)
        if not quiet:
            print(local.advice, file=sys.stderr, flush=True)
        return str(local.certificate), str(local.key)
    pair = tuple(tls.split(",")) if isinstance(tls, str) else tls
    if len(pair) != 2:
        raise exc.InvalidAddress("--tls takes 'local', or CERTIFICATE,KEY: the paths of two PEM files.")
    for path in pair:
        if not os.path.isfile(path):
            raise exc.InvalidAddress(f"--tls: there is no file {path}.")
    return pair[0], pair[1]
