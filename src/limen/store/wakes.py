"""Wakes: after each commit whoever waits for changes is told to look, in this process and in others.

A wake says nothing but "look": what has changed is asked of the change log, by position, so that a wake that is lost
loses nothing but time. Between processes it is one byte to each datagram socket `….wake.*` beside the database; who
waits has bound one there. Whoever may write to such a socket may read the file it stands beside.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from limen.base.sockets import socket_address

Undo = Callable[[], None]
_STOP = b"stop"
_COARSE = 50_000_000
"""Nanoseconds within which a folder may change twice and show one time: file systems count in such steps."""


class Wakes:
    """The wakes of one database in one process. *path*: the database's file; None for one that only this process has.

    >>> wakes, heard = Wakes(None), []
    >>> undo = wakes.listen(lambda: heard.append("look"))
    >>> wakes.wake(); undo(); wakes.wake()
    >>> heard
    ['look']
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._folder = os.open(path.parent, os.O_RDONLY) if path is not None else -1
        self._callbacks: tuple[Callable[[], None], ...] = ()
        self._lock = threading.Lock()
        self._ear: _Ear | None = None
        self._others: list[Path] = []
        self._settled = -1  # the folder's time when they were read, once it was so old that a change since would show
        self._mouth: socket.socket | None = None

    def listen(self, callback: Callable[[], None]) -> Undo:
        """Has *callback* called after each commit, from any thread; it must be quick and not raise. Gives the undo."""

        def entry() -> None:  # one of its own for each listen, so that the same callback may be given twice
            callback()

        with self._lock:
            self._callbacks = (*self._callbacks, entry)
            if self._ear is None and self._path is not None:
                self._ear = _Ear(self._path, self._call)

        def undo() -> None:
            with self._lock:
                self._callbacks = tuple(other for other in self._callbacks if other is not entry)
                if not self._callbacks and self._ear is not None:
                    self._ear.close()
                    self._ear = None

        return undo

    def wake(self) -> None:
        """Tells everyone to look. Never raises for what another process does or fails to do."""
        self._call()
        if self._path is None:
            return
        for other in self._sockets(self._path):
            with self._lock:
                if self._mouth is None:
                    self._mouth = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                    self._mouth.setblocking(False)
                try:
                    with socket_address(other) as address:
                        self._mouth.sendto(b"!", address)
                except BlockingIOError:
                    pass  # it has plenty to wake up to already
                except ConnectionRefusedError:
                    other.unlink(missing_ok=True)  # of a process that was killed
                except OSError:
                    pass

    def close(self) -> None:
        """Forgets all callbacks and closes the sockets."""
        with self._lock:
            self._callbacks = ()
            if self._ear is not None:
                self._ear.close()
                self._ear = None
            if self._mouth is not None:
                self._mouth.close()
                self._mouth = None
            if self._folder >= 0:
                os.close(self._folder)
                self._folder = -1

    def _call(self) -> None:
        for callback in self._callbacks:
            callback()

    def _sockets(self, path: Path) -> list[Path]:
        """The sockets of other processes. The folder is read only where it has changed: a commit is to cost little."""
        changed = os.fstat(self._folder).st_mtime_ns  # a third of what os.stat costs
        if changed != self._settled:
            self._settled = changed if time.time_ns() - changed >= _COARSE else -1
            mine = self._ear.path if self._ear is not None else None
            with os.scandir(path.parent) as entries:
                names = [entry.name for entry in entries if entry.name.startswith(f"{path.name}.wake.")]
            self._others = [path.with_name(name) for name in names if path.with_name(name) != mine]
        return self._others


class _Ear:
    """A bound socket and the thread that reads it."""

    def __init__(self, database: Path, call: Callable[[], None]) -> None:
        self.path = database.with_name(f"{database.name}.wake.{os.getpid()}.{secrets.token_hex(4)}")
        self._call = call
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with socket_address(self.path) as address:
            self._socket.bind(address)
        self.path.chmod(0o600)
        self._thread = threading.Thread(target=self._run, name=f"wakes of {database.name}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with suppress(OSError):
            while (said := self._socket.recv(16)) != _STOP:
                self._socket.setblocking(False)
                with suppress(BlockingIOError):
                    while said != _STOP:  # many wakes are one
                        said = self._socket.recv(16)
                self._socket.setblocking(True)
                if said == _STOP:
                    break
                self._call()
        self._socket.close()

    def close(self) -> None:
        """Ends the thread; returns once no callback is under way, except where it is called by one."""
        with suppress(OSError), socket_address(self.path) as address:
            mouth = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            with mouth:
                mouth.sendto(_STOP, address)
        self.path.unlink(missing_ok=True)
        if threading.current_thread() is not self._thread:
            self._thread.join(5)
