"""What Alembic runs: the migrations, on the connection and in the transaction of `upgrade` (there is no ini file)."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], **context.config.attributes["options"])
context.run_migrations()
