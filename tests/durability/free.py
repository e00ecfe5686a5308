"""Whether a store is free: another unit of work gets through at once, and no lock or transaction was left behind."""

from __future__ import annotations

import sqlite3
import threading
import time
from typing import Any

from limen.app.datastore import Storage


class Probe:
    """A model that nothing else uses."""


AT_ONCE = 10.0
"""Seconds. What hangs never comes; a busy machine may take one of them."""
HELD = (
    "SELECT pid, state, query FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
)


def works(storage: Storage) -> None:
    """A unit of work on another thread writes and reads; raises AssertionError where it does not get through."""
    failed: list[BaseException] = []

    def unit() -> None:
        try:
            with storage("is it free?") as db:
                db.insert(Probe, n=1)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=unit, daemon=True)
    thread.start()
    thread.join(AT_ONCE)
    assert not thread.is_alive(), "another unit of work waits for a lock"
    assert not failed, f"another unit of work fails: {failed[0]!r}"


def nothing_is_held(store: Any) -> None:
    """The database itself knows of no transaction."""
    url = store.url
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=0, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        finally:
            connection.close()
    elif url.startswith("postgresql"):
        import psycopg

        end = time.monotonic() + AT_ONCE  # what served a connection that was dropped ends a moment later
        with psycopg.connect(url, autocommit=True) as connection:
            while held := connection.execute(HELD).fetchall():
                assert time.monotonic() < end, f"transactions are open: {held}"
