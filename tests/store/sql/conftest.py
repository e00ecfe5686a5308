"""PostgreSQL databases that have Limen's tables already; a file with contents, and its backup."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from databases import url
from old_database import old_database
from postgres import Databases

from limen.store.sql.maintenance.backup import backup
from limen.store.sql.maintenance.migrate import migrate
from limen.store.sql.postgres.engine import Postgres


@pytest.fixture(scope="session")
def postgresql_template(postgresql: Databases) -> str:
    """A database with the tables in it, to which nobody is connected."""
    made = postgresql.make()
    Postgres(made).close()
    return made


@pytest.fixture
def tables_url(postgresql: Databases, postgresql_template: str) -> Iterator[str]:
    """A database of the test's own, with the tables in it."""
    made = postgresql.make(postgresql_template)
    yield made
    postgresql.drop(made)


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """A file with two domains, three accounts and some sixty versions."""
    migrate(old_database(tmp_path / "a.db"))
    return tmp_path / "a.db"


@pytest.fixture
def saved(db: Path) -> Path:
    """A backup of `db`."""
    backup(url(db), db.with_name("backup.db"))
    return db.with_name("backup.db")
