"""One server at a time: an advisory lock that a connection of the server holds, for as long as it lives.

    pg_claim.take(rows, name)                   raises StoreError where a server has it; ends with the connection
    pg_claim.holder(rows)                       None, or who has it, in words

*rows* runs a statement and gives its rows, on any connection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from limen import exc

LOCK = 0x4C696D656E  # 'Limen'
"""The lock's number within the database."""
TAKE = f"SELECT pg_try_advisory_lock({LOCK})"
HOLDER = (
    "SELECT a.pid, coalesce(host(a.client_addr), 'this machine'), to_char(a.backend_start, 'YYYY-MM-DD HH24:MI') "  # noqa: S608
    "FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.granted "
    f"AND l.classid = {LOCK >> 32} AND l.objid = {LOCK & 0xFFFFFFFF} AND l.objsubid = 1 "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
Rows = Callable[[str], Sequence[Sequence[Any]]]


class Claim:
    """The claim of a server, given back by *release* when the `with` block ends."""

    def __init__(self, release: Callable[[], None]) -> None:
        self.release = release

    def __enter__(self) -> None:
        return None

    def __exit__(self, *error: object) -> None:
        self.release()


def holder(rows: Rows) -> str | None:
    """Who serves from the database: None, or from where and since when it is connected."""
    found = rows(HOLDER)
    if not found:
        return None
    pid, host, since = found[0]
    return f"connected from {host} since {since}, process {pid} of PostgreSQL" if pid else "connected by another role"


def take(rows: Rows, name: object) -> None:
    """Takes the lock, at once. Raises `StoreError` where another connection has it."""
    if not rows(TAKE)[0][0]:
        raise exc.StoreError(
            f"{name} is in use by another Limen ({holder(rows) or 'which ended just now'}); one server per database. "
            "Stop that one first, or use another database."
        )
