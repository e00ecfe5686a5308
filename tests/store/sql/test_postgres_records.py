"""The public suites on PostgreSQL, and what several processes on one database may rely on."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from limen.core.record.port import PUT, Change, RecordStore, Stale, Transaction
from limen.store.sql import SQLStore
from limen.store.sql.commit import Commit
from limen.store.sql.engine import Hand
from limen.testing.stores import BySubmit, RecordStoreSuite, StoreSuite

WHO = Transaction("localhost", "ada", None, "todo.add", "192.0.2.1", "why", 1.5)


@pytest.fixture
def store(tables_url: str) -> Iterator[SQLStore]:
    store = SQLStore(tables_url)
    yield store
    store.close()


def put(number: int, base: int = 0, fields: str = "{}", model: str = "T") -> Change:
    return Change(model, number.to_bytes(16), base, fields, PUT)


class TestPostgresStore(StoreSuite):
    @pytest.fixture
    def store(self, tables_url: str) -> Iterator[SQLStore]:
        store = SQLStore(tables_url)
        yield store
        store.close()

    def again(self, store: SQLStore) -> SQLStore:
        return SQLStore(store.url)


class TestPostgresStoreBySubmit(BySubmit, RecordStoreSuite):
    """The same for async callers."""


# -- several processes
WRITER = """
import sys
from limen.core.record.port import PUT, Change, Stale, Transaction
from limen.store.sql import SQLStore

url, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = SQLStore(url)
key = bytes(16)
done = 0
while done < count:
    _, newest = store.records.read("localhost", "Counter", key)
    base, fields = (newest.vsn, newest.fields) if newest else (0, '{"n":0}')
    n = int(fields.split(":")[1][:-1]) + 1
    who = Transaction("localhost", name, None, "", "", "", 0.0)
    changes = [
        Change("Counter", key, base, '{"n":%d}' % n, PUT),
        Change("Mark." + name, n.to_bytes(16), 0, "{}", PUT),
    ]
    try:
        store.records.commit(who, changes)
    except Stale:
        continue
    print(n, flush=True)
    done += 1
store.close()
"""


def test_two_processes_that_count_together_lose_no_count(store: SQLStore, tables_url: str) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITER, tables_url, name, "40"], stdout=subprocess.PIPE, text=True)
        for name in ("a", "b")
    ]
    counted = [int(line) for process in processes for line in process.communicate()[0].split()]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(counted) == list(range(1, 81))
    history = store.records.history("localhost", "Counter", bytes(16))
    assert [version.vsn for version, _ in history] == list(range(1, 81))
    assert store.records.last("localhost") == 80
    feed = store.records.changes("localhost", 0)
    assert [txn for txn, *_ in feed] == [txn for txn in range(1, 81) for _ in range(2)]


def test_who_comes_second_to_a_new_domain_sees_what_the_first_one_wrote(store: SQLStore, tables_url: str) -> None:
    """The domain has no row to lock yet: what was asked before the first one's commit must be asked anew."""
    first = SQLStore(tables_url)
    begun, go = threading.Event(), threading.Event()

    def slow(hand: Hand) -> int:
        number = commit(hand)
        hand.ask((first.records._sql.find_model, ("T",)))  # all that was told is done, nothing is committed
        begun.set()
        go.wait(20)
        return number

    commit = Commit(first._engine, first.records.indexes, WHO, [put(1)], None)
    with ThreadPoolExecutor(2) as pool, psycopg.connect(tables_url, autocommit=True) as watcher:
        earlier = pool.submit(first._engine.write, slow, WHO.domain)
        assert begun.wait(20)
        later = pool.submit(store.records.commit, WHO, [put(1)])
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        while not watcher.execute(waiting).fetchone()[0]:  # type: ignore[index]
            pass
        go.set()
        assert earlier.result() == 1
        with pytest.raises(Stale):
            later.result()
    first.close()
    assert store.records.last(WHO.domain) == 1


def test_what_another_store_wrote_is_seen_at_once(store: SQLStore, tables_url: str) -> None:
    """Names, numbers and records: nothing that is remembered is out of date."""
    other = SQLStore(tables_url)
    for turn in range(1, 20):
        writer, reader = (store, other) if turn % 2 else (other, store)
        number = writer.records.commit(
            WHO, [put(turn, model=f"M{turn}"), put(999, base=turn - 1, fields=f'{{"n":{turn}}}')]
        )
        assert reader.records.last("localhost") == number == turn
        assert reader.records.read("localhost", f"M{turn}", turn.to_bytes(16))[1] is not None
        assert reader.records.read("localhost", "T", (999).to_bytes(16))[1].fields == f'{{"n":{turn}}}'  # type: ignore[union-attr]
        with pytest.raises(Stale):
            reader.records.commit(WHO, [put(999, base=turn - 1)])
    other.close()


def test_many_tenants_written_by_two_processes_have_numbers_of_their_own(store: SQLStore, tables_url: str) -> None:
    other = SQLStore(tables_url)

    def write(turn: int) -> int:
        records: RecordStore = (store if turn % 2 else other).records
        return records.commit(WHO._replace(domain=f"d{turn % 5}"), [put(turn)])

    with ThreadPoolExecutor(10) as pool:
        numbers = list(pool.map(write, range(100)))
    for tenant in range(5):
        assert sorted(numbers[tenant::5]) == list(range(1, 21))
    assert store.records.domains() == [f"d{tenant}" for tenant in range(5)]
    assert store.records.progress() == 100
    other.close()


def test_a_statement_that_forgets_the_domain_sees_one_tenant_on_the_connections_of_the_store(store: SQLStore) -> None:
    store.records.commit(WHO, [put(1)])
    rows = store._engine.rows
    for table in ("domain", "transaction", "record", "version"):
        assert rows(f"SELECT 1 FROM {table}", (), "other.example") == []
        assert rows(f"SELECT 1 FROM {table}", (), "localhost") == [(1,)]
