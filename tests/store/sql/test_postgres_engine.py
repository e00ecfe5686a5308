"""PostgreSQL's engine: URLs, connections, tenants, claims, wakes. What becomes of cut ones is in test_postgres_cut."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from postgres import Databases, Server

from limen import exc
from limen.store.sql.engine import Hand
from limen.store.sql.postgres import claim as pg_claim
from limen.store.sql.postgres import connection as pg_connection
from limen.store.sql.postgres.engine import Postgres
from limen.store.sql.postgres.policy import setting
from limen.store.sql.postgres.url import address


@pytest.fixture
def engine(tables_url: str) -> Iterator[Postgres]:
    engine = Postgres(tables_url)
    yield engine
    engine.close()


@pytest.fixture
def other(tables_url: str) -> Iterator[Postgres]:
    """A second process, as far as the database can tell."""
    other = Postgres(tables_url)
    yield other
    other.close()


def value(engine: Postgres, expression: str, *parameters: object) -> object:
    return engine.rows(f"SELECT {expression}", parameters)[0][0]


# -- URLs
@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:secret@localhost:nonsense/todo",
        "postgresql://ada:secret@host/todo?password_=x",
        "postgresql://ada:se@cret@[host/todo",
        "mysql://ada:secret@host/todo",
        "postgresql://ada:secret@host/todo?pool_size=secret",
        "postgresql://ada:secret@host/todo?pool_size=0",
    ],
)
def test_a_url_that_can_t_be_read_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(exc.StoreError) as caught:
        address(url)
    assert "secret" not in str(caught.value) + repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_password_is_in_no_error_repr_or_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for url in (
        "postgresql://ada:secret@127.0.0.1:1/todo",
        "postgresql://ada@127.0.0.1:1/todo?password=secret&connect_timeout=1",
    ):
        assert "secret" not in f"{address(url)!r} {address(url)}"
        with pytest.raises(exc.StoreError, match="can't be reached") as caught:
            Postgres(url)
        assert "secret" not in str(caught.value)
    assert "secret" not in caplog.text


def test_without_the_driver_the_command_that_installs_it_is_said() -> None:
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from limen.store.sql.postgres.url import address\n"
        "try: address('postgresql://localhost/todo')\n"
        "except Exception as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "pip install 'limen[postgresql]'" in done.stdout


# -- opening
def test_an_empty_database_gets_its_tables_once_however_many_come(postgresql_url: str) -> None:
    opened: list[Postgres] = []
    threads = [threading.Thread(target=lambda: opened.append(Postgres(postgresql_url))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [value(engine, "count(*) FROM domain") for engine in opened] == [0, 0, 0, 0]
    for engine in opened:
        engine.close()


def test_a_database_of_another_program_is_refused_and_left_as_it_is(postgresql_url: str) -> None:
    with psycopg.connect(postgresql_url) as connection:
        connection.execute("CREATE TABLE record (song text)")
    with pytest.raises(exc.StoreError, match="another program"):
        Postgres(postgresql_url)
    with psycopg.connect(postgresql_url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (1,)


def test_a_database_that_is_not_there_is_said(postgresql: Databases) -> None:
    with pytest.raises(exc.StoreError, match='database "nowhere" does not exist'):
        Postgres(postgresql.url("nowhere"))


def test_acknowledged_means_synced_whatever_the_role_is_set_to(postgresql: Databases, tables_url: str) -> None:
    database = tables_url.split("?")[0].rpartition("/")[2]
    for given, used in (("off", "on"), ("remote_apply", "remote_apply")):
        postgresql.ask(f'ALTER DATABASE "{database}" SET synchronous_commit = {given}')
        engine = Postgres(tables_url)
        assert value(engine, "current_setting('synchronous_commit')") == used
        engine.close()


def test_who_serves_from_a_database_without_fsync_is_warned(
    postgresql_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    url = postgresql_server.url("postgres")
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("ALTER SYSTEM SET fsync = off")
    postgresql_server.stop()
    postgresql_server.start()
    engine = Postgres(url)
    assert caplog.records == []  # a command that only looks has nothing to lose
    with engine.claim():
        assert [record.message for record in caplog.records] == [
            f"{address(url)} runs with fsync=off: a power cut can take what was acknowledged."
        ]
    engine.close()


# -- values
@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("text", "grüße \U0001f600 '\"\\"),
        ("text", "x" * 3_000_000),
        ("bytea", bytes(range(256))),
        ("bigint", -(2**63)),
        ("double precision", 0.1),
        ("double precision", float("inf")),
        ("boolean", True),
        ("numeric", Decimal("1.50")),
        ("uuid", UUID(int=7)),
        ("date", date(2026, 2, 28)),
        ("time", time(1, 2, 3, 4)),
        ("timestamp", datetime(2026, 2, 28, 1, 2, 3, 4)),
        ("timestamptz", datetime(2026, 2, 28, 1, 2, 3, 4, UTC)),
        ("interval", timedelta(days=-1, microseconds=1)),
        ("bytea[]", [b'\0\\"', b""]),
        ("text[]", ['a"\\', "", "{,}"]),
        ("bigint[]", [1, -2]),
        ("text", None),
    ],
)
def test_values_come_back_as_they_were_sent(engine: Postgres, kind: str, given: object) -> None:
    assert value(engine, f"$1::{kind}", given) == given


def test_a_text_that_postgresql_can_t_hold_is_refused_in_words(engine: Postgres) -> None:
    with pytest.raises(exc.StoreError, match=r"U\+0000"):
        value(engine, "$1::text", "a\0b")
    assert value(engine, "1") == 1


def test_statements_beyond_what_a_connection_keeps_are_prepared_anew(
    engine: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pg_connection, "STATEMENTS_AT_MOST", 5)
    for _ in range(2):
        assert [value(engine, f"{number}") for number in range(12)] == list(range(12))
    assert value(engine, "count(*) FROM pg_prepared_statements") <= 5  # type: ignore[operator]


def test_a_statement_that_fails_leaves_the_connection_as_it_was(engine: Postgres) -> None:
    for bad in ("1 / 0", "nothing", "FROM FROM"):
        with pytest.raises(exc.StoreError):
            value(engine, bad)
    assert value(engine, "pg_backend_pid()") == value(engine, "pg_backend_pid()")


def test_prepared_statements_that_the_server_forgot_are_prepared_anew(engine: Postgres) -> None:
    assert value(engine, "1") == 1
    engine.rows("DEALLOCATE ALL")
    assert value(engine, "1") == 1


# -- works
def together(engine: Postgres, works: list[Callable[[Hand], Any]]) -> list[Any]:
    """Has *works* committed as one group; what each gave, or the class of its error."""
    waiting, others = threading.Event(), threading.Event()

    def first(hand: Hand) -> None:
        waiting.set()
        others.wait()

    leading = engine.submit(first)
    waiting.wait()
    futures = [engine.submit(work, "d") for work in works]
    others.set()
    leading.result(10)
    return [type(error) if (error := future.exception(10)) else future.result() for future in futures]


def keeping(number: int) -> Callable[[Hand], Any]:
    """Keeps *number*, as all but two kinds: every third one raises, and each after it tells what is refused, later."""

    def work(hand: Hand) -> int:
        hand.tell("INSERT INTO kept VALUES ($1)", (number,))
        if number % 3 == 0:
            raise LookupError(number)
        if number % 3 == 1:
            hand.tell("INSERT INTO kept VALUES ($1)", (number,))
        return number

    return work


@pytest.mark.parametrize("refused", [False, True])
def test_a_work_of_a_group_is_undone_alone(engine: Postgres, refused: bool) -> None:
    engine.write(lambda hand: hand.tell("CREATE TABLE kept (id BIGINT PRIMARY KEY)"))
    numbers = [number for number in range(9) if refused or number % 3 != 1]
    found = together(engine, [keeping(number) for number in numbers])
    assert found == [(LookupError, exc.StoreError, number)[number % 3] for number in numbers]
    assert engine.rows("SELECT id FROM kept ORDER BY id") == [(2,), (5,), (8,)]


def test_a_group_is_one_transaction(engine: Postgres) -> None:
    numbers = together(engine, [lambda hand: hand.ask(("SELECT pg_current_xact_id()::text", ()))] * 20)
    assert len({str(number) for number in numbers}) == 1


def test_an_error_that_a_work_swallows_undoes_it_all_the_same(engine: Postgres) -> None:
    def work(hand: Hand) -> None:
        hand.tell("CREATE TABLE kept (id BIGINT)")
        try:
            hand.ask(("SELECT 1 / 0", ()))
        except Exception:
            return

    with pytest.raises(exc.StoreError, match="division by zero"):
        engine.write(work)
    assert value(engine, "to_regclass('kept') IS NULL") is True


def test_a_deadlock_is_run_again(engine: Postgres, other: Postgres) -> None:
    engine.write(lambda hand: hand.tell("CREATE TABLE kept (id BIGINT PRIMARY KEY, n BIGINT)"))
    engine.write(lambda hand: hand.many("INSERT INTO kept VALUES ($1, 0)", [(1,), (2,)]))
    both = threading.Barrier(2)
    runs: list[int] = []

    def crossing(first: int, second: int) -> None:
        def work(hand: Hand) -> None:
            runs.append(first)
            hand.ask(("UPDATE kept SET n = n + 1 WHERE id = $1", (first,)))
            if len(runs) <= 2:
                both.wait()
            hand.tell("UPDATE kept SET n = n + 1 WHERE id = $1", (second,))

        (engine if first == 1 else other).write(work)

    threads = [threading.Thread(target=crossing, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert engine.rows("SELECT n FROM kept") == [(2,), (2,)]
    assert len(runs) >= 3


def test_a_future_has_what_the_work_gave_or_raised(engine: Postgres) -> None:
    assert engine.submit(lambda hand: hand.ask(("SELECT 1", ()))).result(10) == [[(1,)]]
    with pytest.raises(exc.StoreError, match="division"):
        engine.submit(lambda hand: hand.ask(("SELECT 1 / 0", ()))).result(10)


# -- the pool
def test_all_connections_in_use_is_said_with_what_to_do(tables_url: str) -> None:
    engine = Postgres(f"{tables_url}&pool_size=1&pool_timeout=0.05")
    with pytest.raises(exc.StoreError, match=r"pool_size=2") as caught:
        engine.write(lambda hand: engine.rows("SELECT 1"))
    assert "0.05 s" in str(caught.value)
    assert engine.rows("SELECT 1") == [(1,)]
    engine.close()


def test_a_closed_store_says_so(engine: Postgres) -> None:
    engine.close()
    for ask in (lambda: engine.rows("SELECT 1"), lambda: engine.write(lambda hand: None)):
        with pytest.raises(exc.StoreError, match="was closed"):
            ask()


# -- tenants
def test_a_statement_that_forgets_the_domain_sees_no_other_tenant_s_rows(engine: Postgres) -> None:
    for name in ("a.example", "b.example"):

        def add(hand: Hand, name: str = name) -> None:
            [[(number,)]] = hand.ask(("INSERT INTO domain (name, txn, time) VALUES ($1, 1, 0) RETURNING id", (name,)))
            key = (number, bytes(16))
            hand.tell("INSERT INTO record VALUES ($1, 1, $2, 1, 1, 0, '{}')", key)
            hand.tell("INSERT INTO version VALUES ($1, 1, $2, 1, 1, 0, '{}', NULL)", key)
            hand.tell("INSERT INTO transaction VALUES ($1, 1, NULL, NULL, '', '', '', 0, NULL)", (number,))

        engine.write(add, name)
    for table in ("domain", "record", "version", "transaction"):
        seen = [engine.rows(f"SELECT * FROM {table}", (), name) for name in ("a.example", "b.example", "c.example", "")]
        assert [len(rows) for rows in seen] == [1, 1, 0, 0], table
        assert seen[0] != seen[1]
        assert len(engine.rows(f"SELECT * FROM {table}")) == 2


def test_a_statement_can_t_write_another_tenant_s_rows(engine: Postgres) -> None:
    engine.write(lambda hand: hand.tell("INSERT INTO domain (name, txn, time) VALUES ('a.example', 1, 0)"), "a.example")
    with pytest.raises(exc.StoreError, match="row-level security"):
        engine.write(lambda hand: hand.tell("INSERT INTO domain (name, txn, time) VALUES ('x', 1, 0)"), "b.example")
    assert engine.write(lambda hand: hand.ask(("UPDATE domain SET txn = 9 RETURNING id", ())), "b.example") == [[]]


def test_a_connection_that_says_nothing_sees_nothing(engine: Postgres, tables_url: str) -> None:
    engine.write(lambda hand: hand.tell("INSERT INTO domain (name, txn, time) VALUES ('', 1, 0)"), "")
    assert engine.rows("SELECT name FROM domain", (), "") == [("",)]
    with psycopg.connect(tables_url) as connection:
        assert connection.execute("SELECT name FROM domain").fetchall() == []
        connection.execute("SELECT set_config('limen.domain', '', false)")
        assert connection.execute("SELECT name FROM domain").fetchall() == []
        connection.execute("SELECT set_config('limen.domain', %s, false)", (setting(""),))
        assert connection.execute("SELECT name FROM domain").fetchall() == [("",)]


def test_a_tenant_who_is_called_like_the_setting_for_all_sees_their_own_rows_only(engine: Postgres) -> None:
    engine.write(lambda hand: hand.tell("INSERT INTO domain (name, txn, time) VALUES ('a.example', 1, 0)"), "a.example")
    engine.write(lambda hand: hand.tell("INSERT INTO domain (name, txn, time) VALUES ('*', 1, 0)"), "*")
    assert engine.rows("SELECT name FROM domain", (), "*") == [("*",)]
    assert engine.write(lambda hand: hand.ask(("SELECT name FROM domain", ())), "*") == [[("*",)]]
    assert len(engine.rows("SELECT name FROM domain")) == 2


def test_a_process_that_was_forked_has_connections_of_its_own(engine: Postgres) -> None:
    """Shared ones give answers to whoever asks first."""
    pid = "SELECT pg_backend_pid()"
    [[parents]] = engine.rows(pid)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(30)
        try:
            [[own]] = engine.rows(pid)
            [[[written]]] = engine.write(lambda hand: hand.ask((pid, ())))
            engine.close()
            os.write(writer, f"{own} {written}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    own, written = map(int, os.read(reader, 100).split())
    os.close(reader)
    assert parents not in (own, written)
    assert engine.rows(pid) == [(parents,)]


def test_the_tenant_is_set_right_after_every_kind_of_failure(engine: Postgres) -> None:
    """What was set within a transaction is undone with it."""
    seen = "SELECT current_setting('limen.domain')"

    def fail(hand: Hand) -> None:
        raise LookupError

    for bad in (fail, lambda hand: hand.tell("SELECT 1 / 0"), lambda hand: hand.ask(("FROM", ()))):
        with pytest.raises((LookupError, exc.StoreError)):
            engine.write(bad, "a.example")
        assert engine.rows(seen, (), "a.example") == [("=a.example",)]
        with pytest.raises(exc.StoreError):
            engine.rows("SELECT 1 / 0", (), "b.example")
        assert engine.rows(seen, (), "b.example") == [("=b.example",)]
        assert engine.rows(seen) == [("*",)]


# -- claims
def beside(connection: psycopg.Connection[Any]) -> Callable[[str], list[Any]]:
    return lambda statement: connection.execute(statement.encode()).fetchall()


def test_servers_share_a_database_and_nobody_migrates_it_under_them(
    engine: Postgres, other: Postgres, tables_url: str
) -> None:
    with psycopg.connect(tables_url) as connection:
        rows = beside(connection)
        said = r"in use by another Limen .*this machine.*and 1 more"
        with engine.claim(), other.claim(), pytest.raises(exc.StoreError, match=said):
            pg_claim.take(rows, "todo")
        assert pg_claim.holder(rows) is None
        pg_claim.take(rows, "todo")
        with pytest.raises(exc.StoreError, match="is being migrated or restored"):
            engine.claim()
    with engine.claim():
        assert "this machine" in str(pg_claim.holder(other.rows))


def end_claims(engine: Postgres) -> None:
    engine.rows(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND granted "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )


def test_a_claim_outlives_its_connection(engine: Postgres, other: Postgres) -> None:
    with engine.claim():
        end_claims(other)
        while pg_claim.holder(other.rows) is None:
            pass
        with pytest.raises(exc.StoreError, match="in use by another"):
            pg_claim.take(other.rows, "todo")
        assert engine.write(lambda hand: hand.ask(("SELECT 1", ()))) == [[(1,)]]


def write_on(engine: Postgres) -> None:
    while True:
        engine.write(lambda hand: None)


def test_a_server_under_which_a_migration_began_writes_nothing_more(
    engine: Postgres, other: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    with psycopg.connect(**other.address.options, autocommit=True) as migration, engine.claim():
        taking = threading.Thread(target=migration.execute, args=(f"SELECT pg_advisory_lock({pg_claim.LOCK})",))
        taking.start()  # waits, and has it the moment that it is free
        waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while other.rows(waits) != [(1,)]:
            pass
        end_claims(other)
        taking.join()
        with pytest.raises(exc.StoreError, match="lost its claim"):
            write_on(engine)
        assert engine.rows("SELECT 1") == [(1,)]
    assert "lost its claim" in caplog.text


# -- wakes
def test_a_commit_of_any_process_wakes_and_an_undone_one_does_not(engine: Postgres, other: Postgres) -> None:
    woken = threading.Semaphore(0)
    undo = engine.wakes(woken.release)
    for writer in (engine, other):
        writer.write(lambda hand: None)
        assert woken.acquire(timeout=10)

    def fail(hand: Hand) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        other.write(fail)
    engine.rows("SELECT 1")
    assert not woken.acquire(timeout=0.1)
    undo()
    undo()
    other.write(lambda hand: None)
    assert not woken.acquire(timeout=0.1)


def test_a_listener_that_was_cut_off_wakes_once_and_hears_again(engine: Postgres, other: Postgres) -> None:
    woken = threading.Semaphore(0)
    engine.wakes(woken.release)
    other.rows("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
    assert woken.acquire(timeout=10)
    other.write(lambda hand: None)
    assert woken.acquire(timeout=10)


def test_a_callback_that_fails_does_not_keep_the_others_from_waking(
    engine: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    woken = threading.Semaphore(0)

    def fail() -> None:
        raise LookupError

    engine.wakes(fail)
    engine.wakes(woken.release)
    engine.write(lambda hand: None)
    assert woken.acquire(timeout=10)
    assert "LookupError" in caplog.text
