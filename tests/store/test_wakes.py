"""Wakes: heard in this process and in others, cheap where nobody listens, harmless where someone died."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from limen.store.wakes import Wakes


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "todo.db"


@pytest.fixture
def wakes(database: Path) -> Iterator[Wakes]:
    made = Wakes(database)
    yield made
    made.close()


def test_another_handle_on_the_same_file_is_woken(database: Path, wakes: Wakes) -> None:
    heard = threading.Event()
    wakes.listen(heard.set)
    Wakes(database).wake()
    assert heard.wait(10)


def test_another_process_is_woken(database: Path, wakes: Wakes) -> None:
    program = (
        "import sys, threading\n"
        "from pathlib import Path\n"
        "from limen.store.wakes import Wakes\n"
        "heard = threading.Event()\n"
        "undo = Wakes(Path(sys.argv[1])).listen(heard.set)\n"
        "print('listening', flush=True)\n"
        "print(heard.wait(20), flush=True)\n"
        "undo()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, database], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "listening\n"
        wakes.wake()
        assert other.stdout.readline() == "True\n"
    assert list(database.parent.glob("*.wake.*")) == []


def test_the_socket_is_for_its_owner_and_goes_with_the_last_listener(database: Path, wakes: Wakes) -> None:
    undo, other = wakes.listen(lambda: None), wakes.listen(lambda: None)
    (path,) = database.parent.glob("todo.db.wake.*")
    assert path.stat().st_mode & 0o777 == 0o600
    undo()
    assert path.exists()
    other()
    other()
    assert not path.exists()


def test_the_socket_of_a_process_that_was_killed_is_removed(database: Path, wakes: Wakes) -> None:
    path = database.with_name("todo.db.wake.1.dead")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(path))
    wakes.wake()
    assert not path.exists()


def test_a_listener_who_does_not_read_holds_nobody_up(database: Path, wakes: Wakes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(database.with_name("todo.db.wake.1.deaf")))
        for _ in range(5000):
            wakes.wake()


def test_a_long_path_works(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 120)
    folder.mkdir()
    heard = threading.Event()
    wakes = Wakes(folder / "todo.db")
    wakes.listen(heard.set)
    Wakes(folder / "todo.db").wake()
    assert heard.wait(10)
    wakes.close()


def test_a_callback_may_undo_itself(database: Path, wakes: Wakes) -> None:
    done = threading.Event()

    def once() -> None:
        undo()
        done.set()

    undo = wakes.listen(once)
    Wakes(database).wake()
    assert done.wait(10)


def test_the_folder_is_read_again_only_where_it_has_changed(
    database: Path, wakes: Wakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(database.parent, (1000, 1000))
    reads = []
    scandir = os.scandir
    monkeypatch.setattr("os.scandir", lambda path: reads.append(path) or scandir(path))
    for _ in range(10):
        wakes.wake()
    assert len(reads) == 1
