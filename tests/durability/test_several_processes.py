"""Several processes at one database, and a clock that jumps back."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from histories import main as make_history
from ledger import Entry, Tally, look, number_of, open_storage, storage_on, take_step
from lists import anomalies

HERE = Path(__file__).parent


def writers_at(url: str, processes: int, steps: int) -> set[int]:
    command = [sys.executable, str(HERE / "writer.py"), url, "--processes", str(processes), "--steps", str(steps)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return {int(line) for line in done.stdout.split()}


def test_three_processes_write_one_sqlite_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    expected = {number_of(lane, step) for lane in range(3) for step in range(1, 31)}
    assert writers_at(url, 3, 30) == expected
    assert look(open_storage(url)) == expected


def test_three_processes_write_one_postgresql_database(postgresql_url: str) -> None:
    expected = {number_of(lane, step) for lane in range(3) for step in range(1, 21)}
    assert writers_at(postgresql_url, 3, 20) == expected
    assert look(open_storage(postgresql_url)) == expected


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_clients_in_two_processes_find_no_anomaly(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/store.db" if engine == "sqlite" else request.getfixturevalue("postgresql_url")
    words = ["lists", url, "--out", str(tmp_path / "lists.jsonl"), "--how", "processes", "--processes", "2"]
    monkeypatch.setattr(sys, "argv", ["histories.py", *words, "--transactions", "30"])
    assert make_history() == 0
    history = [json.loads(line) for line in (tmp_path / "lists.jsonl").read_text().splitlines()]
    assert len(history) == 8 * 30 + 1
    assert anomalies(history) == {}


def test_recorded_time_never_runs_backwards(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of the machine jumps back by a day in the middle: times of transactions don't, and the past can be
    asked for by time."""
    storage = storage_on(store)
    now, real = time.time, time.time()
    jumps = [0.0, 1.0, 2.0, -86_400.0, -86_399.0, 3.0, 4.0, -5.0]
    for step, offset in enumerate(jumps, 1):
        monkeypatch.setattr(time, "time", lambda offset=offset: real + offset)
        take_step(storage, 0, step)
    monkeypatch.setattr(time, "time", now)
    look(storage)
    with storage() as db:
        tally = db.find(Tally, lane=0)[0]
        past = db.history(Tally, tally._uuid)
        times = [version.transaction.when for version in past]
        assert times == sorted(times)
        assert [version._txn for version in past] == sorted({version._txn for version in past})
        for version in past:
            then = db.as_of(version.transaction.when)
            counted = then.find(Tally, lane=0)[0].count
            assert counted == max(v.count for v in past if v.transaction.when <= version.transaction.when)
            assert len(then.select(Entry)) == len(db.as_of(past[counted - 1]._txn).select(Entry))
