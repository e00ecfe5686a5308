"""A unit of work that inserts one record, on SQLite as it must be (WAL, synchronous=FULL), beside SQLAlchemy Core doing
the same statements by hand."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import create_engine, event, insert

from limen import DataStore, dbm
from limen.store import sqltables as sql

from .measure import MICROSECONDS, Report, Turn, alternate
from .processes import SCRATCH

INSERTS, ROUNDS = 200, 11


class Todo:
    """A model without hooks."""


def ours(folder: Path) -> Turn:
    storage = DataStore(dbm.SQLStore(f"sqlite:///{folder}/limen.db"))

    async def turn() -> float:
        before = time.process_time()
        for number in range(INSERTS):
            with storage("benchmark") as db:
                db.insert(Todo, text="buy milk", done=False, number=number)
        return (time.process_time() - before) / INSERTS * MICROSECONDS

    return turn


def core(folder: Path) -> Turn:
    """The same rows into the same tables, with SQLAlchemy Core as its pages show it."""
    dbm.SQLStore(f"sqlite:///{folder}/core.db").close()  # makes the tables
    engine = create_engine(f"sqlite:///{folder}/core.db")

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver must leave BEGIN to us, SQLAlchemy's pages say
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begun(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    with engine.begin() as connection:
        domain = connection.execute(insert(sql.domain), {"name": "localhost"}).lastrowid
        model = connection.execute(insert(sql.model), {"name": "Todo"}).lastrowid
    add_transaction, add_version, add_newest = insert(sql.transaction), insert(sql.version), insert(sql.newest)

    async def turn() -> float:
        before = time.process_time()
        for number in range(INSERTS):
            uuid = uuid4().bytes
            fields = json.dumps({"text": "buy milk", "done": False, "number": number})
            about = {"domain": domain, "user": None, "impersonator": None, "service": "", "origin": ""}
            with engine.begin() as connection:
                why = {**about, "reason": "benchmark", "time": time.time()}
                txn = connection.execute(add_transaction, why).lastrowid
                key = {"domain": domain, "model": model, "uuid": uuid, "vsn": 1, "deleted": 0}
                version = connection.execute(add_version, {**key, "txn": txn, "fields": fields}).lastrowid
                connection.execute(add_newest, {**key, "version": version})
        return (time.process_time() - before) / INSERTS * MICROSECONDS

    return turn


async def run(report: Report) -> None:
    report.topic("Storage: a unit of work that inserts a record, SQLite, WAL, synchronous=FULL; time of this process")
    SCRATCH.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=SCRATCH))
    try:
        cost = report.figures(await alternate(ROUNDS, {"storage()": ours(folder), "SQLAlchemy Core": core(folder)}))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report.target("storage() / SQLAlchemy Core", cost["storage()"] / cost["SQLAlchemy Core"], 1.3)
