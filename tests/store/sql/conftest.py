"""PostgreSQL databases that have Limen's tables already."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from postgres import Databases

from limen.store.sql.postgres.engine import Postgres


@pytest.fixture(scope="session")
def postgresql_template(postgresql: Databases) -> str:
    """A database with the tables in it, to which nobody is connected."""
    url = postgresql.make()
    Postgres(url).close()
    return url


@pytest.fixture
def tables_url(postgresql: Databases, postgresql_template: str) -> Iterator[str]:
    """A database of the test's own, with the tables in it."""
    url = postgresql.make(postgresql_template)
    yield url
    postgresql.drop(url)
