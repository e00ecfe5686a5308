"""What `limen db` does with a database as a whole: a module for each command, all on `database.py`; `migrations/` is
Alembic's. Whether a database may be opened at all stands in `limen.store.sql.schema`."""
