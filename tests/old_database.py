"""A database of an older program, as `tests/storage/fixtures` keeps it."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).parent / "storage" / "fixtures"


def old_database(path: Path, schema: int = 1) -> str:
    """Makes the SQLite file *path*, with its key file beside it, as the program of *schema* left them; its URL."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript((FIXTURES / f"schema-{schema}.sql").read_text("utf-8"))
    shutil.copy(FIXTURES / f"schema-{schema}-keys.json", path.with_name(f"{path.name}.keys"))
    path.with_name(f"{path.name}.keys").chmod(0o600)
    return f"sqlite:///{path}"


def ask(path: Path, statement: str, *parameters: Any) -> list[Any]:
    """One statement, which may write."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        return db.execute(statement, parameters).fetchall()


def dump(path: Path) -> list[str]:
    """All that is in an SQLite file, as text."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        stamps = [db.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")]
        return [*map(str, stamps), *db.iterdump()]
