"""The power goes at every point of a short history: what was acknowledged is there, whole, on every disk that could be
left. `make soak` does the same for long ones."""

from __future__ import annotations

import random
import re
import sqlite3
from pathlib import Path

import pytest
from histories import in_threads
from ledger import look_at, number_of, storage_on, take_step
from powerloss import Disk, Event, Recorder, disks, judge
from vfs import watched

from limen import dbm


def recorded(folder: Path, lanes: int, steps: int, parts: int = 2) -> Recorder:
    """The record of *lanes* threads that take *steps* steps each; between *parts* the store is closed, which folds its
    WAL."""
    folder.mkdir()
    recorder = Recorder(folder)
    with watched(recorder):
        for part in range(parts):
            store = dbm.SQLStore(f"sqlite:///{folder}/store.db")
            storage = storage_on(store)

            def write(lane: int, first: int = part * steps // parts, last: int = (part + 1) * steps // parts) -> None:
                for step in range(first + 1, last + 1):
                    take_step(storage, lane, step)  # noqa: B023  joined below
                    recorder.acknowledge(number_of(lane, step))

            in_threads(write, range(lanes))
            store.close()
    return recorder


def opened(folder: Path) -> set[int]:
    """The commits in what is left in *folder*, by whoever opens it next."""
    return look_at(f"sqlite:///{folder}/store.db")


@pytest.mark.parametrize(("lanes", "steps"), [(1, 6), (4, 3)])
def test_no_acknowledged_commit_is_lost(lanes: int, steps: int, tmp_path: Path, memory: Path) -> None:
    """Of one writer, and of several that share syncs."""
    recorder = recorded(tmp_path / "store", lanes, steps)
    verdict = judge(disks(recorder.events, random.Random(lanes), mixtures=1, every=2), memory, opened)
    assert verdict.wrong == []
    assert verdict.opened > 100


@pytest.mark.parametrize("level", ["OFF", "NORMAL"])
def test_the_layer_finds_what_is_lost_where_the_disk_is_not_waited_for(
    level: str, tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Weak(sqlite3.Connection):
        """Waits for the disk less than it is told to."""

        def execute(self, statement: str, *arguments: object) -> sqlite3.Cursor:
            weaker = re.sub(r"(?i)(synchronous\s*=\s*)\w+", rf"\g<1>{level}", statement)
            return super().execute(weaker, *arguments)

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **k, factory=Weak))
    recorder = recorded(tmp_path / "store", lanes=1, steps=8)
    monkeypatch.undo()
    verdict = judge(disks(recorder.events, random.Random(1), every=5), memory, opened, enough=1)
    assert verdict.wrong


def test_the_record_with_everything_kept_is_what_is_on_the_disk(tmp_path: Path) -> None:
    recorder = recorded(tmp_path / "store", lanes=2, steps=3)
    *_, last = (disk for disk in disks(recorder.events, random.Random(1)) if disk.where.endswith("all of the rest"))
    there = {p.name: p.read_bytes() for p in (tmp_path / "store").iterdir() if p.name in last.files}
    assert last.files == there
    assert "store.db" in there


def test_a_cut_in_the_middle_of_a_write_leaves_some_of_its_sectors() -> None:
    events = [Event("there", "a", 0, b"-" * 2048), Event("write", "a", 100, b"x" * 1600)]
    left = {disk.files.get("a") for disk in disks(events, random.Random(3), mixtures=40)} - {None}
    parts = {tuple(content[start : start + 1] for start in (100, 600, 1100, 1600)) for content in left}
    assert {(b"-",) * 4, (b"x",) * 4} < parts
    assert len(parts) > 6


def test_a_sync_counts_for_what_was_written_before_it_began() -> None:
    events = [
        Event("create", "a"),
        Event("write", "a", 0, b"1"),
        Event("begin", "a", 7),
        Event("write", "a", 1, b"2"),
        Event("end", "a", 7),
        Event("acknowledge", "", 1),
    ]
    last: list[Disk] = [disk for disk in disks(events, random.Random(1), mixtures=0) if disk.acknowledged]
    assert {disk.files["a"] for disk in last} == {b"1", b"12"}
