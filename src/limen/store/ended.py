"""Whose sessions ended lately, in each domain, for the other servers of the database: one row `limen.ended`, without
history."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from limen.core.record.port import Change, RecordStore

from .rows import Edit, alive, key, put

ENDED = "limen.ended"
LATELY = 64
"""So many ends of users' sessions are remembered by name."""


class _Ended(msgspec.Struct):
    number: int
    """How often sessions of a user were ended in this domain."""
    users: list[str]
    """Whose, the last of them at the end."""


_ended = msgspec.json.Decoder(_Ended).decode
_encode = msgspec.json.Encoder().encode


def telling(edit: Edit, user: str, unnamed: bool = False) -> Change:
    """Tells other servers of the database that sessions of this user end, to be committed with *edit*. *unnamed*: that
    somebody's do, so that they look at all."""
    before = edit.read(ENDED, key(edit.domain))
    told = _Ended(0, []) if before is None else _ended(before.fields)
    row = _Ended(told.number + 1, [] if unnamed else [*told.users, user][-LATELY:])
    return put(ENDED, key(edit.domain), before, _encode(row).decode(), keep=0)


def ended_since(records: RecordStore, domain: str, since: int | None) -> tuple[int, Collection[str] | None]:
    """See `limen.core.guard.accounts.AccountStore.ended`."""
    version = alive(records.read(domain, ENDED, key(domain))[1])
    told = _Ended(0, []) if version is None else _ended(version.fields)
    if since is None or not 0 <= told.number - since <= len(told.users):
        return told.number, None
    return told.number, told.users[len(told.users) - (told.number - since) :]
