"""The Unix socket of a running server: who may, what is asked, what is answered."""

from __future__ import annotations

import asyncio
import os
import stat
import tempfile
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from limen import App, DataStore, dbm, exc
from limen.app.control import MAX_LINE, ask, listen
from limen.app.running import lifespan
from limen.cli.operate import operator


def add(a: int, b: int = 0) -> int:
    return a + b


def fail() -> None:
    raise exc.RecordNotFound("There is no such user.", id=7)


@pytest.fixture
async def path(tmp_path: Path) -> AsyncIterator[Path]:
    server = await listen(tmp_path / "t.sock", {"add": add, "fail": fail})
    yield tmp_path / "t.sock"
    server.close()
    await server.wait_closed()


async def told(path: Path, operation: str, **arguments: Any) -> Any:
    return await asyncio.to_thread(ask, path, operation, **arguments)


async def test_only_the_owner_may_open_it(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_an_operation_gives_its_value_or_its_error(path: Path) -> None:
    assert await told(path, "add", a=2, b=3) == 5
    with pytest.raises(exc.RecordNotFound, match="no such user") as raised:
        await told(path, "fail")
    assert raised.value.facts["id"] == 7
    with pytest.raises(exc.NotFound, match="another version"):
        await told(path, "user.promote")
    for wrong in ({}, {"c": 1}, {"a": "x", "b": 2}):
        with pytest.raises(exc.InvalidCall):
            await told(path, "add", **wrong)


@pytest.mark.parametrize("line", [b"", b"\n", b"nonsense\n", b"[]\n", b"{}\n", b'{"operation": "add"}\n', b"\xff\n"])
async def test_what_is_no_request_is_answered_as_such(path: Path, line: bytes) -> None:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(line)
    writer.write_eof()
    assert b"InvalidCall" in await reader.readline()
    writer.close()


async def test_a_line_without_an_end_is_not_taken(path: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"x" * (2 * MAX_LINE))
    assert await reader.read() == b""
    writer.close()
    with pytest.raises(exc.ConnectionLost, match="without an answer"):
        await told(path, "add", a="x" * MAX_LINE)
    assert await told(path, "add", a=1) == 1


async def test_where_nobody_listens_that_is_said(tmp_path: Path, path: Path) -> None:
    with pytest.raises(exc.ConnectionLost, match="No server answers"):
        ask(tmp_path / "nobody.sock", "add")
    (tmp_path / "file.sock").write_text("no socket")
    with pytest.raises(exc.ConnectionLost, match="No server answers"):
        ask(tmp_path / "file.sock", "add")


async def test_the_socket_of_a_server_that_died_is_replaced(tmp_path: Path, path: Path) -> None:
    again = await listen(path, {"add": add})
    assert await told(path, "add", a=1) == 1
    again.close()


async def test_a_long_path_is_no_obstacle(tmp_path: Path) -> None:
    """A socket's address has 107 bytes, and a test's folder soon more."""
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    server = await listen(folder / "t.db.sock", {"add": add})
    assert stat.S_IMODE((folder / "t.db.sock").stat().st_mode) == 0o600
    assert await told(folder / "t.db.sock", "add", a=1) == 1
    server.close()


class Running:
    """An App that serves nobody but its operator, on a loop of its own."""

    def __init__(self, url: str) -> None:
        self.app = App()
        self.app.set_auth_storage(DataStore(dbm.SQLStore(url)))
        self._started, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with lifespan(self.app):
            self._started.set()
            await self._stop.wait()

    def __enter__(self) -> Running:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()


def test_an_operator_speaks_to_the_server_where_one_runs_and_opens_the_file_where_none_does(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/t.db"
    with Running(url) as running:
        with operator(url, None) as operate:
            operate("user.add", name="ada", password="lovelace", domain="localhost", roles=["nurse"])
        assert [account.user for account in running.app.auth.users()] == ["ada"]
        assert (tmp_path / "t.db.sock").exists()
    assert not (tmp_path / "t.db.sock").exists()
    with operator(url, None) as operate:
        assert operate("user.list") == [{"domain": "localhost", "user": "ada", "roles": ["nurse"], "disabled": False}]
        with pytest.raises(exc.Error, match="in use by another Limen"), operator(url, None):
            pass  # the first has the file for itself


def test_who_may_not_speak_to_the_server_is_told_so() -> None:
    with tempfile.TemporaryDirectory() as folder, Running(f"sqlite:///{folder}/t.db"):
        os.chmod(folder, 0o711)
        os.chmod(f"{folder}/t.db.sock", 0)
        if os.getuid() == 0:
            os.seteuid(65534)  # whom even a mode of 0 keeps out
        try:
            with pytest.raises(exc.Unauthorized, match="be that user"):
                ask(Path(folder, "t.db.sock"), "user.list")
        finally:
            os.seteuid(os.getuid())


async def test_a_file_that_is_no_socket_stays(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("of somebody")
    with pytest.raises(FileExistsError, match="no socket"):
        await listen(path, {"add": add})
    assert path.read_text() == "of somebody"
