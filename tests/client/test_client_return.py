"""What becomes of a session, its calls and its topics when the connection is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from between import Between, messages
from house import House
from waiting import until

from limen import connect, exc
from limen.client.dial import Settings, WebSocketDial
from limen.client.session import Session

ADA = {"user": "ada", "password": "correct horse"}


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path / "keys")
    await house.start()
    yield house
    await house.stop()


def words(session: Session) -> list[str]:
    """What the session says of itself, as it says it."""
    said: list[str] = []
    for event in ("online", "offline", "missed", "taken_over", "signed_out"):
        session.on(event, lambda *args, event=event: said.append(event))
    return said


# -- sealed -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("encoding", ["json", "msgpack", "cbor"])
async def test_a_sealed_session_comes_back_without_its_password(house: House, encoding: Any) -> None:
    async with connect(house.url, **ADA, encoding=encoding) as session:
        said, first = words(session), session.id
        house.cut()
        await until(lambda: "online" in said)
        assert session.id != first
        assert (session.user, session.roles) == ("ada", ["nurse", "user"])
        assert await session.call("secret") == "sealed"
        assert said == ["offline", "online"]


async def test_a_running_call_survives_the_connection_and_runs_once(house: House) -> None:
    async with connect(house.url, **ADA) as session:
        calls = [asyncio.create_task(session.call("count_run")) for _ in range(3)]
        await until(lambda: house.runs == 3)
        for _ in range(3):
            house.cut()
            await until(lambda: session.state == "offline")
            await until(lambda: session.state == "online")
        house.gate.set()
        assert await asyncio.gather(*calls) == [3, 3, 3]
        assert house.runs == 3


async def test_an_answer_that_was_lost_on_the_way_is_given_again(house: House) -> None:
    async with Between(house.port) as between, connect(between.url, **ADA) as session:
        call = asyncio.create_task(session.call("count_run"))
        await until(lambda: house.runs == 1)
        between.change = lambda chunk, number: None
        house.gate.set()
        await until(lambda: session.state == "offline")
        between.change = lambda chunk, number: chunk
        assert await call == 1
        assert house.runs == 1


async def test_a_call_that_never_arrived_is_sent_again(house: House) -> None:
    async with connect(house.url, **ADA) as session:
        house.gate.set()
        arguments = ["as it was"]
        calls = [asyncio.create_task(session.call("count_run")) for _ in range(20)]
        echo = asyncio.create_task(session.call("echo", arguments))
        await asyncio.sleep(0)
        arguments.append("changed since")
        connection = session._line.connection
        assert connection is not None
        connection._transport.underlying_transport.abort()
        # parked or never seen: each has run exactly once
        assert len(await asyncio.gather(*calls)) == 20
        assert house.runs == 20
        assert await echo == ["as it was"]


async def test_calls_made_offline_wait_for_the_connection(house: House) -> None:
    async with connect(house.url, **ADA) as session:
        await house.stop()
        await until(lambda: session.state == "offline")
        calls = [asyncio.create_task(session.call("add", n, 1)) for n in range(5)]
        with pytest.raises(exc.InvalidValue):
            await session.call("echo", object())
        cancelled = asyncio.create_task(session.call("count_run"))
        await asyncio.sleep(0)
        cancelled.cancel()
        await house.start()
        assert await asyncio.gather(*calls) == [1, 2, 3, 4, 5]
        assert house.runs == 0


async def test_after_a_restart_open_calls_have_an_unknown_outcome_and_the_session_goes_on(house: House) -> None:
    async with connect(house.url, **ADA) as session:
        call = asyncio.create_task(session.call("count_run"))
        await until(lambda: house.runs == 1)
        await house.stop()
        waiting = asyncio.create_task(session.call("add", 1, 1))
        await house.start()
        with pytest.raises(exc.OutcomeUnknown):
            await call
        assert await waiting == 2
        assert house.runs == 1
        assert session.user == "ada"


async def test_after_a_restart_with_other_keys_the_session_is_over(house: House) -> None:
    async with connect(house.url, **ADA) as session:
        await house.stop()
        house.keys.unlink()
        house.app.vault.meta.set("fingerprints", "{}")
        await house.start()
        await until(lambda: session.state == "closed")
        with pytest.raises(exc.UnknownSession):
            await session.call("add", 1)


async def test_a_stream_that_was_interrupted_says_so(house: House) -> None:
    async with connect(house.url, **ADA) as session:
        stream = session.stream("forever")
        assert await anext(stream) == 0
        house.cut()
        with pytest.raises(exc.OutcomeUnknown):
            async for _ in stream:
                pass
        await until(lambda: house.runs == 1)


async def test_a_lost_welcome_makes_the_next_x_received_void(house: House) -> None:
    """The server resumed, and we never heard: what it says next speaks of that connection, not of ours."""
    async with Between(house.port) as between, connect(between.url, **ADA) as session:
        call = asyncio.create_task(session.call("count_run"))
        await until(lambda: house.runs == 1)
        pending = next(iter(session._calls._sent.values()))
        assert pending.frame >= 1  # so it would not be below the x_received of a connection with AUTHENTICATE alone
        swallowed = asyncio.Event()

        def swallow(chunk: bytes, number: int) -> bytes | None:
            if number == 3 and not swallowed.is_set():  # 101, CHALLENGE, WELCOME
                swallowed.set()
                return None
            return chunk

        between.change = swallow
        between.cut()
        await swallowed.wait()
        await until(lambda: session.state == "online")
        assert pending.repeat
        house.gate.set()
        assert await call == 1
        assert house.runs == 1


async def test_subscriptions_come_back_and_missed_is_said(house: House) -> None:
    async with connect(house.url, **ADA) as session:
        seen: list[int] = []
        undo = await session.subscribe("news", seen.append)
        said = words(session)
        house.cut()
        await until(lambda: "missed" in said)
        assert await session.call("add", 1) == 1  # SUBSCRIBE went before it
        house.news.publish(1)
        await until(lambda: seen == [1])
        assert said == ["offline", "online", "missed"]
        undo()


async def test_a_slot_that_is_gone_ends_the_session(house: House) -> None:
    async with connect(house.url, **ADA) as session:
        said = words(session)
        await asyncio.to_thread(house.app.vault.slots.remove_user, "localhost", "ada")
        waiting: list[asyncio.Task[int]] = []
        session.on("offline", lambda: waiting.append(asyncio.create_task(session.call("add", 1))))
        house.cut()
        await until(lambda: session.state == "closed")
        assert said == ["offline", "signed_out"]
        with pytest.raises(exc.ConnectionLost):  # it was never sent
            await waiting[0]
        with pytest.raises(exc.UnknownSession):
            await session.call("add", 1)


async def test_a_session_that_is_taken_over_says_so_and_does_not_come_back(house: House) -> None:
    async with connect(house.url, **ADA) as session:
        said, details = words(session), []
        session.on("taken_over", details.append)
        thief = Session(WebSocketDial(house.url, ("ada", ""), Settings()), Settings())
        thief._line.slot = session._line.slot  # a copied profile
        await thief._line.open()
        await until(lambda: session.state == "closed")
        assert said == ["taken_over", "signed_out"]
        assert details[0].keys() >= {"when", "from"}
        assert await thief.call("secret") == "sealed"
        with pytest.raises(exc.UnknownSession, match="elsewhere"):
            await session.call("secret")
        await thief.close()


async def test_patience_has_an_end(house: House) -> None:
    async with connect(house.url, **ADA, patience=0.3) as session:
        said = words(session)
        running = asyncio.create_task(session.call("count_run"))
        await until(lambda: house.runs == 1)
        await house.stop()
        await until(lambda: session.state == "offline")
        waiting = asyncio.create_task(session.call("add", 1))
        await until(lambda: session.state == "closed")
        with pytest.raises(exc.OutcomeUnknown):
            await running
        with pytest.raises(exc.ConnectionLost):
            await waiting
        assert said == ["offline", "signed_out"]
    await house.start()


async def test_closing_while_offline_ends_at_once(house: House) -> None:
    async with connect(house.url, **ADA) as session:
        await house.stop()
        await until(lambda: session.state == "offline")
    assert session.state == "closed"
    await house.start()


async def test_a_connection_lost_during_the_login_is_no_session(house: House) -> None:
    async with Between(house.port) as between:
        for last in range(1, 4):  # 101, CHALLENGE, WELCOME
            between.change = lambda chunk, number, last=last: chunk if number < last else None
            with pytest.raises(exc.ConnectionLost):
                async with connect(between.url, **ADA):
                    pass


# -- someone on the way -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("bit", [0, 77, 130])
async def test_a_changed_frame_ends_the_connection_not_the_session(house: House, bit: int) -> None:
    async with Between(house.port) as between, connect(between.url, **ADA) as session:
        said = words(session)

        def flip(chunk: bytes, number: int) -> bytes:
            between.change = lambda chunk, number: chunk
            changed = bytearray(chunk)
            changed[len(chunk) - 1 - bit // 8] ^= 1 << bit % 8
            return bytes(changed)

        between.change = flip
        assert await session.call("echo", "unharmed") == "unharmed"
        assert said == ["offline", "online"]


async def test_a_server_that_does_not_speak_limen_is_left(house: House) -> None:
    """No falling back: whoever strips the subprotocol on the way gets nothing."""
    async with Between(house.port) as between:
        between.change = lambda chunk, number: chunk.replace(b"limen.1.msgpack", b"wamp.2.msgpack")
        with pytest.raises(exc.ConnectionLost, match="does not speak"):
            async with connect(between.url, **ADA):
                pass
        assert len(messages(b"".join(between.up))) <= 1  # nothing but the CLOSE


# -- anonymous --------------------------------------------------------------------------------------------------
async def test_an_anonymous_session_comes_back_as_a_new_one(house: House) -> None:
    async with connect(house.url) as session:
        seen: list[int] = []
        await session.subscribe("news", seen.append)
        said, first = words(session), session.id
        call = asyncio.create_task(session.call("count_run"))
        await until(lambda: house.runs == 1)
        house.cut()
        with pytest.raises(exc.OutcomeUnknown):
            await call
        assert await session.call("add", 1) == 1  # waits for the connection
        assert session.id != first
        assert said == ["offline", "online", "missed"]
        house.news.publish(1)
        await until(lambda: seen == [1])


async def test_a_server_that_shuts_down_is_waited_for(house: House) -> None:
    async with connect(house.url) as session:
        said = words(session)
        for connection in house.connections:
            connection.goodbye("wamp.close.system_shutdown", {})
        await until(lambda: "online" in said)
        for connection in house.connections:
            connection.goodbye("wamp.close.close_realm", {"message": "You were asked to leave."})
        await until(lambda: session.state == "closed")
        with pytest.raises(exc.UnknownSession, match="asked to leave"):
            await session.call("add", 1)


async def test_why_it_does_not_come_back_is_said_once(house: House, caplog: pytest.LogCaptureFixture) -> None:
    async with connect(house.url) as session:
        await house.stop()
        await until(lambda: "It is tried again until it is there." in caplog.text)
        await house.start()
        await until(lambda: session.state == "online")
    assert caplog.text.count("It is tried again until it is there.") == 1
