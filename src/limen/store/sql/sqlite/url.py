"""Where an SQLite database is: what a URL names."""

from __future__ import annotations

import os
import re
from pathlib import Path

from limen import exc


def path(url: str) -> Path:
    """The file that an SQLite URL names.

    Raises `StoreError` where it names none, or one in a folder that is not there.
    """
    scheme, separator, rest = str(url).partition("://")
    host, slash, name = rest.partition("/")
    if scheme not in ("sqlite", "sqlite+pysqlite") or not separator or host or "?" in name:
        meant = f" Did you mean sqlite:///{url}?" if re.fullmatch(r"[\w./-]+\.(db|sqlite3?)", str(url)) else ""
        raise exc.StoreError(
            f"SQLStore can't take {shown(url)!r}.{meant} It takes sqlite:///relative/path.db, "
            "sqlite:////absolute/path.db and postgresql://user@host/database; nothing else is supported."
        )
    if not slash or not name or name == ":memory:" or name.startswith("file:"):
        raise exc.StoreError("SQLStore keeps records in a file: sqlite:///path.db. For memory use dbm.MemDictStore().")
    file = Path(os.path.realpath(name))  # of a link the file itself: its lock and WAL are beside that
    if file.is_dir() or not file.parent.is_dir():
        raise exc.StoreError(f"{file} is a folder." if file.is_dir() else f"There is no folder {file.parent}.")
    return file


def shown(url: str) -> str:
    """*url* without what could be a password."""
    scheme, separator, rest = str(url).partition("://")
    if scheme.startswith("sqlite") and "@" not in rest and "?" not in rest:
        return str(url)
    return f"{scheme}://…" if separator and scheme.replace("+", "").isalnum() else "…"
