"""`limen db status`: what is in a database, and whether a server runs on it. Quick, however much there is."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from limen.base.sockets import socket_address
from limen.store.sql import schema
from limen.store.sql.index import catalog
from limen.store.sql.postgres import claim as pg_claim

from .database import Reading, reading, shown, sqlite_path
from .restore import epoch_of

CAP = 10_000
"""So many records of a model in a domain are counted, and no more."""
DOMAINS = 100
"""So many domains are shown, and no more."""
PATIENCE = 5.0
"""Seconds that a server has to answer."""


def status(url: str) -> Iterator[tuple[str, str]]:
    """Lines of name and value; those without a name belong to the one before.

    Raises `StoreError` where there is no database.
    """
    path = sqlite_path(url)
    with reading(url) as db:
        yield "database", shown(url)
        yield "engine", _engine(db)
        yield "schema", _schema(db.found, url)
        yield "server", _server(db, path)
        yield "size", _size(db, path)
        if db.found == schema.SCHEMA:
            yield "epoch", str(epoch_of(db))
            yield from _domains(db)
            yield from _indexes(db)


def _engine(db: Reading) -> str:
    if db.dialect == "sqlite":
        return f"SQLite {sqlite3.sqlite_version}"
    return f"PostgreSQL {db.rows('SHOW server_version')[0][0]}"


def _schema(found: int | None, url: str) -> str:
    if found is None:
        return f"none: nothing is in it yet; say: limen db init --db {shown(url)}"
    if found > schema.SCHEMA:
        return f"{found}, of a newer Limen (this one knows {schema.SCHEMA}): update this program"
    if found < schema.SCHEMA:
        return f"{found}, of an older Limen; say: limen db migrate --db {shown(url)}"
    return str(found)


def _server(db: Reading, path: Path | None) -> str:
    if path is None:
        holder = pg_claim.holder(db.rows)
        return f"runs, {holder}" if holder else "none runs"
    # Its socket is asked, not its lock: whoever tries a lock holds it for a moment, and a server that starts meanwhile
    # would find it taken.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(PATIENCE)
        try:
            with socket_address(path.with_name(f"{path.name}.sock")) as address:
                connection.connect(address)
        except OSError:
            return "none runs"
    try:
        return f"runs, process {path.with_name(f'{path.name}.lock').read_text('ascii').strip()}"
    except (OSError, UnicodeDecodeError):
        return "runs"


def _size(db: Reading, path: Path | None) -> str:
    if path is None:
        size = db.rows("SELECT pg_database_size(current_database())")[0][0]
    else:
        size = sum(_length(path.with_name(path.name + rest)) for rest in ("", "-wal"))
    return f"{size / 1e6:.1f} MB"


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _domains(db: Reading) -> Iterator[tuple[str, str]]:
    domains = db.rows("SELECT id, name, txn FROM domain WHERE name <> '' ORDER BY name")
    models = db.rows("SELECT id, name FROM model ORDER BY name")
    yield "domains", str(len(domains))
    for number, name, txn in domains[:DOMAINS]:
        counts = []
        for model, called in models:
            if count := _count(db, number, model):
                counts.append(f"{called} {count}")
        yield "", f"{name}: {txn} transaction(s); {', '.join(counts) or 'no records'}"
    if len(domains) > DOMAINS:
        yield "", f"… and {len(domains) - DOMAINS} more"


def _indexes(db: Reading) -> Iterator[tuple[str, str]]:
    lines = []
    for name, text in db.rows("SELECT name, catalog FROM model WHERE catalog IS NOT NULL ORDER BY name"):
        for kept in catalog.read(text).tables:
            state = f"{kept.state}, {kept.done} of {kept.total}" if kept.state == "building" else kept.state
            lines.append(f"{name}: {', '.join(field for field, _ in kept.columns)} ({state})")
    yield "indexes", str(len(lines))
    for line in lines:
        yield "", line


def _count(db: Reading, domain: int, model: int) -> str:
    """How many records there are, '' for none."""
    found = db.rows(
        f"SELECT count(*) FROM (SELECT 1 FROM record WHERE domain = {int(domain)} AND model = {int(model)} "  # noqa: S608
        f"AND deleted = 0 LIMIT {CAP + 1}) AS counted"
    )[0][0]
    return "" if not found else f"{CAP} or more" if found > CAP else str(found)
