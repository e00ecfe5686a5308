"""Whether a store grows slow: a million records of ten versions each beside ten thousand. Takes some minutes, and 4 GB
of disk for that long: `make bench ONLY=scale`. Then what a record that was changed a thousand times takes on disk."""

from __future__ import annotations

import shutil
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from limen import DataStore, dbm

from .contestant import contestant
from .measure import Report, alternate
from .processes import SCRATCH

ROUNDS, FEW, MANY = 9, 10_000, 1_000_000
CHANGES, LONG = 1000, "a text of some length, as people write them into a field for remarks. " * 28


class Note:
    """A model without hooks."""


async def run(report: Report) -> None:
    SCRATCH.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=SCRATCH))
    try:
        async with AsyncExitStack() as stack:
            few = await stack.enter_async_context(_program(folder, "few", FEW))
            many = await stack.enter_async_context(_program(folder, "many", MANY))
            for title, task, count in (
                ("fetch by key", "fetch", 1000),
                ("two pages of 100 by an index, the second by its cursor", "page", 50),
                ("history of one record", "history", 300),
            ):
                report.topic(f"Scale: {title}")
                small, large = f"{FEW:,} records", f"{MANY:,} records of ten versions"
                turns = {small: few.turn(f"{task} {count}"), large: many.turn(f"{task} {count}")}
                cost = report.figures(await alternate(ROUNDS, turns))
                report.target("many / few", cost[large] / cost[small], 1.5)
        report.topic(f"Scale: a record of {len(LONG) + 60:,} bytes, of which one field is changed {CHANGES:,} times")
        size = _changed_often(folder / "often.db")
        report.note("on disk, its history included", size / 1024, "KiB")
        report.target("of so many copies", size / (CHANGES * len(LONG)), 0.25)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _program(folder: Path, name: str, records: int):  # type: ignore[no-untyped-def]
    return contestant(sys.executable, "store_scale.py", f"sqlite:///{folder}/{name}.db", records)


def _changed_often(path: Path) -> int:
    """Bytes by which the file grows."""
    store = dbm.SQLStore(f"sqlite:///{path}")
    storage = DataStore(store)
    with storage() as db:
        note = db.insert(Note, text=LONG, number=0)
    for number in range(1, CHANGES):
        with storage("change") as db:
            db.update(Note, note._uuid, number, number=number)
    store.close()
    return path.stat().st_size
