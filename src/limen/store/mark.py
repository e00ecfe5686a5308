"""The mark: how far a database had come, kept outside it, so that one put back from a backup is recognised.

Beside the key file (where that folder can't be written: beside the database) lies `todo.db.mark`: the id of the
database, its epoch and how far its numbers had risen. A database that is behind its mark, or another one than the mark
is of, has forgotten that sessions ended and users were removed: it begins a new epoch, and all sessions of before are
over. A snapshot of both together goes unnoticed.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from limen.core.guard.accounts import MetaStore

from .files import replace_private
from .keyfile import keys_path

EPOCH = "epoch"
MARKED = "marked"


class Mark:
    """The mark of an open database: `epoch` holds for this run; call `write` at a clean stop and every few seconds.

    *others*: further databases of the same program, which must not be behind either (accounts and sessions may be kept
    in stores of their own). *marked*: the setting that says that there is a mark, so that its loss is noticed.
    """

    def __init__(
        self, meta: MetaStore, path: Path | None, others: Iterable[MetaStore] = (), marked: str = MARKED
    ) -> None:
        self._meta, self._path, self._others = meta, path, tuple(others)
        self._written: dict[str, object] | None = None
        self._marked = marked
        while not self._begin():
            """Another server of the same database has begun an epoch meanwhile: that one is looked at."""
        if path is not None:
            self.write()
            if meta.get(marked) is None:
                meta.set(marked, "1")
                self.write()  # as far as the database has come with that

    def _begin(self) -> bool:
        known = self._meta.get(EPOCH)
        epoch = int(known or 1)
        if self._path is not None:
            mark = _read(self._path)
            if mark is None:
                behind = (
                    self._meta.get(self._marked) is not None
                )  # it had a mark, and that is lost: nothing can be told
            else:
                behind = self._is_behind(mark, epoch)
                epoch = max(epoch, mark["epoch"]) if behind else epoch
            epoch += behind
        self.epoch = epoch
        """Slots of another epoch are over."""
        return known == str(epoch) or self._meta.swap(EPOCH, known, str(epoch))

    def _is_behind(self, mark: dict[str, Any], epoch: int) -> bool:
        """Whether a database has forgotten what the mark knows."""
        if mark["database"] != self._meta.database_id:
            return True
        others = {other.database_id: other.progress() for other in self._others}
        return (
            mark["epoch"] > epoch
            or mark["txn"] > self._meta.progress()
            or any(others.get(name, -1) < txn for name, txn in mark.get("others", {}).items())
        )

    def write(self) -> None:
        """Brings the mark up to date; does nothing where it is. Takes up an epoch that another server of the database
        has begun. Raises `StoreError` where the mark can't be written."""
        if self._path is None:
            return
        self.epoch = max(self.epoch, int(self._meta.get(EPOCH) or 1))
        mark: dict[str, object] = {
            "limen": 1,
            "database": self._meta.database_id,
            "epoch": self.epoch,
            "txn": self._meta.progress(),
        }
        if self._others:
            mark["others"] = {other.database_id: other.progress() for other in self._others}
        if mark != self._written or not self._path.exists():
            replace_private(self._path, json.dumps(mark) + "\n")
            self._written = mark


def open_mark(
    meta: MetaStore, database: Path | None, keys: str = "", others: Iterable[MetaStore] = (), *, shared: bool = False
) -> Mark:
    """Compares the database with its mark, begins a new epoch where they disagree, and writes the mark anew.

    *database*, *keys*: as for `limen.store.keyfile.open_keys`; *others*: as for `Mark`. *shared*: servers on
    several machines use the database, each of which has a mark of its own. A store in memory has epoch 1 and no mark.
    """
    path = keys_path(database, keys) if database is not None else None
    if path is not None and database is not None:
        folder = path.parent if os.access(path.parent, os.W_OK) else database.parent
        path = folder / (database.name + ".mark")  # named after the database: several may share one key file
    return Mark(meta, path, others, f"{MARKED} {socket.gethostname()}" if shared else MARKED)


def _read(path: Path) -> dict[str, Any] | None:
    """What the mark says; None where there is none or it can't be understood."""
    try:
        mark = json.loads(path.read_text("utf-8"))
        numbers = mark["epoch"] + mark["txn"] + sum(mark.get("others", {}).values())
        return mark if isinstance(mark["database"], str) and numbers >= 0 else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
