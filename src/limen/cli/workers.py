"""`limen serve --workers N`: this process holds the port and starts N others that serve; what they tell each other goes
through it. It runs nothing of the program.

The first worker starts alone: what is made once (database, key file, certificate) has one maker, and a program that
can't start says so once. A worker that dies is replaced; those that die young are replaced later and later.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from limen import exc
from limen.app.datastore import ROLES
from limen.app.line import Line
from limen.app.switchboard import Seat, Switchboard

from .evenly import Evenly
from .serve import INHERITED

if TYPE_CHECKING:
    from limen.app.app import App

WORKER = "LIMEN_WORKER"
"""Environment variable of a worker: JSON of `Membership`."""
PATIENCE = 20.0
"""Seconds that workers have to end; their calls have 10."""
BEAT = 5.0
"""Seconds between two questions to each worker whether it is there; one that lets six pass is ended."""
YOUNG = 5.0
"""A worker that lived for fewer seconds died young."""
FIRST_WAIT, LONGEST_WAIT = 0.25, 30.0
"""Seconds before the second in a row that died young is replaced; doubled with each further one, up to the longest."""


@dataclass(frozen=True)
class Membership:
    """What a worker is told. *line*: the file number of its half of the bus. *group*: see `limen.store.group`. *first*:
    it says what is to be said once."""

    line: int
    group: str
    first: bool

    @classmethod
    def taken(cls) -> Membership | None:
        """What this process was told, once: what it starts itself is no worker."""
        text = os.environ.pop(WORKER, None)
        if text is None:
            return None
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the supervisor's to hear
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        for stream in (sys.stdout, sys.stderr):  # a line is one write: those of several workers do not mix
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(line_buffering=True)
        member = cls(**json.loads(text))
        os.set_inheritable(member.line, False)
        return member


def supervise(count: int, sock: socket.socket, command: list[str] | None = None) -> int:
    """Serves on *sock* in *count* workers until this process is told to stop; the exit code: 0, 130 after a second
    signal, or that of a first worker which could not start.

    *command*: what starts a worker (default: the command line of this process).
    """
    return asyncio.run(Supervisor(count, sock, command or [sys.executable, "-m", "limen.cli", *sys.argv[1:]]).run())


@dataclass
class Worker:
    """One place among the workers, and who holds it now."""

    place: int
    process: asyncio.subprocess.Process | None = None
    seat: Seat | None = None
    ready: bool = False
    young: int = 0
    """So many in a row died young."""


class Supervisor:
    """See `supervise`."""

    def __init__(self, count: int, sock: socket.socket, command: list[str]) -> None:
        self._sock, self._command = sock, command
        self._group = f"{os.getpid()} {secrets.token_hex(8)}"
        self._workers = [Worker(place) for place in range(count)]
        self._board = Switchboard(self._is_ready, self._is_stuck)
        self._url = ""
        self._said = False
        self._signals = 0
        self._first = asyncio.Event()
        self._stop = asyncio.Event()
        self._forced = asyncio.Event()

    async def run(self) -> int:
        """From the first worker's start to the last one's end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._told)
        keepers = [loop.create_task(self._keep(self._workers[0]))]
        await self._first.wait()
        if not self._stop.is_set():
            keepers += [loop.create_task(self._keep(worker)) for worker in self._workers[1:]]
        beating = loop.create_task(self._beat())
        await self._stop.wait()
        beating.cancel()
        self._sock.close()  # nobody waits at a door that nobody will open
        for worker in self._workers:
            self._end(worker)
        forced = loop.create_task(self._forced.wait())
        ended: asyncio.Future[list[int]] = asyncio.gather(*keepers)
        waiting: list[asyncio.Future[Any]] = [ended, forced]
        await asyncio.wait(waiting, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        forced.cancel()
        for worker in self._workers:
            self._end(worker, signal.SIGKILL)
        codes = await ended
        return 130 if self._forced.is_set() else max(codes)

    async def _keep(self, worker: Worker) -> int:
        """Keeps one place filled until the end; the exit code of the last who held it, 0 for one that was killed."""
        while True:
            begun = time.monotonic()
            code, was_ready = await self._fill(worker)
            if self._stop.is_set():
                return max(code, 0)
            if not (self._said or was_ready):  # it can't start, and has said why
                self._stop.set()
                self._first.set()
                return code if code > 0 else 1
            lived = time.monotonic() - begun
            worker.young = worker.young + 1 if lived < YOUNG else 0
            wait = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (worker.young - 2)) if worker.young > 1 else 0.0
            how = f"was ended by {_name_of(-code)}" if code < 0 else f"ended with {code}"
            when = f"in {wait:g} seconds" if wait else "now"
            _say(f"Worker {worker.place + 1} {how} after {lived:.1f} seconds; another takes its place {when}.")
            if wait:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), wait)
                if self._stop.is_set():
                    return 0

    async def _fill(self, worker: Worker) -> tuple[int, bool]:
        """Starts a worker, and waits for its end; its exit code, and whether it was ready before."""
        ours, theirs = socket.socketpair()
        first = not self._url
        member = {"line": theirs.fileno(), "group": self._group, "first": first}
        sock = self._sock.fileno()
        environment = {**os.environ, INHERITED: str(sock), WORKER: json.dumps(member)}
        ours.setblocking(False)
        worker.seat = seat = self._board.seat()
        transport, _ = await asyncio.get_running_loop().create_unix_connection(lambda: seat, sock=ours)
        # Blocked until it has said what is to become of it: else a Ctrl-C would end one that just begins.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            worker.process = process = await asyncio.create_subprocess_exec(
                *self._command, env=environment, pass_fds=[sock, theirs.fileno()]
            )
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            theirs.close()
        if self._stop.is_set():  # told to stop while it was started
            self._end(worker)
        code = await process.wait()
        was_ready, worker.process, worker.ready = worker.ready, None, False
        transport.close()
        return code, was_ready

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            self._board.beat()

    def _end(self, worker: Worker, how: int = signal.SIGTERM) -> None:
        if worker.process is not None:
            with contextlib.suppress(ProcessLookupError):
                worker.process.send_signal(how)

    def _told(self) -> None:
        self._signals += 1
        self._first.set()
        self._stop.set()
        if self._signals > 1:
            self._forced.set()

    def _is_ready(self, number: int, url: str) -> None:
        for worker in self._workers:
            if worker.seat is not None and worker.seat.number == number:
                worker.ready = True
        self._url = url
        self._first.set()
        if not self._said and all(worker.ready for worker in self._workers):
            self._said = True
            print(f"Limen listens on {url}", flush=True)

    def _is_stuck(self, number: int) -> None:
        for worker in self._workers:
            if worker.seat is not None and worker.seat.number == number:
                _say(f"Worker {worker.place + 1} does not hear what it is told, or does not answer; it is ended.")
                self._end(worker, signal.SIGKILL)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def unshared(where: str) -> exc.StoreError:
    """What is said where a program for several workers keeps something in one process."""
    return exc.StoreError(
        f"--workers needs stores that processes share, and {where} is in the memory of one: what a worker writes there "
        "the others never see. Say --db sqlite:///todo.db or --db postgresql://…, or leave out --workers."
    )


def join(app: App, member: Membership) -> tuple[Callable[[str], None], Evenly]:
    """Makes *app* one of several; gives what is to be called with its URL, and what spreads connections.

    Raises `StoreError` where it keeps something in one process's memory.
    """
    if not app.vault.shared:
        raise unshared(app.vault.url or "the store of this program")
    for storage in app.storage.storages():
        for role in ROLES:
            if not getattr(storage, role).shared:
                raise unshared(f"a store of this program ({role})")
    app.line = socket.socket(fileno=member.line)

    def line() -> Line:
        assert app.hub is not None
        assert isinstance(app.hub.bus, Line)
        return app.hub.bus

    return lambda url: line().ready(url), Evenly(line)
