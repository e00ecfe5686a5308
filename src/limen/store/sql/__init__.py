"""`SQLStore`: records in an SQLite file, or in PostgreSQL.

store = SQLStore("sqlite:///todo.db")           # relative; sqlite:////var/lib/app/todo.db is absolute
store = SQLStore("postgresql://todo@db.example/todo")

    SQLStore ─ records.py, commit.py ─ engine.py ┬ sqlite/     on statements.py, which compose/
               index/                            └ postgres/   makes of tables.py

queue.py: writers that wait are committed together. schema.py: which databases may be opened. maintenance/: `limen db`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from .engine import Engine
from .postgres.url import SCHEMES
from .records import SQLRecords
from .sqlite.url import path


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
        self.shared = self._engine.shared
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
        from .postgres.engine import Postgres

        return Postgres(url)
    from .sqlite.engine import SQLite

    return SQLite(path(url), url)
