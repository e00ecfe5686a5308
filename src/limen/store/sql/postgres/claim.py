"""Servers share a database; what changes it as a whole (migrate, restore) has it alone.

Both hold an advisory lock, each on a connection that does nothing else, for as long as that lives:

    pg_claim.share(rows, name)                  a server's; raises StoreError while someone has the database alone
    pg_claim.take(rows, name)                   alone; raises StoreError while a server runs
    pg_claim.holder(rows)                       None, or who has it, in words

*rows* runs a statement and gives its rows, on any connection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from limen import exc

LOCK = 0x4C696D656E  # 'Limen'
"""The lock's number within the database."""
SHARE = f"SELECT pg_try_advisory_lock_shared({LOCK})"
TAKE = f"SELECT pg_try_advisory_lock({LOCK})"
HOLDER = (
    "SELECT a.pid, coalesce(host(a.client_addr), 'this machine'), to_char(a.backend_start, 'YYYY-MM-DD HH24:MI') "  # noqa: S608
    "FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.granted "
    f"AND l.classid = {LOCK >> 32} AND l.objid = {LOCK & 0xFFFFFFFF} AND l.objsubid = 1 "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "ORDER BY a.backend_start"
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
    """Who has the database claimed: None, or from where and since when it is connected, and how many more there are."""
    found = rows(HOLDER)
    if not found:
        return None
    pid, host, since = found[0]
    who = f"connected from {host} since {since}, process {pid} of PostgreSQL" if pid else "connected by another role"
    return who + (f", and {len(found) - 1} more" if len(found) > 1 else "")


def share(rows: Rows, name: object) -> None:
    """Takes a server's lock, at once. Raises `StoreError` while the database is being migrated or restored."""
    if not rows(SHARE)[0][0]:
        raise exc.StoreError(
            f"{name} is being migrated or restored ({holder(rows) or 'which ended just now'}). Start again afterwards."
        )


def take(rows: Rows, name: object) -> None:
    """Takes the lock of whoever must be alone, at once. Raises `StoreError` while a server, or another such, has it."""
    if not rows(TAKE)[0][0]:
        raise exc.StoreError(
            f"{name} is in use by another Limen ({holder(rows) or 'which ended just now'}). Stop that one first."
        )
