"""One server a file; what it leaves behind is whole."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from limen import exc
from limen.core.record.port import Change, Transaction
from limen.store.sql import SQLStore

WHO = Transaction("localhost", None, None, "", "", "", 0.0)


def change(number: int = 1, base: int = 0, fields: str = "{}") -> Change:
    return Change("T", number.to_bytes(16), base, fields)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


@pytest.fixture
def store(path: Path) -> Iterator[SQLStore]:
    store = SQLStore(f"sqlite:///{path}")
    yield store
    store.close()


CLAIM = """
import sys
from limen.store.sql import SQLStore
from limen import exc
store = SQLStore(sys.argv[1])
try:
    with store.claim():
        print("claimed", flush=True)
        sys.stdin.read()
except exc.StoreError as error:
    print(error, flush=True)
"""


def claimant(url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CLAIM, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_one_server_a_file_and_a_second_says_so_and_stops(store: SQLStore) -> None:
    first, url = claimant(store.url), store.url
    assert said(first) == "claimed\n"
    second = claimant(url)
    answer = said(second)
    assert f"process {first.pid}" in answer
    assert "one server per SQLite file" in answer
    assert second.wait(10) == 0
    with pytest.raises(exc.StoreError, match="one server per SQLite file"):
        store.claim()
    first.kill()
    first.communicate()
    with store.claim():
        third = claimant(url)
        assert f"process {os.getpid()}" in said(third)
        third.communicate()
    fourth = claimant(url)
    assert said(fourth) == "claimed\n"
    fourth.communicate()


def test_a_claim_is_given_back_when_the_block_fails(store: SQLStore) -> None:
    with pytest.raises(ValueError, match="x"), store.claim():
        raise ValueError("x")
    with store.claim():
        pass


def test_a_claim_that_ends_leaves_a_file_that_is_whole_by_itself(tmp_path: Path) -> None:
    store = SQLStore(f"sqlite:///{tmp_path / 'a.db'}")
    with store.claim():
        store.records.commit(WHO, [change()])
        assert (tmp_path / "a.db-wal").stat().st_size > 0
    assert (tmp_path / "a.db-wal").stat().st_size == 0
    store.records.commit(WHO, [change(2)])  # and the store goes on
    assert store.records.last("localhost") == 2
    store.close()


def test_what_was_erased_is_not_in_the_file_any_more(path: Path) -> None:
    store = SQLStore(f"sqlite:///{path}")
    secret = '{"secret":"' + "correct horse battery staple " * 40 + '"}'
    store.records.commit(WHO, [change(1, fields=secret), change(2)])
    store.records.commit(WHO, [change(1, base=1, fields=secret.replace("}", ',"more":1}'))])
    with store.claim():
        store.records.commit(WHO, [change(1, base=2)._replace(kind=3)])
    store.close()
    for file in path.parent.iterdir():
        assert b"correct horse" not in file.read_bytes(), file
