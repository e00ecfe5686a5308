"""`SQLStore`: records in an SQLite file, or in PostgreSQL.

store = SQLStore("sqlite:///todo.db")           # relative; sqlite:////var/lib/app/todo.db is absolute
store = SQLStore("postgresql://todo@db.example/todo")

    SQLStore ─ records.py, commit.py ─ engine.py ┬ sqlite.py      on statements.py, which compose.py
               indexes.py, query.py              └ postgres.py    makes of tables.py
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from limen import exc

from .engine import Engine
from .pg_url import SCHEMES
from .records import SQLRecords


class SQLStore:
    """A store that outlives the process. See `limen.store.port.Store`.

    *url*: `sqlite:///relative/path` or `sqlite:////absolute/path`, where a file that is not there is made (0600), for
    one server and as many threads as it has; or `postgresql://user@host/database`, where tables that are not there are
    made, for many servers. Raises `StoreError`, in words, for any other URL, for what is no database of ours, and for
    one that an older or newer Limen has written.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = _engine(url)
        self.records = SQLRecords(self._engine)

    def claim(self) -> AbstractContextManager[None]:
        """See `limen.store.port.Store.claim`."""
        return self._engine.claim()

    def close(self) -> None:
        """See `limen.store.port.Store.close`."""
        self.records.close()
        self._engine.close()

    def __repr__(self) -> str:
        return f"SQLStore({self._engine.name!r})"


def _engine(url: str) -> Engine:
    if str(url).partition("://")[0] in SCHEMES:
        from .postgres import Postgres

        return Postgres(url)
    from .sqlite import SQLite

    return SQLite(path(url), url)


def path(url: str) -> Path:
    """The file that an SQLite URL names.

    Raises `StoreError` where it names none, or one in a folder that is not there.
    """
    scheme, separator, rest = str(url).partition("://")
    host, slash, name = rest.partition("/")
    if scheme not in ("sqlite", "sqlite+pysqlite") or not separator or host or "?" in name:
        raise exc.StoreError(
            f"SQLStore can't take {_shown(url)!r}. It takes sqlite:///relative/path.db, sqlite:////absolute/path.db "
            "and postgresql://user@host/database; nothing else is supported."
        )
    if not slash or not name or name == ":memory:" or name.startswith("file:"):
        raise exc.StoreError("SQLStore keeps records in a file: sqlite:///path.db. For memory use dbm.MemDictStore().")
    file = Path(name).absolute()
    if file.is_dir() or not file.parent.is_dir():
        raise exc.StoreError(f"{file} is a folder." if file.is_dir() else f"There is no folder {file.parent}.")
    return file


def _shown(url: str) -> str:
    """*url* without what could be a password."""
    scheme, separator, rest = str(url).partition("://")
    if scheme.startswith("sqlite") and "@" not in rest and "?" not in rest:
        return str(url)
    return f"{scheme}://…" if separator and scheme.replace("+", "").isalnum() else "…"
