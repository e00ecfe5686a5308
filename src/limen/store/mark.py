"""The mark: how far a database had come, kept outside it, so that one put back from a backup is recognised.

Beside the key file (where that folder can't be written: beside the database) lies `todo.db.mark`: the id of the
database, its epoch and how far its numbers had risen. A database that is behind its mark, or another one than the mark
is of, has forgotten that sessions ended and users were removed: it begins a new epoch, and all sessions of before are
over. A snapshot of both together goes unnoticed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from limen.core.guard.accounts import MetaStore

from .files import replace_private
from .keyfile import keys_path

EPOCH = "epoch"
MARKED = "marked"


class Mark:
    """The mark of an open database: `epoch` holds for this run; call `write` at a clean stop and every few seconds."""

    def __init__(self, meta: MetaStore, path: Path | None) -> None:
        self._meta, self._path = meta, path
        self._written: dict[str, object] | None = None
        epoch = int(meta.get(EPOCH) or 1)
        if path is not None:
            mark = _read(path)
            if mark is None:
                behind = meta.get(MARKED) is not None  # it had a mark, and that is lost: nothing can be told
                older = epoch
            else:
                older = mark["epoch"]
                behind = mark["database"] != meta.database_id or mark["txn"] > meta.highest_txn() or older > epoch
            if behind:
                epoch = max(epoch, older) + 1
        self.epoch = epoch
        """Slots of another epoch are over."""
        if meta.get(EPOCH) != str(epoch):
            meta.set(EPOCH, str(epoch))
        if path is not None:
            self.write()
            if meta.get(MARKED) is None:
                meta.set(MARKED, "1")

    def write(self) -> None:
        """Brings the mark up to date; does nothing where it is. Raises `StoreError` where it can't be written."""
        if self._path is None:
            return
        mark: dict[str, object] = {
            "limen": 1,
            "database": self._meta.database_id,
            "epoch": self.epoch,
            "txn": self._meta.highest_txn(),
        }
        if mark != self._written or not self._path.exists():
            replace_private(self._path, json.dumps(mark) + "\n")
            self._written = mark


def open_mark(meta: MetaStore, database: Path | None, keys: str = "") -> Mark:
    """Compares the database with its mark, begins a new epoch where they disagree, and writes the mark anew.

    *database*, *keys*: as for `limen.store.keyfile.open_keys`. A store in memory has epoch 1 and no mark.
    """
    path = keys_path(database, keys) if database is not None else None
    if path is not None and database is not None:
        folder = path.parent if os.access(path.parent, os.W_OK) else database.parent
        path = folder / (database.name + ".mark")  # named after the database: several may share one key file
    return Mark(meta, path)


def _read(path: Path) -> dict[str, Any] | None:
    """What the mark says; None where there is none or it can't be understood."""
    try:
        mark = json.loads(path.read_text("utf-8"))
        return mark if isinstance(mark["database"], str) and mark["epoch"] + mark["txn"] >= 0 else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
