"""What a unit of work costs on SQLite as it must be (WAL, synchronous=FULL): beside the bare driver writing the same
rows into the same tables, SQLAlchemy Core on aiosqlite, and Django with django-simple-history."""

from __future__ import annotations

import shutil
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from .contestant import Contestant, contestant
from .environment import peers
from .measure import Report, Turn, alternate
from .processes import SCRATCH

ROUNDS = 11
Task = tuple[str, int]


def _turns(task: Task, **programs: Contestant) -> dict[str, Turn]:
    name, count = task
    return {program.replace("_", " "): them.turn(f"{name} {count}") for program, them in programs.items()}


async def run(report: Report) -> None:
    SCRATCH.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=SCRATCH))
    others = peers("storage")
    try:
        async with AsyncExitStack() as stack:
            limen = await stack.enter_async_context(
                contestant(sys.executable, "store_limen.py", _file(folder, "limen"))
            )
            bare = await stack.enter_async_context(contestant(sys.executable, "store_bare.py", _file(folder, "bare")))
            django = await stack.enter_async_context(contestant(others, "store_django.py", folder))
            aio = await stack.enter_async_context(contestant(others, "store_aiosqlite.py", folder))

            report.topic("Storage: a unit of work that inserts one record, SQLite, WAL, synchronous=FULL")
            cost = report.figures(
                await alternate(ROUNDS, _turns(("insert", 200), limen=limen, sqlite3=bare, Django=django))
            )
            single = cost["sqlite3"]
            report.target("limen / sqlite3, the same rows", cost["limen"] / single, 2.0)
            report.target("limen / Django + simple-history", cost["limen"] / cost["Django"], 0.25)

            report.topic("Storage: one unit of work that inserts 100 records")
            cost = report.figures(await alternate(ROUNDS, _turns(("hundred", 10), limen=limen, sqlite3=bare)))
            report.target("limen / sqlite3, the same rows", cost["limen"] / cost["sqlite3"], 1.8)

            report.topic("Storage: a unit of work that fetches one record by its key")
            cost = report.figures(await alternate(ROUNDS, _turns(("fetch", 1000), limen=limen, sqlite3=bare)))
            report.target("limen / sqlite3", cost["limen"] / cost["sqlite3"], 3.0)

            report.topic("Storage: 16 writers at once, a record each")
            turns = {
                "limen, 16 tasks": limen.turn("writers 800"),
                "limen, 16 threads": limen.turn("threads 800"),
                "sqlite3, one by one": bare.turn("insert 200"),
                "Core + aiosqlite, one by one": aio.turn("insert 200"),
            }
            cost = report.figures(await alternate(ROUNDS, turns))
            report.target("tasks / sqlite3", cost["limen, 16 tasks"] / cost["sqlite3, one by one"], 0.6)
            report.target("threads / sqlite3", cost["limen, 16 threads"] / cost["sqlite3, one by one"], 0.6)
            report.target(
                "tasks / Core + aiosqlite", cost["limen, 16 tasks"] / cost["Core + aiosqlite, one by one"], 0.2
            )

            report.topic("Storage: an async unit of work, one after the other")
            turns = {
                "sqlite3, insert": bare.turn("insert 200"),
                "limen, insert": limen.turn("insert_async 200"),
                "Core + aiosqlite, insert": aio.turn("insert 200"),
                "limen, fetch": limen.turn("fetch_async 200"),
                "Core + aiosqlite, fetch": aio.turn("fetch 200"),
            }
            cost = report.figures(await alternate(ROUNDS, turns))
            report.target(
                "insert: limen / Core + aiosqlite", cost["limen, insert"] / cost["Core + aiosqlite, insert"], 0.2
            )
            report.note(
                "insert: sqlite3 / Core + aiosqlite", cost["sqlite3, insert"] / cost["Core + aiosqlite, insert"]
            )
            report.note("fetch: limen / Core + aiosqlite", cost["limen, fetch"] / cost["Core + aiosqlite, fetch"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _file(folder: Path, name: str) -> str:
    return f"sqlite:///{folder}/{name}.db"
