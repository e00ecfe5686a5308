"""The Python client against a real server: calls, streams, topics, errors."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from house import House
from waiting import until

from limen import connect, exc
from limen.client import Answer

ADA = {"user": "ada", "password": "correct horse"}
BOTH = pytest.mark.parametrize("who", [{}, ADA], ids=["anonymous", "sealed"])
ENCODINGS = pytest.mark.parametrize("encoding", ["json", "msgpack", "cbor"])


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path / "keys")
    await house.start()
    yield house
    await house.stop()


@BOTH
@ENCODINGS
async def test_a_call_gives_what_the_service_returns(house: House, encoding: Any, who: dict[str, str]) -> None:
    async with connect(house.url, **who, encoding=encoding) as session:
        assert await session.call("add", 2, 3) == 5
        assert await session.call("add", a=2, b=40) == 42
        assert await session.apply("/add.json", [1], {"b": 2}) == 3
        assert await session.call("echo") is None
        value = {"a": [1, "x", None, True, 1.5, b"\x00\xff"]}
        assert await session.call("echo", value) == value
        assert session.state == "online"
        assert session.user == who.get("user")
    assert session.state == "closed"


async def test_types_cross_unharmed_in_a_sealed_session(house: House) -> None:
    async with connect(house.url, **ADA) as session:
        for value in (Decimal("1.50"), (1, 2), {1, 2}, 2**70, {"$x": 1}, float("inf")):
            assert await session.call("echo", value) == value


async def test_a_sealed_session_knows_its_user(house: House) -> None:
    async with connect(house.url, user="ＡＤＡ", password="correct horse") as session:
        assert (session.user, session.domain, session.sealed) == ("ada", "localhost", True)
        assert (session.role, session.roles) == ("nurse", ["nurse", "user"])
        assert session.profile["name"] == "Ada"
        assert await session.call("secret") == "sealed"
    async with connect(house.url) as session:
        assert (session.user, session.role, session.sealed) == (None, "anonymous", False)
        with pytest.raises(exc.Unauthorized):
            await session.call("secret")


async def test_a_wrong_password_and_an_unknown_user_sound_the_same(house: House) -> None:
    said = set()
    for user, password in [("ada", "wrong"), ("nobody", "correct horse")]:
        with pytest.raises(exc.InvalidCredential) as refused:
            async with connect(house.url, user=user, password=password):
                pass
        said.add(str(refused.value))
    assert len(said) == 1
    assert not house.app.hub.tabs  # type: ignore[union-attr]


@BOTH
async def test_errors_come_by_their_names(house: House, who: dict[str, str]) -> None:
    async with connect(house.url, **who) as session:
        with pytest.raises(exc.RecordNotFound, match="Nothing here") as caught:
            await session.call("fail")
        assert caught.value.facts["id"] == 7
        with pytest.raises(exc.NotFound):
            await session.call("no.such.service")
        with pytest.raises(exc.InvalidCall):
            await session.call("add")
        with pytest.raises(exc.InvalidValue, match="object"):
            await session.call("echo", object())
        assert await session.call("add", 1) == 1  # and the session goes on


async def test_calls_under_way_do_not_wait_for_each_other(house: House) -> None:
    async with connect(house.url, **ADA) as session:
        slow = asyncio.create_task(session.call("slow.answer", "late"))
        assert await asyncio.gather(*(session.call("add", n, 1) for n in range(200))) == list(range(1, 201))
        assert not slow.done()
        house.gate.set()
        assert await slow == "late"


async def test_a_cancelled_call_is_cancelled_on_the_server(house: House) -> None:
    async with connect(house.url, **ADA) as session:
        task = asyncio.create_task(session.call("slow/answer"))
        await until(lambda: house.connections[0].running)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not house.connections[0].running)
        assert await session.call("add", 1) == 1


async def test_a_call_that_takes_too_long_ends_on_both_sides(house: House) -> None:
    async with connect(house.url, **ADA, timeout=0.05) as session:
        with pytest.raises(exc.Timeout):
            await session.call("slow.answer")
        await until(lambda: not house.connections[0].running)
        with pytest.raises(exc.Timeout):
            await session.apply("slow.answer", timeout=0.01)
        house.gate.set()
        assert await session.apply("slow.answer", timeout=5) == "done"


# -- streams ----------------------------------------------------------------------------------------------------
@BOTH
async def test_a_stream_gives_values_as_they_come(house: House, who: dict[str, str]) -> None:
    async with connect(house.url, **who) as session:
        assert [n async for n in session.stream("count", 5)] == [0, 1, 2, 3, 4]
        assert [n async for n in session.stream("count", to=0)] == []


async def test_a_stream_begins_with_the_first_value_asked_for(house: House) -> None:
    async with connect(house.url) as session:
        stream = session.stream("no.such.service")
        with pytest.raises(exc.NotFound):
            await anext(stream)
        stream = session.stream("count", 3)
        stream.close()
        assert [n async for n in stream] == []


async def test_leaving_a_stream_early_ends_it_on_the_server(house: House) -> None:
    async with connect(house.url) as session:
        async for n in session.stream("forever"):
            if n == 3:
                break
        gc.collect()
        await until(lambda: house.runs == 1)
        stream = session.stream("forever")
        assert await anext(stream) == 0
        stream.close()
        await until(lambda: house.runs == 2)
        assert [n async for n in stream] == []


async def test_a_cancelled_reader_ends_the_stream_on_the_server(house: House) -> None:
    async with connect(house.url) as session:

        async def read() -> None:
            async for _ in session.stream("forever"):
                pass

        task = asyncio.create_task(read())
        await until(lambda: house.connections[0].running)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: house.runs == 1)


# -- topics -----------------------------------------------------------------------------------------------------
@BOTH
@ENCODINGS
async def test_events_reach_their_handlers_in_order(house: House, encoding: Any, who: dict[str, str]) -> None:
    async with connect(house.url, **who, encoding=encoding) as session:
        seen: list[Any] = []
        undo = await session.subscribe("news", lambda *args, **kwargs: seen.append((args, kwargs)))
        for n in range(3):
            house.news.publish(n, text="x")
        await until(lambda: len(seen) == 3)
        assert seen == [((n,), {"text": "x"}) for n in range(3)]
        undo()
        undo()
        assert await session.call("add", 1) == 1
        house.news.publish(4)
        assert await session.call("add", 1) == 1
        assert len(seen) == 3


async def test_a_topic_is_subscribed_once_for_all_its_handlers(house: House) -> None:
    async with connect(house.url) as session:
        one: list[int] = []
        two: list[int] = []

        async def handler(n: int) -> None:
            await asyncio.sleep(0)
            two.append(n)

        undo_one, undo_two = await asyncio.gather(
            session.subscribe("news", one.append), session.subscribe("news", handler)
        )
        house.news.publish(1)
        await until(lambda: one == two == [1])
        undo_one()
        house.news.publish(2)
        await until(lambda: two == [1, 2])
        assert one == [1]
        undo_two()
        await session.subscribe("news", one.append)
        house.news.publish(3)
        await until(lambda: one == [1, 3])
        assert two == [1, 2]


async def test_a_handler_that_fails_is_logged_and_hurts_nobody(house: House, caplog: pytest.LogCaptureFixture) -> None:
    async with connect(house.url) as session:
        seen: list[int] = []

        async def later(n: int) -> None:
            raise RuntimeError("later")

        await session.subscribe("news", lambda n: 1 / 0)
        await session.subscribe("news", later)
        await session.subscribe("news", seen.append)
        with caplog.at_level(logging.ERROR, "limen.client"):
            house.news.publish(1)
            await until(lambda: seen == [1] and len(caplog.records) == 2)


async def test_a_topic_that_is_not_offered_is_refused(house: House) -> None:
    async with connect(house.url) as session:
        with pytest.raises(exc.Error):
            await session.subscribe("no.such.topic", print)
        with pytest.raises(exc.Error):
            await session.publish("news", 1)


async def test_clients_publish_where_they_may(house: House) -> None:
    house.app.open_realms = True
    async with connect(house.url) as one, connect(house.url, encoding="json") as two:
        seen: list[Any] = []
        await one.subscribe("chat", lambda *args, **kwargs: seen.append((args, kwargs)))
        await two.publish("chat", "hi", by="two")
        await until(lambda: seen == [(("hi",), {"by": "two"})])


# -- opening and closing ----------------------------------------------------------------------------------------
async def test_nothing_can_be_called_before_and_after(house: House) -> None:
    session = connect(house.url)
    for _ in range(2):
        with pytest.raises(exc.ConnectionLost):
            await session.call("add", 1)
        with pytest.raises(exc.ConnectionLost):
            await session.subscribe("news", print)
        with pytest.raises(exc.ConnectionLost):
            await session.publish("news")
        with pytest.raises(exc.ConnectionLost):
            await anext(session.stream("count", 1))
        if session.id == 0:
            async with session:
                assert await session.call("add", 1) == 1
    with pytest.raises(exc.ConnectionLost, match="once"):
        async with session:
            pass


async def test_closing_ends_the_session_on_the_server_too(house: House) -> None:
    async with connect(house.url, **ADA) as session:
        task = asyncio.create_task(session.call("slow.answer"))
        await until(lambda: house.connections[0].running)
        assert len(house.app.hub.tabs) == 1  # type: ignore[union-attr]
    with pytest.raises(exc.OutcomeUnknown):
        await task
    await until(lambda: not house.connections)
    assert len(house.app.hub.tabs) == 0  # type: ignore[union-attr]


async def test_a_server_that_is_not_there_is_said_so(house: House) -> None:
    await house.stop()
    with pytest.raises(exc.ConnectionLost, match="reached"):
        async with connect(house.url, open_timeout=1):
            pass
    await house.start()


async def test_another_path_and_another_host_are_refused(house: House) -> None:
    with pytest.raises(exc.ConnectionLost, match="404"):
        async with connect(house.url + "/elsewhere"):
            pass
    with pytest.raises(exc.Error):
        async with connect(house.url, realm="other"):
            pass


@pytest.mark.parametrize(
    "url", ["", "localhost:9000", "ftp://x", "http://", "http://a b/", "http://ada:x@h/", "ws://h:x"]
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(exc.InvalidAddress):
        connect(url)


def test_half_a_credential_is_refused() -> None:
    with pytest.raises(exc.InvalidCredential):
        connect("http://localhost", user="ada")
    with pytest.raises(exc.InvalidCredential):
        connect("http://localhost", password="x")
    with pytest.raises(exc.InvalidAddress):
        connect("http://localhost", user="ada", password="x", realm="r")


async def test_a_password_can_be_changed_from_inside(house: House) -> None:
    async with connect(house.url, **ADA) as one, connect(house.url, **ADA) as two:
        signed_out = asyncio.get_running_loop().create_future()
        two.on("signed_out", signed_out.set_result)
        await one.change_password("battery staple")
        assert isinstance(await signed_out, exc.UnknownSession)
        assert two.state == "closed"
        assert await one.call("add", 1) == 1
    with pytest.raises(exc.InvalidCredential):
        async with connect(house.url, **ADA):
            pass
    async with connect(house.url, user="ada", password="battery staple") as session:
        assert session.user == "ada"


async def test_nothing_secret_shows(house: House) -> None:
    session = connect(house.url, **ADA)
    assert "correct" not in repr(session)
    async with session:
        assert "correct" not in repr(vars(session)) + repr(vars(session._line))
        assert repr(session).endswith("online, user='ada')")


def test_several_results_stay_several() -> None:
    from limen.client.calls import answer

    assert answer([1, 2], None) == Answer([1, 2], {})
    assert answer(None, {"a": 1}) == Answer([], {"a": 1})


async def test_handlers_of_unknown_events_are_refused(house: House) -> None:
    with pytest.raises(ValueError, match="there is no event"):
        connect(house.url).on("onlin", print)
