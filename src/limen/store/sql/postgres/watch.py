"""A connection of its own that a thread watches: for what one waits for (notifications) and what one holds (a lock)."""

from __future__ import annotations

import logging
import select
import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

from .connection import Connection, Failed, Lost

QUIET = 30.0
"""Seconds after which a silent connection is asked whether it still is one."""
PAUSES = (0.05, 0.2, 1.0, 5.0)
"""Seconds between the attempts to connect again; the last for as long as it takes."""
_log = logging.getLogger("limen.store")


class Watch:
    """Keeps a connection open until `close`.

    *begin* is called with it, and again with each one that takes the place of a lost one; what it raises the first time
    is the caller's, later it ends the watch and goes to *ended*. *heard* is called for notifications, from the watching
    thread, and once after each new connection: nothing that happened meanwhile is missed.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        begin: Callable[[Connection], None],
        heard: Callable[[], None],
        ended: Callable[[Exception], None],
    ) -> None:
        self._connect, self._begin, self._heard, self._ended = connect, begin, heard, ended
        self._connection = self._made()
        self._here, self._there = socket.socketpair()
        self._thread = Thread(target=self._run, name="limen-postgresql-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Closes the connection. May be called from the watching thread."""
        self._there.close()
        if self._thread.is_alive():
            try:
                self._thread.join()
            except RuntimeError:  # it is the watching thread; it ends by itself
                return

    def _made(self) -> Connection:
        connection = self._connect()
        try:
            self._begin(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _run(self) -> None:
        try:
            while self._watch():
                self._connection.close()
                if not self._again():
                    return
                self._heard()
            with suppress(Lost, Failed):  # at once, not when the server notices that we are gone
                self._connection.rows("SELECT pg_advisory_unlock_all()")
        except Exception as error:
            self._ended(error)
        finally:
            self._connection.close()
            self._here.close()

    def _watch(self) -> bool:
        """Until the connection is lost (True), or the watch is to end."""
        ready = select.poll()
        ready.register(self._here, select.POLLIN)
        ready.register(self._connection.socket, select.POLLIN)
        try:
            while True:
                found = ready.poll(QUIET * 1000)
                if any(handle == self._here.fileno() for handle, _ in found):
                    return False
                if not found and not self._connection.alive(asking=True):
                    return True
                if self._connection.notified():
                    self._heard()
        except Lost:
            return True

    def _again(self) -> bool:
        """A new connection, however long it takes; False where the watch is to end."""
        attempt = 0
        while True:
            try:
                self._connection = self._made()
                return True
            except (Lost, Failed) as error:
                if attempt == 0:
                    _log.warning("The connection that listens to PostgreSQL was lost; trying again: %s", error)
                ready = select.poll()
                ready.register(self._here, select.POLLIN)
                if ready.poll(PAUSES[min(attempt, len(PAUSES) - 1)] * 1000):
                    return False
                attempt += 1
