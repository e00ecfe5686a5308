"""The disk is full, or says that it could not write: nothing is there in half, the caller is told, and once there is
room again the store goes on.

An error is put at each write, sync and truncate in turn. What the caller was told must be true for whoever opens the
file after a crash at that moment, too: a commit of which it was said that nothing was written is not there.
"""

from __future__ import annotations

import itertools
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ledger import look, look_at, number_of, open_storage, steps_of, storage_on, take_step
from load import Load
from vfs import FULL, IOERR_FSYNC, IOERR_TRUNCATE, IOERR_WRITE, Watcher, watched

from limen import dbm, exc

HERE = Path(__file__).parent


class Breaks(Watcher):
    """From change number *at* of kind *what* on, *times* of them fail with *code*."""

    def __init__(self, what: str, code: int, at: int, times: int) -> None:
        self.what, self.code, self.at, self.times = what, code, at, times
        self.seen = 0
        self.well = False

    def before(self, what: str, path: str, offset: int = 0, data: bytes = b"") -> int | None:
        if what != self.what or self.well:
            return None
        self.seen += 1
        return self.code if self.at <= self.seen < self.at + self.times else None

    @property
    def met(self) -> bool:
        return self.seen >= self.at


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of three steps."""
    folder = tmp_path_factory.mktemp("begun")
    store = dbm.SQLStore(f"sqlite:///{folder}/store.db")
    for step in (1, 2, 3):
        take_step(storage_on(store), 0, step)
    store.close()
    return folder


LONG = 10**9
CASES = {
    "the disk is full": ("write", FULL, LONG),
    "a write fails": ("write", IOERR_WRITE, 1),
    "all writes fail": ("write", IOERR_WRITE, LONG),
    "a sync fails": ("sync", IOERR_FSYNC, 1),
    "all syncs fail": ("sync", IOERR_FSYNC, LONG),
    "a truncation fails": ("truncate", IOERR_TRUNCATE, 1),
}


@pytest.mark.parametrize("case", CASES)
def test_what_the_caller_is_told_of_a_disk_error_is_true(case: str, begun: Path, memory: Path) -> None:
    what, code, times = CASES[case]
    told: list[str] = []
    for at in itertools.count(1):
        breaks = Breaks(what, code, at, times)
        _work_on(shutil.copytree(begun, memory / str(at)), breaks, told)
        shutil.rmtree(memory / str(at))
        if not breaks.met:
            break
        assert at < 500
    assert all(error.strip() for error in told)
    if case == "the disk is full":
        assert told
        assert all("full" in error for error in told)


def _work_on(folder: Path, breaks: Breaks, told: list[str]) -> None:
    url = f"sqlite:///{folder}/store.db"
    with watched(breaks):
        try:
            store = dbm.SQLStore(url)
        except exc.StoreError as error:
            told.append(str(error))
            breaks.well = True
            store = dbm.SQLStore(url)
        storage = storage_on(store)
        acknowledged = 3
        for _ in range(2):
            step = acknowledged + 1
            try:
                take_step(storage, 0, step)
                acknowledged = step
            except (exc.StoreError, exc.OutcomeUnknown) as error:
                said = repr(error)
                told.append(str(error))
                breaks.well = True
                unknown = isinstance(error, exc.OutcomeUnknown)
                possible = [acknowledged, step] if unknown else [acknowledged]
                assert _after_a_crash(folder) in possible, f"told: {said}"
                acknowledged = steps_of(storage, 0)
                assert acknowledged in possible, f"told: {said}"
        breaks.well = True
        take_step(storage, 0, acknowledged + 1)
        store.close()
    assert _after_a_crash(folder) == acknowledged + 1


def _after_a_crash(folder: Path) -> int:
    """How many steps whoever opens a copy of the files finds."""
    copy = folder.with_name(f"{folder.name}-copy")
    copy.mkdir()
    for name in ("store.db", "store.db-wal", "store.db-journal"):
        if (folder / name).exists():
            shutil.copy(folder / name, copy / name)
    try:
        found = look_at(f"sqlite:///{copy}/store.db")
    finally:
        shutil.rmtree(copy)
    assert found == {number_of(0, step) for step in range(1, len(found) + 1)}
    return len(found)


class Unreliable(Watcher):
    """Now and then a write or a sync fails."""

    def __init__(self, chance: random.Random) -> None:
        self.chance, self.well = chance, True

    def before(self, what: str, path: str, offset: int = 0, data: bytes = b"") -> int | None:
        if self.well or what not in ("write", "sync") or self.chance.random() > 0.02:
            return None
        return IOERR_FSYNC if what == "sync" else self.chance.choice((FULL, IOERR_WRITE))


def test_writers_that_share_a_sync_are_each_told_the_truth(memory: Path) -> None:
    disk = Unreliable(random.Random(9))
    with watched(disk):
        load = Load(f"sqlite:///{memory}/store.db", lanes=4)
        load.go_on(0)
        disk.well = False
        load.go_on(1.0)
        disk.well = True
        load.go_on(0)
        load.end()
        assert len(load.refused) + load.unknown > 2
        load.check()


LIMITED = f"""
import resource, signal, sys
sys.path.insert(0, {str(HERE)!r})
from ledger import open_storage, take_step
from limen import exc
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
storage = open_storage(sys.argv[1])
take_step(storage, 0, 1)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
step = 1
try:
    while step < 10_000:
        step += 1
        take_step(storage, 0, step)
except exc.StoreError as error:
    print(step, error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
take_step(storage, 0, step)
print(step)
"""


def test_a_file_that_may_not_grow_is_a_full_disk_and_the_same_process_goes_on(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    done = subprocess.run([sys.executable, "-c", LIMITED, url], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    refused, went_on = done.stdout.strip().splitlines()
    assert refused.split()[0] == went_on
    assert len(look(open_storage(url))) == int(went_on)
