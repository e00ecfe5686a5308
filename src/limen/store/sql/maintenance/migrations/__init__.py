"""The schemas that a database of ours may have had, and the way from each to the next: Alembic's migrations.

`versions/schema_N.py` makes schema N of schema N - 1; a new database is made at once from the texts of `statements.py`
(a test proves that both ways lead to the same tables). To change the tables: change `tables.py`, write the next
revision here, raise `schema.SCHEMA`.

Loaded by `limen db` only.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from limen.store.sql.schema import VERSION_TABLE

Progress = Callable[[str, int, int], None]
"""Is told what is being done, how much of it is done, and how much there is."""


def upgrade(connection: Connection, found: int | None, progress: Progress, **options: Any) -> None:
    """Brings the database of *connection* from the schema *found* (None: nothing there) to the newest.

    In the transaction that is open on *connection*, which the caller commits: all of it or nothing. *options*: are
    given to the migrations.
    """
    if found == 1 and connection.dialect.name == "sqlite":  # made before there was Alembic
        for statement in (VERSION_TABLE, "INSERT INTO alembic_version (version_num) VALUES ('1')"):
            connection.exec_driver_sql(statement)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes.update(connection=connection, options={"progress": progress, **options})
    command.upgrade(config, "head")
