"""Clients at several workers on one SQLite file, of which one is killed now and then: what they have read and written
could have been done one after the other, in the order of the clock on the wall."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "durability"))

from histories import through_servers
from lists import anomalies

CLIENTS, EACH = 8, 150


def test_clients_of_workers_that_are_killed_find_no_anomaly(tmp_path: Path) -> None:
    path = tmp_path / "lists.db"
    history, kills = through_servers(f"sqlite:///{path}", "lists", "http", CLIENTS, EACH, 1, 0.7, workers=3)
    assert anomalies(history) == {}
    assert kills > 0
    assert sum(entry["status"] == "ok" for entry in history) > CLIENTS * EACH // 3
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
