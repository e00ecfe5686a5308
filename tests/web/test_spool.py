"""The folder of uploads: what a process leaves behind goes, what a living one holds stays."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from limen import exc
from limen.web.spool import Spool


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file() and path.name not in ("lock", "alive")}


def test_what_a_dead_process_left_is_swept_and_what_a_living_one_holds_is_not(tmp_path: Path) -> None:
    program = (
        "import os; from limen.web.spool import Spool\n"
        f"path, fd = Spool({str(tmp_path)!r}).create(); os.write(fd, b'half'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", program], check=False)
    mine, other = Spool(tmp_path), Spool(tmp_path)
    path, fd = mine.create()
    os.close(fd)
    assert len(files(tmp_path)) == 2
    other.sweep()
    assert files(tmp_path) == {path.name}
    mine.close()
    other.sweep()
    assert files(tmp_path) == set()


def test_what_nobody_touches_goes_with_what_is_known_of_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path, idle=100)
    old = time.time() - 101
    for name in ("old", "half", "new"):
        for path in (spool.place("sent", "ada", name), spool.place("sent", "ada", f"{name}.json")):
            path.write_text("")
            os.utime(path, (old, old))
    os.utime(spool.place("sent", "ada", "new.json"))
    os.utime(spool.place("sent", "ada", "half"))  # one that is still being sent
    spool.sweep()
    assert files(tmp_path) == {"new", "new.json", "half", "half.json"}


def test_only_its_owner_may_look_into_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "uploads")
    path, fd = spool.create()
    os.close(fd)
    modes = [place.stat().st_mode & 0o777 for place in (tmp_path / "uploads", path.parent, path)]
    assert modes == [0o700, 0o700, 0o600]


def test_a_folder_of_its_own_is_gone_at_the_end() -> None:
    spool = Spool(None)
    folder = spool.run.parent
    assert folder.is_dir()
    spool.close()
    assert not folder.exists()


def test_a_full_disk_has_a_name(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    with pytest.raises(exc.NoSpace), open("/dev/full", "wb", buffering=0) as full, spool.room():
        full.write(b"x")
    with pytest.raises(PermissionError), spool.room():
        raise PermissionError


def test_uploads_leave_room_for_the_database(tmp_path: Path) -> None:
    disk = os.statvfs(tmp_path)
    os.close(Spool(tmp_path / "new", reserve=1).create()[1])  # there is room, and its folder is made first
    spool = Spool(tmp_path, reserve=disk.f_blocks * disk.f_frsize + 1)
    with pytest.raises(exc.NoSpace):
        spool.create()
    assert len(files(tmp_path)) == 1


def test_a_process_that_cannot_be_asked_counts_as_alive(tmp_path: Path) -> None:
    mine, other = Spool(tmp_path), Spool(tmp_path)
    path, fd = mine.create()
    os.close(fd)
    alive = path.parent / "alive"
    alive.unlink()
    alive.mkdir()  # to open it fails, as it does where no file number is left
    other.sweep()
    assert path.exists()


def test_a_folder_into_which_everybody_may_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(exc.StoreError, match="everybody may write"):
        Spool(tmp_path).create()
