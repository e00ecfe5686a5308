"""Files of sealed sessions on the disk: any process goes on where another stopped; nothing is left behind."""

from __future__ import annotations

import fcntl
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from limen import File, exc
from limen.base.config import Config
from limen.web.shelf import MOST_GIVEN, Owner, Shelf, found
from limen.web.spool import Spool

ADA = Owner("localhost", "ada", b"slot")


def shelves(folder: Path, count: int = 2) -> list[Shelf]:
    """As many processes, sharing one folder."""
    return [Shelf(Config(), Spool(folder)) for _ in range(count)]


def left(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.is_file() and p.name not in ("lock", "alive"))


def test_what_one_process_began_another_finishes_and_a_third_takes(tmp_path: Path) -> None:
    one, two, three = shelves(tmp_path, 3)
    id = one.begin(ADA, "a.txt", "text/plain", 6)
    one.write(ADA, id, 0, b"abc")
    assert two.write(ADA, id, 3, b"def") == 6
    upload = three.take(ADA, id)
    assert upload.read() == b"abcdef"
    for shelf in (one, two, three):
        with pytest.raises(exc.NotFound):
            shelf.take(ADA, id)
    upload.discard()
    assert left(tmp_path) == []


def test_a_result_and_a_link_made_by_one_process_are_read_at_another(tmp_path: Path) -> None:
    one, two = shelves(tmp_path / "spool")
    (tmp_path / "doc").write_bytes(b"content")
    for file in (File(tmp_path / "doc"), File(b"content", filename="doc"), File.below(tmp_path, "doc")):
        given = one.give(ADA, file)
        assert (given.filename, given.size) == ("doc", 7)
        assert two.read(ADA, given.id, 3, 100) == b"tent"
        token = two.link(ADA, given.id, inline=False)
        opened = found(one.linked(token, "localhost"))
        assert opened.read() == b"content"
        opened.close()
        one.unlink(token)
        with pytest.raises(exc.NotFound):
            two.linked(token, "localhost")
        one.drop(ADA, given.id)
    assert left(tmp_path / "spool") == []
    assert (tmp_path / "doc").exists()


def test_the_eldest_results_make_room(tmp_path: Path) -> None:
    (shelf,) = shelves(tmp_path, 1)
    first = shelf.give(ADA, File(b"1", filename="a"))
    old = time.time() - 60
    os.utime(tmp_path / "given" / ADA.folder / f"{first.id}.json", (old, old))
    for _ in range(MOST_GIVEN):
        last = shelf.give(ADA, File(b"1", filename="a"))
    with pytest.raises(exc.NotFound):
        shelf.read(ADA, first.id, 0, 1)
    assert shelf.read(ADA, last.id, 0, 1) == b"1"
    assert len(left(tmp_path)) == 2 * MOST_GIVEN


def test_a_link_below_a_folder_that_leads_out_is_not_given(tmp_path: Path) -> None:
    (shelf,) = shelves(tmp_path / "spool", 1)
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "out").symlink_to("/etc/passwd")
    (tmp_path / "root" / "fifo.txt").symlink_to("nowhere")
    os.mkfifo(tmp_path / "root" / "pipe")
    for name in ("out", "fifo.txt", "pipe", "missing"):
        with pytest.raises(exc.NotFound):
            shelf.give(ADA, File.below(tmp_path / "root", name))
    with pytest.raises(exc.NotFound):
        shelf.give(ADA, File(tmp_path / "root"))


def test_what_is_damaged_is_not_there(tmp_path: Path) -> None:
    (shelf,) = shelves(tmp_path, 1)
    id = shelf.begin(ADA, "a", "", 1)
    (tmp_path / "sent" / ADA.folder / f"{id}.json").write_bytes(b'{"login": 1')
    with pytest.raises(exc.NotFound):
        shelf.write(ADA, id, 0, b"x")


def test_a_full_disk_has_a_name(tmp_path: Path) -> None:
    (shelf,) = shelves(tmp_path, 1)
    id = shelf.begin(ADA, "a", "", 1)
    data = tmp_path / "sent" / ADA.folder / id
    data.unlink()
    data.symlink_to("/dev/full")
    with pytest.raises(exc.NotFound):  # no link is followed here, whoever put it there
        shelf.write(ADA, id, 0, b"x")


def test_what_a_function_was_given_is_not_written_any_more(tmp_path: Path) -> None:
    one, two = shelves(tmp_path)
    id = one.begin(ADA, "a.txt", "text/plain", 6)
    one.write(ADA, id, 0, b"sounds")
    (folder,) = (tmp_path / "sent").iterdir()
    handle = os.open(folder / id, os.O_WRONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)  # as `take` holds it, in another process
    with ThreadPoolExecutor() as pool:
        late = pool.submit(two.write, ADA, id, 0, b"hatred")
        for _ in range(2000):
            if waits_for(folder / id):
                break
            time.sleep(0.001)
        (folder / id).rename(tmp_path / "taken")
        os.close(handle)
        with pytest.raises(exc.NotFound):
            late.result(5)
    assert (tmp_path / "taken").read_bytes() == b"sounds"


def waits_for(path: Path) -> bool:
    inode = f":{path.stat().st_ino} "
    return any("->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines())


@pytest.mark.parametrize("offset", [7, 2**63 - 1, 2**63, 2**70])
def test_behind_the_end_there_is_nothing(tmp_path: Path, offset: int) -> None:
    (shelf,) = shelves(tmp_path, 1)
    given = shelf.give(ADA, File(b"content", filename="a"))
    assert shelf.read(ADA, given.id, offset, 10) == b""
