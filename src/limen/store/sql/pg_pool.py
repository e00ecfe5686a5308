"""Connections to one database, made as they are needed, used again, and never handed out dead."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock, Semaphore
from time import monotonic

from limen import exc

from .pg_connection import Connection

LONG = 60.0
"""Seconds after which an idle connection is asked whether it still is one: networks forget silently."""


class Pool:
    """At most *at_most* connections, each for one thread at a time, the one that was used last first.

    *connect* makes one. *patience*: seconds that `take` waits where all are in use.
    """

    def __init__(self, connect: Callable[[], Connection], name: str, at_most: int, patience: float) -> None:
        self._connect, self._name, self._at_most, self._patience = connect, name, at_most, patience
        self._free = Semaphore(at_most)
        self._lock = Lock()
        self._idle: list[Connection] = []
        self._closed = False

    def take(self) -> Connection:
        """A connection that was alive just now; to be given back, or dropped.

        Raises `Lost` or `Failed` where none can be made, `StoreError` where all stay in use.
        """
        if not self._free.acquire(timeout=self._patience):
            raise exc.StoreError(
                f"All {self._at_most} connections to {self._name} were in use for {self._patience:g} s. Look for "
                f"statements that take long (pg_stat_activity), or allow more with ?pool_size={2 * self._at_most} in "
                "the URL, as far as the server's max_connections goes."
            )
        try:
            return self._idle_one() or self._new_one()
        except BaseException:
            self._free.release()
            raise

    def _idle_one(self) -> Connection | None:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if connection.alive(asking=monotonic() - connection.used > LONG):
                return connection
            connection.close()

    def _new_one(self) -> Connection:
        if self._closed:
            raise exc.StoreError(f"The store {self._name} was closed.")
        return self._connect()

    def give(self, connection: Connection) -> None:
        """Gives back a connection that is as good as before."""
        connection.used = monotonic()
        with self._lock:
            keep = not self._closed
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()
        self._free.release()

    def drop(self, connection: Connection) -> None:
        """Gives back one that is not."""
        connection.close()
        self._free.release()

    def close(self) -> None:
        """Closes what is idle now, and the rest as it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
