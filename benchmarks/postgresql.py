"""What a unit of work costs a client of PostgreSQL: beside psycopg and asyncpg writing the same rows into the same
tables. Processor time of the client; the server is the wheel's, or the one that LIMEN_TEST_POSTGRESQL names."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack, closing

from .contestant import contestant
from .environment import peers
from .measure import Report, alternate
from .processes import ROOT

ROUNDS = 11


async def run(report: Report) -> None:
    sys.path.insert(0, str(ROOT / "tests"))
    from postgres import Databases  # the tests' own server

    with closing(Databases()) as databases:
        url = databases.make()
        async with AsyncExitStack() as stack:
            limen = await stack.enter_async_context(contestant(sys.executable, "store_limen.py", url))
            bare = await stack.enter_async_context(contestant(sys.executable, "store_bare.py", url))
            apg = await stack.enter_async_context(contestant(peers("storage"), "store_asyncpg.py", url))
            named = {"limen": limen, "psycopg": bare, "asyncpg": apg}
            for title, task, count in (
                ("a unit of work that inserts one record", "insert", 200),
                ("a unit of work that fetches one record by its key", "fetch", 500),
            ):
                report.topic(f"PostgreSQL: {title}; time of the client")
                turns = {name: program.turn(f"{task} {count}") for name, program in named.items()}
                cost = report.figures(await alternate(ROUNDS, turns))
                report.target("limen / psycopg", cost["limen"] / cost["psycopg"], 1.5)
                report.note("limen / asyncpg", cost["limen"] / cost["asyncpg"])
