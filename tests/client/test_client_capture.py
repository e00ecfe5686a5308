"""A capture of a whole session, searched: login, calls, results, errors, streams, events, a resume, the end."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from between import Between, messages
from house import House
from waiting import until

from limen import connect, exc

ADA = {"user": "ada", "password": "correct horse"}
ENCODINGS = pytest.mark.parametrize("encoding", ["json", "msgpack", "cbor"])
SECRETS = ["argument", "by name", "Grüße", "a result", "an event", "Nothing here"]
SECRETS += ["slow.answer", "echo", "news", "count", "fail"]
"""Of arguments, results, errors, and addresses of services and topics."""
PEOPLE = ["ada", "Ada", "nurse", "correct", "horse"]
"""Names, roles and the password."""
PROTOCOL = ["limen.slot", "x_id", "x_received", "x_profile", "roles", "wamp.", "logout", "progress"]


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path / "keys")
    await house.start()
    yield house
    await house.stop()


def found(words: list[str], frames: list[bytes]) -> set[str]:
    """Which of *words* can be read in *frames*: as text of one or two bytes, or inside base64."""
    seen = b"\n".join(frames)
    return {word for word in words if any(form in seen for form in forms(word))}


def forms(word: str) -> list[bytes]:
    data = word.encode()
    inside = [b64encode(bytes(n) + data)[(8 * n + 5) // 6 :].rstrip(b"=")[: (8 * len(data)) // 6 - 1] for n in range(3)]
    return [data, word.encode("utf-16-le"), word.encode("utf-16-be"), *(form for form in inside if len(form) > 4)]


def test_the_search_finds_what_is_there() -> None:
    for before in range(4):
        assert found(["a result"], [b"x" * before, b64encode(b"x" * before + b"a result of it")]) == {"a result"}
    assert found(["Grüße"], ["Viele Grüße".encode("utf-16-le")]) == {"Grüße"}
    assert found(["argument"], [b"arguing"]) == set()


async def do_all(session: Any, house: House) -> None:
    heard: list[Any] = []
    await session.subscribe("news", lambda *args: heard.append(args))
    assert await session.call("echo", "argument") == "argument"
    assert await session.call("echo", value={"by name": ["Grüße", b"a result"]}) == {"by name": ["Grüße", b"a result"]}
    with pytest.raises(exc.RecordNotFound, match="Nothing here"):
        await session.call("fail")
    assert [n async for n in session.stream("count", 3)] == [0, 1, 2]
    house.news.publish("an event")
    await until(lambda: heard == [("an event",)])
    await session.call("slow.answer", "a result")


@ENCODINGS
async def test_nothing_said_in_a_sealed_session_can_be_read_on_the_way(house: House, encoding: Any) -> None:
    house.gate.set()
    async with Between(house.port) as between:
        async with connect(between.url, **ADA, encoding=encoding) as session:
            await do_all(session, house)
            said: list[str] = []
            session.on("online", lambda: said.append("online"))
            between.cut()
            await until(lambda: said == ["online"])
            await do_all(session, house)
        (login_up, login_down), (resume_up, resume_down) = between.connections
    upgrades = [bytes(part).partition(b"\r\n\r\n")[0] for both in between.connections for part in both]
    login, answer = messages(bytes(login_up)), messages(bytes(login_down))
    resume, challenge = messages(bytes(resume_up)), messages(bytes(resume_down))
    # HELLO, CHALLENGE and AUTHENTICATE are in clear; of a resume AUTHENTICATE is sealed.
    sealed = login[2:] + answer[1:] + resume[1:] + challenge[1:]
    assert len(sealed) > 30
    assert found(SECRETS + PEOPLE + PROTOCOL, sealed) == set()
    assert found(SECRETS, upgrades + login + answer + resume + challenge) == set()
    # Who it is shows once, in the HELLO of the login; the password never.
    assert found(PEOPLE, login[:1]) == {"ada"}
    assert found(PEOPLE, upgrades + login[1:] + answer + resume + challenge) == set()


@ENCODINGS
async def test_the_same_in_clear_is_all_there(house: House, encoding: Any) -> None:
    """So that the search is known to find it."""
    house.gate.set()
    async with Between(house.port) as between:
        async with connect(between.url, encoding=encoding) as session:
            await do_all(session, house)
        ((up, down),) = between.connections
    assert found(SECRETS, messages(bytes(up)) + messages(bytes(down))) == set(SECRETS)


async def test_what_is_said_twice_does_not_look_alike(house: House) -> None:
    """Nor does the same call of another session: nobody learns that it is the same."""
    frames: list[bytes] = []
    async with Between(house.port) as between:
        for _ in range(2):
            async with connect(between.url, **ADA) as session:
                for _ in range(5):
                    await session.call("echo", "argument")
        for up, down in between.connections:
            frames += [one for one in messages(bytes(up))[2:] + messages(bytes(down))[1:] if len(one) > 2]  # no CLOSE
    assert len(frames) > 20
    assert len(set(frames)) == len(frames)
    assert len({frame[:8] for frame in frames}) == len(frames)
