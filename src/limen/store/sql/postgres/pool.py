"""Connections to one database, made as they are needed, used again, and never handed out dead.

A KeyboardInterrupt may come anywhere in here and leaves nothing locked and nothing lost: no primitive that is written
in Python is waited on, and the place of a connection is free as soon as nobody holds that any more.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock
from time import monotonic
from weakref import ref

from limen import exc

from .connection import Connection, Place

LONG = 60.0
"""Seconds after which an idle connection is asked whether it still is one: networks forget silently."""
LOOK = 0.1
"""Seconds after which who waits looks by itself, should nobody have told that something came back."""


class Pool:
    """At most *at_most* connections, each for one thread at a time, the one that was used last first.

    *connect* makes one. *patience*: seconds that `take` waits where all are in use.
    """

    def __init__(self, connect: Callable[[], Connection], name: str, at_most: int, patience: float) -> None:
        self._connect, self._name, self._at_most, self._patience = connect, name, at_most, patience
        self._lock = Lock()
        self._idle: list[Connection] = []
        self._places: list[ref[Place]] = []
        self._back: SimpleQueue[None] = SimpleQueue()  # tells one who waits to look; what counts is what it finds
        self._closed = False

    def take(self) -> Connection:
        """A connection that was alive just now; to be given back, or dropped.

        Raises `Lost` or `Failed` where none can be made, `StoreError` where all stay in use.
        """
        connection = self._idle_one() or self._new_one()
        if connection is not None:
            return connection
        deadline = monotonic() + self._patience
        while (left := deadline - monotonic()) > 0:
            with suppress(Empty):
                self._back.get(timeout=min(left, LOOK))
            connection = self._idle_one() or self._new_one()
            if connection is not None:
                if self._idle:
                    self._tell()
                return connection
        raise exc.StoreError(
            f"All {self._at_most} connections to {self._name} were in use for {self._patience:g} s. Look for "
            f"statements that take long (pg_stat_activity), or allow more with ?pool_size={2 * self._at_most} in "
            "the URL, as far as the server's max_connections goes."
        )

    def give(self, connection: Connection) -> None:
        """Gives back a connection that is as good as before."""
        connection.used = monotonic()
        self._idle.append(connection)
        if self._closed:
            self.close()
        self._tell()

    def drop(self, connection: Connection) -> None:
        """Gives back one that is not."""
        connection.close()
        self._tell()

    def close(self) -> None:
        """Closes what is idle now, and the rest as it comes back."""
        self._closed = True
        self.renew()

    def renew(self) -> None:
        """Closes what is idle now: where one connection was lost, the others are not to be trusted."""
        while self._idle:
            with suppress(IndexError):  # another thread closes, too
                self._idle.pop().close()

    def _idle_one(self) -> Connection | None:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if connection.alive(asking=monotonic() - connection.used > LONG):
                return connection
            connection.close()

    def _new_one(self) -> Connection | None:
        """None where there are as many as there may be."""
        if self._closed:
            raise exc.StoreError(f"The store {self._name} was closed.")
        place = Place()
        with self._lock:
            self._places = [taken for taken in self._places if taken() is not None]
            if len(self._places) >= self._at_most:
                return None
            self._places.append(ref(place))
        try:
            connection = self._connect()
            connection.place = place
            return connection
        finally:
            del place  # an error's traceback would hold it

    def _tell(self) -> None:
        if self._back.empty():
            self._back.put(None)
