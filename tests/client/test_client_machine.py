"""A Python program with a credentials file: in, out and in again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from house import House
from waiting import until

import limen
from limen import exc
from limen.client.machine import read


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path / "keys")
    await house.start()
    yield house
    await house.stop()


@pytest.fixture
def key_file(house: House, tmp_path: Path) -> Path:
    house.app.auth.add_machine("robot", roles=["machine"])
    return write(house, tmp_path / "robot.key")


def write(house: House, path: Path, kind: str = "x25519") -> Path:
    path.write_text(house.app.auth.add_key("robot", kind=kind).dump())
    path.chmod(0o600)
    return path


async def test_a_file_opens_a_sealed_session(house: House, key_file: Path) -> None:
    async with limen.connect(house.url, key=key_file) as session:
        assert (session.user, session.role, session.sealed) == ("robot", "machine", True)
        assert await session.call("secret") == "sealed"


async def test_calls_under_way_survive_a_lost_connection(house: House, key_file: Path) -> None:
    async with limen.connect(house.url, key=str(key_file)) as session:
        call = asyncio.ensure_future(session.call("count_run"))
        await until(lambda: house.runs == 1)
        house.cut()
        await until(lambda: session.state == "online" and house.connections)
        house.gate.set()
        assert await call == 1


async def test_when_its_session_is_over_it_logs_in_again(house: House, key_file: Path) -> None:
    """A service that runs for months outlives SESSION_MAX_AGE, and a server whose slots are gone."""
    async with limen.connect(house.url, key=key_file) as session:
        for _ in range(2):
            before = session.id
            (tab,) = house.app.hub.tabs  # type: ignore[union-attr]
            house.app.hub.logins.end(tab, "limen.close.expired")  # type: ignore[union-attr]
            await until(lambda before=before: session.state == "online" and session.id != before)
            assert await session.call("secret") == "sealed"


async def test_a_removed_key_ends_the_program_s_session_for_good(house: House, key_file: Path) -> None:
    async with limen.connect(house.url, key=key_file) as session:
        await asyncio.to_thread(house.app.auth.remove_key, read(key_file).id)
        await until(lambda: session.state == "closed")
        with pytest.raises(exc.UnknownSession):
            await session.call("secret")


async def test_a_removed_key_is_refused(house: House, key_file: Path) -> None:
    house.app.auth.remove_key(read(key_file).id)
    with pytest.raises(exc.InvalidCredential, match="not take this key: it was removed"):
        async with limen.connect(house.url, key=key_file):
            pass


async def test_a_server_that_the_key_is_not_for_is_found_out(house: House, key_file: Path, tmp_path: Path) -> None:
    text = key_file.read_text()
    forged = tmp_path / "forged.key"
    forged.write_text(text.replace(read(key_file).server, "09" + "00" * 31))
    forged.chmod(0o600)
    with pytest.raises(exc.InvalidCredential):
        async with limen.connect(house.url, key=forged):
            pass


async def test_a_key_goes_to_no_other_domain(house: House, key_file: Path) -> None:
    with pytest.raises(exc.InvalidCredential, match=r"is for 'localhost', and not for 'evil\.example'"):
        limen.connect("https://evil.example", key=key_file)


async def test_a_key_and_a_password_are_not_mixed(key_file: Path) -> None:
    with pytest.raises(exc.InvalidCredential, match="not both"):
        limen.connect("http://localhost", "ada", "correct horse", key=key_file)


async def test_a_file_that_others_may_read_is_warned_of(key_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "limen.client"):
        read(key_file)
        assert caplog.text == ""
        key_file.chmod(0o640)
        secret = read(key_file).private
    assert "chmod 600" in caplog.text
    assert secret not in caplog.text


@pytest.mark.parametrize("text", ["", "{}", "[]", "\0", '{"limen": 1, "kind": "x25519"}'])
def test_another_file_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.key"
    path.write_text(text + " secret")
    path.chmod(0o600)
    with pytest.raises(exc.InvalidCredential) as refused:
        read(path)
    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None


async def test_a_key_of_another_kind_says_so(house: House, key_file: Path, tmp_path: Path) -> None:
    with pytest.raises(exc.InvalidCredential, match="of kind x25519; the one of 'robot' is of http"):
        read(write(house, tmp_path / "http.key", "http"))


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(exc.InvalidCredential, match="can't be read: No such file"):
        read(tmp_path / "no.key")


async def test_nothing_secret_shows(house: House, key_file: Path) -> None:
    credentials = read(key_file)
    shown = repr(credentials) + repr(credentials.key) + str(house.app.auth.keys())
    assert credentials.private not in shown
    assert credentials.private not in repr(limen.connect(house.url, key=credentials))
