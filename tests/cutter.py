"""A wire to a server that can be cut at any byte::

    with Cutter("/run/server.sock") as wire:        # listens on wire.port of 127.0.0.1
        wire.cut(sent=100)                          # the next 100 bytes get through to the server, then both ends close
        wire.cut(answered=0)                        # the server hears all, its next answer comes to nobody
        wire.refusing = True                        # who connects is sent away

`sent`, `answered` count bytes; `turns` how often a client spoke after it had been answered: round trips.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from selectors import EVENT_READ, DefaultSelector
from types import TracebackType


class Cutter:
    def __init__(self, target: str) -> None:
        """*target*: the path of the server's Unix socket."""
        self.target, self.refusing = target, False
        self.sent = self.answered = self.turns = self.cuts = 0
        self._limits: dict[str, int | None] = {"sent": None, "answered": None}
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def cut(self, *, sent: int | None = None, answered: int | None = None) -> None:
        """Lets through so many bytes more in that direction, counted over all connections, then cuts once."""
        with self._lock:
            self._limits = {"sent": sent, "answered": answered}

    @contextmanager
    def counted(self) -> Iterator[list[int]]:
        """What went over the wire in the block: [bytes sent, bytes answered, round trips]."""
        before = [self.sent, self.answered, self.turns]
        counted: list[int] = []
        yield counted
        counted += [now - then for now, then in zip([self.sent, self.answered, self.turns], before, strict=True)]

    def hang_up(self) -> None:
        """Cuts all connections now."""
        with self._lock:
            ends = list(self._open)
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self.hang_up()
        for thread in self._threads:
            thread.join()
        self._listening.close()

    def __enter__(self) -> Cutter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._carry, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _carry(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, DefaultSelector() as ready:
            with self._lock:
                if self.refusing:
                    return
                self._open |= {client, server}
            try:
                server.connect(self.target)
                ready.register(client, EVENT_READ, ("sent", server))
                ready.register(server, EVENT_READ, ("answered", client))
                spoke = False
                while True:
                    for key, _ in ready.select():
                        direction, other = key.data
                        data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                        if not data:
                            return
                        self.turns += direction == "sent" and not spoke
                        spoke = direction == "sent"
                        passed = self._passed(direction, len(data))
                        other.sendall(data[:passed])
                        if passed < len(data):
                            return
            except OSError:
                return
            finally:
                with self._lock:
                    self._open -= {client, server}

    def _passed(self, direction: str, size: int) -> int:
        with self._lock:
            limit = self._limits[direction]
            passed = size if limit is None else min(size, limit)
            setattr(self, direction, getattr(self, direction) + passed)
            if limit is not None:
                self._limits[direction] = limit - passed if passed == size else None
                self.cuts += passed < size
            return passed
