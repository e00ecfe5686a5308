"""Connections that are cut at any byte: what is said of a commit afterwards is true."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import psycopg
import pytest
from cutter import Cutter
from postgres import Databases, Server

from limen import exc
from limen.core.record.port import PUT, Change, Keep, Transaction
from limen.store.sql import SQLStore
from limen.store.sql.engine import Hand
from limen.store.sql.postgres.engine import Postgres


@pytest.fixture
def wire(postgresql: Databases) -> Iterator[Cutter]:
    if postgresql.server is None:
        pytest.skip("a named server is not behind a Unix socket of ours")
    with Cutter(f"{postgresql.server.data}/.s.PGSQL.5432") as wire:
        yield wire


def through(wire: Cutter, url: str) -> str:
    """The URL of the same database by way of *wire*."""
    parts = urlsplit(url)
    return f"postgresql://{parts.username}@127.0.0.1:{wire.port}{parts.path}?sslmode=disable&gssencmode=disable"


@pytest.fixture
def engine(wire: Cutter, tables_url: str) -> Iterator[Postgres]:
    engine = Postgres(through(wire, tables_url))
    engine.write(lambda hand: hand.tell("CREATE TABLE kept (id BIGINT PRIMARY KEY)"))
    yield engine
    wire.refusing = False
    engine.close()


class Keeping:
    """A work that keeps one number, asking first; and how to find out whether it is there."""

    def __init__(self, number: int, then: Callable[[int], None] = lambda run: None) -> None:
        self.number, self.runs, self._then = number, 0, then

    def __call__(self, hand: Hand) -> int:
        self.runs += 1
        [[(count,)]] = hand.ask(("SELECT count(*) FROM kept", ()))
        self._then(self.runs)
        hand.tell("INSERT INTO kept VALUES ($1)", (self.number,))
        return int(count)

    def happened(self, hand: Hand) -> bool:
        return hand.ask(("SELECT 1 FROM kept WHERE id = $1", (self.number,))) != [[]]


def kept(engine: Postgres) -> list[int]:
    return [number for (number,) in engine.rows("SELECT id FROM kept ORDER BY id")]


def end_all(tables_url: str) -> None:
    """Ends the server's processes of all connections to that database but the own one."""
    with psycopg.connect(tables_url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_read_takes_one_round_trip_and_a_unit_of_work_two(engine: Postgres, wire: Cutter) -> None:
    for number in (1, 2):  # the first prepares the statements
        keeping = Keeping(number)
        with wire.counted() as unit:
            engine.write(keeping, None, keeping.happened)
        with wire.counted() as read:
            kept(engine)
    assert (unit[2], read[2]) == (2, 1)


@pytest.mark.parametrize("direction", ["sent", "answered"])
def test_wherever_a_commit_is_cut_it_is_done_once(engine: Postgres, wire: Cutter, direction: str) -> None:
    for number in (1, 2):
        with wire.counted() as whole:
            engine.write(Keeping(number))
    size = whole[direction == "answered"]
    numbers = [1, 2]
    for position in range(0, size, 7):
        number = 100 + position
        keeping = Keeping(number)
        wire.cut(**{direction: position})
        assert engine.write(keeping, None, keeping.happened) == len(numbers)
        numbers.append(number)
    assert kept(engine) == numbers
    assert wire.cuts == len(numbers) - 2 > 20


def test_wherever_a_read_is_cut_it_is_asked_again(engine: Postgres, wire: Cutter) -> None:
    engine.write(Keeping(1))
    kept(engine)
    with wire.counted() as whole:
        kept(engine)
    for direction, size in zip(("sent", "answered"), whole[:2], strict=True):
        for position in range(0, size, 11):
            wire.cut(**{direction: position})
            assert kept(engine) == [1]
    assert wire.cuts > 8


def test_where_nobody_can_be_asked_the_outcome_is_unknown_and_said_so(engine: Postgres, wire: Cutter) -> None:
    engine.patience = 0.2
    engine.write(Keeping(1))
    with wire.counted() as whole:
        engine.write(Keeping(2))
    wire.refusing = True  # who is connected stays so until the cut
    wire.cut(answered=whole[1] - 1)
    keeping = Keeping(3)
    with pytest.raises(exc.OutcomeUnknown, match="after COMMIT was sent") as caught:
        engine.write(keeping, None, keeping.happened)
    assert "look before you try again" in str(caught.value)
    wire.refusing = False
    assert kept(engine) == [1, 2, 3]  # it was; nobody could know


def test_a_commit_without_a_way_to_recognise_it_is_unknown_where_the_answer_is_lost(
    engine: Postgres, wire: Cutter
) -> None:
    engine.write(Keeping(1))
    with wire.counted() as whole:
        engine.write(Keeping(2))
    wire.cut(answered=whole[1] - 1)
    with pytest.raises(exc.OutcomeUnknown, match="can't be found out"):
        engine.write(Keeping(3))


def test_before_commit_was_sent_nothing_was_written_and_that_is_said(engine: Postgres, wire: Cutter) -> None:
    engine.write(Keeping(1))

    def work(hand: Hand) -> None:
        hand.tell("INSERT INTO kept VALUES (2)")
        wire.refusing = True
        wire.cut(sent=0)
        hand.ask(("SELECT 1", ()))

    with pytest.raises(exc.StoreError, match="can't be reached") as caught:
        engine.write(work)
    assert not isinstance(caught.value, exc.OutcomeUnknown)
    wire.refusing = False
    assert kept(engine) == [1]


@pytest.mark.parametrize("times", [1, 3])
def test_a_process_of_the_server_that_is_ended_costs_a_second_run(
    engine: Postgres, tables_url: str, times: int
) -> None:
    keeping = Keeping(1, lambda run: end_all(tables_url) if run <= times else None)
    assert engine.write(keeping, None, keeping.happened) == 0
    assert keeping.runs == times + 1
    assert kept(engine) == [1]


def test_a_transaction_that_still_waits_behind_the_cut_never_comes_after(
    engine: Postgres, wire: Cutter, tables_url: str
) -> None:
    """All of it was sent, COMMIT too, and it waits for a lock: it must be ended before it is run again."""
    engine.write(Keeping(1))

    def blind(hand: Hand) -> None:
        hand.tell("SELECT pg_advisory_xact_lock(7)")
        hand.tell("INSERT INTO kept VALUES ((SELECT max(id) + 1 FROM kept))")

    def happened(hand: Hand) -> bool:
        return hand.ask(("SELECT 1 FROM kept WHERE id = 2", ())) != [[]]

    writing = threading.Thread(target=engine.write, args=(blind, None, happened))
    with psycopg.connect(tables_url) as other:

        def who_waits() -> set[int]:
            return {pid for (pid,) in other.execute("SELECT pid FROM pg_locks WHERE NOT granted AND objid = 7")}

        other.execute("SELECT pg_advisory_lock(7)")
        writing.start()
        while not (first := who_waits()):
            pass
        wire.hang_up()  # the server's process, which waits for the lock, does not look
        while not who_waits() - first:
            pass
    writing.join()
    assert kept(engine) == [1, 2]


def test_idle_connections_that_the_server_ended_are_not_handed_out(engine: Postgres, tables_url: str) -> None:
    together = threading.Barrier(4)

    def read() -> None:
        together.wait()
        engine.rows("SELECT pg_sleep(0.05)")

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    end_all(tables_url)
    assert kept(engine) == []
    end_all(tables_url)
    engine.write(Keeping(1))
    assert kept(engine) == [1]


def test_a_server_that_is_stopped_and_started_loses_nothing_acknowledged(postgresql_server: Server) -> None:
    engine = Postgres(postgresql_server.url("postgres"))
    engine.write(lambda hand: hand.tell("CREATE TABLE kept (id BIGINT PRIMARY KEY)"))
    acknowledged: list[int] = []
    unknown: list[int] = []
    enough, progress = threading.Event(), threading.Semaphore(0)

    def write(first: int) -> None:
        number = first
        while not enough.is_set():
            keeping = Keeping(number)
            try:
                engine.write(keeping, None, keeping.happened)
                acknowledged.append(number)
                progress.release()
            except exc.OutcomeUnknown:
                unknown.append(number)
            except exc.StoreError:
                pass  # nothing was written
            number += 4

    writers = [threading.Thread(target=write, args=(first,)) for first in range(4)]
    for writer in writers:
        writer.start()
    for how in ("stop", "crash", "stop"):
        for _ in range(50):
            assert progress.acquire(timeout=10)
        postgresql_server.stop(how)
        postgresql_server.start()
    enough.set()
    for writer in writers:
        writer.join()
    there = kept(engine)
    engine.close()
    assert len(there) > 150
    assert set(acknowledged) <= set(there) <= {*acknowledged, *unknown}


@pytest.mark.parametrize("keep", [None, 0])
@pytest.mark.parametrize("direction", ["sent", "answered"])
def test_wherever_the_commit_of_a_record_is_cut_it_has_one_version_more(
    wire: Cutter, tables_url: str, direction: str, keep: Keep
) -> None:
    """With history the transaction's token tells; without, what the record is now."""
    store = SQLStore(through(wire, tables_url))
    who = Transaction("localhost", "ada", None, "", "", "why", 1.5)

    def count_on(base: int) -> int:
        return store.records.commit(who, [Change("T", bytes(16), base, f'{{"n":{base + 1}}}', PUT, keep=keep)])

    for base in range(3):
        with wire.counted() as whole:
            count_on(base)
    size, base = whole[direction == "answered"], 3
    for position in range(0, size, 23):
        wire.cut(**{direction: position})
        assert count_on(base) == base + 1
        base += 1
    assert wire.cuts == base - 3 > 20
    newest = store.records.read("localhost", "T", bytes(16))[1]
    assert newest is not None
    assert (newest.vsn, newest.txn, newest.fields) == (base, base, f'{{"n":{base}}}')
    assert len(store.records.history("localhost", "T", bytes(16))) == (base if keep is None else 1)
    store.close()


def test_attempts_to_connect_that_fail_take_no_places(wire: Cutter, tables_url: str) -> None:
    engine = Postgres(through(wire, tables_url) + "&pool_size=2&pool_timeout=0.1")
    wire.refusing = True
    wire.hang_up()
    errors = []
    for number in range(10):
        with pytest.raises(exc.StoreError, match="can't be reached") as caught:
            engine.rows("SELECT 1") if number % 2 else engine.write(Keeping(1))
        errors.append(caught.value)  # with all that its traceback holds
    wire.refusing = False
    assert engine.rows("SELECT 1") == [(1,)]
    engine.close()
