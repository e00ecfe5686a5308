"""kill -9 under load: what was acknowledged is there, whole, each time. `make soak` does it hundreds of times."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ledger import look_at
from load import Load, fresh_database

HERE = Path(__file__).parent


def kill_under_load(
    url: str, kills: int, chance: random.Random, *options: str, alive: float = 0.15
) -> tuple[int, set[int]]:
    """Starts the writer, kills it and all its processes *alive* seconds after its first commit at most, looks what is
    there; again and again. Gives the number of kills and the commits. *options*: the writer's."""
    acknowledged: set[int] = set()
    for _ in range(kills):
        new = _killed_once(url, chance.uniform(0, alive), options)
        assert not acknowledged & new, "a number was given twice: the store forgot it"
        acknowledged |= new
        found = look_at(url)
        assert acknowledged <= found, f"acknowledged and gone: {sorted(acknowledged - found)[:5]}"
        acknowledged |= found
    return kills, acknowledged


def _killed_once(url: str, alive: float, options: tuple[str, ...]) -> set[int]:
    command = [sys.executable, str(HERE / "writer.py"), url, *options]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    assert writer.stdout is not None
    try:
        first = writer.stdout.readline()
        assert first, "the writer has ended before its first commit"
        time.sleep(alive)
    finally:
        os.killpg(writer.pid, signal.SIGKILL)
        writer.wait()
    lines = (first + writer.stdout.read()).split(b"\n")
    writer.stdout.close()
    return {int(line) for line in lines[:-1]}  # what comes after the last line's end was cut


@pytest.mark.parametrize("options", [("--lanes", "3"), ("--lanes", "2", "--tasks"), ("--processes", "2")])
def test_kills_lose_nothing_on_sqlite(options: tuple[str, ...], tmp_path: Path) -> None:
    _, commits = kill_under_load(f"sqlite:///{tmp_path}/store.db", 2, random.Random(1), *options)
    assert len(commits) > 10


def test_kills_of_the_writer_lose_nothing_on_postgresql(postgresql_url: str) -> None:
    _, commits = kill_under_load(postgresql_url, 3, random.Random(2), "--lanes", "2")
    assert len(commits) > 5


def test_a_server_that_crashes_under_load_loses_nothing(postgresql_server: Any) -> None:
    """The whole server goes by an immediate stop; the writer's next step fails in words, and it goes on when the server
    is back."""
    url = fresh_database(postgresql_server)
    load = Load(url)
    for _ in range(2):
        load.go_on(0.3)
        postgresql_server.crash()
        postgresql_server.start()
    load.go_on(0.2)
    load.end()
    assert load.refused
    load.check()


def test_a_backend_that_is_killed_loses_nothing(postgresql_server: Any) -> None:
    """One process of the server is killed by SIGKILL, upon which the server ends all others and recovers."""
    import psycopg

    url = fresh_database(postgresql_server)
    load = Load(url)
    load.go_on(0.3)
    with psycopg.connect(postgresql_server.url("limen"), autocommit=True) as connection:
        pids = connection.execute("SELECT pid FROM pg_stat_activity WHERE usename = 'limen_test'").fetchall()
    os.kill(pids[0][0], signal.SIGKILL)
    load.go_on(1.0)
    load.end()
    load.check()
