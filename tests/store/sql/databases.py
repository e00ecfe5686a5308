"""Files, URLs and rows, as the tests of backups and restores need them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from old_database import ask

from limen.core.record.port import Transaction


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def rows(path: Path) -> dict[str, list[Any]]:
    """All that is kept in a file, but the sessions and the settings."""
    own = "SELECT id FROM model WHERE name IN ('limen.slot', 'limen.slots', 'limen.setting')"
    return {
        "domain": ask(path, "SELECT id, name, txn, time FROM domain WHERE name <> '' ORDER BY id"),
        "transaction": ask(path, 'SELECT * FROM "transaction" ORDER BY domain, number'),
        "record": ask(path, f"SELECT * FROM record WHERE model NOT IN ({own}) ORDER BY domain, model, uuid"),
        "version": ask(path, f"SELECT * FROM version WHERE model NOT IN ({own}) ORDER BY domain, model, uuid, vsn"),
    }


def by(domain: str) -> Transaction:
    return Transaction(domain, "ada", None, "test", "", "", 1.0)
