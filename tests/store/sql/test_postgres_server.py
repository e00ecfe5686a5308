"""The server that the other tests of PostgreSQL stand on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from postgres import Databases, Server

from limen.core.record.expression import field
from limen.core.record.port import PUT, Change, Index, Transaction
from limen.core.record.query import Query
from limen.store.sql import SQLStore

TESTS = Path(__file__).parents[2]


def ask(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(statement.encode()).fetchall()


def test_each_test_has_an_empty_database_of_an_ordinary_role(postgresql: Databases, postgresql_url: str) -> None:
    other = postgresql.make()
    with psycopg.connect(postgresql_url) as connection:
        connection.execute("CREATE TABLE mine (id int)")
    assert ask(other, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]
    assert ask(other, "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user") == [(False,)]
    assert ask(postgresql.make(postgresql_url), "SELECT count(*) FROM mine") == [(0,)]


def test_a_server_of_the_test_s_own_syncs_commits_to_the_disk(postgresql_server: Server) -> None:
    url = postgresql_server.url("postgres")
    assert ask(url, "SHOW fsync") == ask(url, "SHOW synchronous_commit") == [("on",)]


@pytest.mark.parametrize("how", ["stop", "crash"])
def test_a_server_that_ended_and_started_again_has_what_was_committed(postgresql_server: Server, how: str) -> None:
    with psycopg.connect(postgresql_server.url("postgres")) as connection:
        connection.execute("CREATE TABLE kept (id int)")
    postgresql_server.stop(how)
    with pytest.raises(psycopg.OperationalError):
        ask(postgresql_server.url("postgres"), "SELECT 1")
    postgresql_server.start()
    assert ask(postgresql_server.url("postgres"), "SELECT count(*) FROM kept") == [(0,)]


def test_the_server_ends_and_its_folder_goes_when_the_tests_are_killed() -> None:
    program = "import postgres; s = postgres.Server(); print(s._guardian.pid, s.folder, flush=True); input()"
    killed = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=TESTS,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert killed.stdout is not None
    assert killed.stderr is not None
    _, folder = killed.stdout.readline().split()
    assert Path(folder, "data", "postmaster.pid").exists()
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    killed.stderr.read()  # its end: the guardian, who has it too, is gone
    assert not Path(folder).exists()
    killed.communicate()


def test_a_role_that_may_connect_and_make_tables_is_enough(postgresql: Databases) -> None:
    """It need not own the database: docs/how-to/production.md says which rights it needs."""
    url = postgresql.make()
    name = urlsplit(url).path.lstrip("/")
    with psycopg.connect(postgresql.url(name, admin=True), autocommit=True) as admin:
        if postgresql.role:
            for statement in (
                f'ALTER DATABASE "{name}" OWNER TO CURRENT_USER',
                f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC',
                "REVOKE ALL ON SCHEMA public FROM PUBLIC",
                f'GRANT CONNECT ON DATABASE "{name}" TO {postgresql.role}',
                f"GRANT USAGE, CREATE ON SCHEMA public TO {postgresql.role}",
            ):
                admin.execute(statement.encode())
    store = SQLStore(url)
    index = Index((("a", "int"),))
    who = Transaction("localhost", None, None, "", "", "", 1.0)
    with store.claim():
        store.records.commit(who, [Change("T", bytes(16), 0, '{"a":1}', PUT, index, {"a": 1})])
        assert store.records.indexes.settle()
        answer = store.records.select("localhost", Query("T", index, field("a") == 1))
        assert (len(answer.versions), answer.complete) == (1, False)
    store.close()
    postgresql.drop(url)
