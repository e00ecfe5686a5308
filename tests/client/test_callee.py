"""What a session registers, and how it answers: to a server far away, and in the server's own process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from house import House
from waiting import until

from limen import connect, exc
from limen.app.near import near
from limen.client import Answer, Session
from limen.client.callee import Invoked

ADA = {"user": "ada", "password": "correct horse"}
Open = Callable[[], contextlib.AbstractAsyncContextManager[Session]]


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path / "keys")
    await house.start()
    house.app.open_realms = True
    yield house
    await house.stop()


@pytest.fixture(params=["far", "near"])
def open_callee(request: Any, house: House) -> Open:
    """Opens a session of the kind."""
    if request.param == "near":
        return lambda: near(house.app.open(), "localhost")
    return lambda: connect(house.url)


class SoldOut(exc.Error):
    """Nothing of it is left."""

    status = 409


async def test_what_is_registered_answers_until_it_is_undone(house: House, open_callee: Open) -> None:
    async with open_callee() as callee, connect(house.url) as caller:
        undo = await callee.register("shop.add", lambda call: sum(call.args) + call.kwargs.get("more", 0))
        assert await caller.call("shop.add", 2, 3, more=4) == 9
        assert await callee.call("shop.add", 2) == 2  # itself, too
        await undo()
        with pytest.raises(exc.NotFound):
            await caller.call("shop.add", 2, 3)
        assert undo().done()
        await callee.register("shop.add", lambda call: "anew")
        assert await caller.call("shop.add") == "anew"


async def test_an_undo_acts_at_once(house: House, open_callee: Open) -> None:
    async with open_callee() as callee, connect(house.url) as caller:
        for n in range(20):  # the last one's end and the next one's beginning are under way together
            undo = await callee.register("shop.count", lambda call, n=n: n)
            assert await caller.call("shop.count") == n
            undo()


async def test_a_registration_that_is_given_up_while_it_is_asked_for_leaves_nothing(
    house: House, open_callee: Open
) -> None:
    async with open_callee() as callee:
        hasty = asyncio.ensure_future(callee.register("shop.add", lambda call: "hasty"))
        await asyncio.sleep(0)
        hasty.cancel()
        await asyncio.wait([hasty])
        await callee.register("shop.add", lambda call: "calm")
        assert await callee.call("shop.add") == "calm"


async def test_one_address_is_registered_once(house: House, open_callee: Open) -> None:
    async with open_callee() as callee, connect(house.url) as other:
        await callee.register("shop.add", lambda call: 1)
        for session in (callee, other):
            with pytest.raises(exc.RemoteError) as refused:
                await session.register("shop.add", lambda call: 2)
            assert refused.value.remote_uri == "wamp.error.procedure_already_exists"
        with pytest.raises(exc.RemoteError, match="registered"):
            await callee.register("add", lambda call: 2)  # a service stands there


async def test_a_pattern_learns_what_was_called(house: House, open_callee: Open) -> None:
    async with open_callee() as callee, connect(house.url) as caller:
        await callee.register("tree.", lambda call: call.uri, match="prefix")
        await callee.register("tree", lambda call: "the root")
        assert await caller.call("tree.first.second") == "tree.first.second"
        assert await caller.call("tree") == "the root"
        with pytest.raises(exc.NotFound):
            await caller.call("tree2.first")


async def test_a_callee_is_told_who_calls(house: House, open_callee: Open) -> None:
    async with open_callee() as callee, connect(house.url) as caller:
        await callee.register("who", lambda call: [call.caller, call.caller_authid, call.caller_authrole])
        id, user, role = await caller.call("who")
        assert (id, role) == (caller.id, "anonymous")
        assert user.startswith("anonymous-")


async def test_errors_go_by_name_and_failures_tell_nothing(
    house: House, open_callee: Open, caplog: pytest.LogCaptureFixture
) -> None:
    def sold_out(call: Invoked) -> None:
        raise SoldOut("No bolts.", article="bolt")

    async def divide(call: Invoked) -> float:
        return call.args[0] / 0

    async def canceled(call: Invoked) -> None:
        await callee.call("sold.out")

    async with open_callee() as callee, connect(house.url) as caller:
        await callee.register("sold.out", sold_out)
        await callee.register("divide", divide)
        await callee.register("unsayable", lambda call: object())
        await callee.register("passed.on", canceled)
        for name in ("sold.out", "passed.on"):
            with pytest.raises(SoldOut, match="No bolts") as refused:
                await caller.call(name)
            assert refused.value.facts == {"article": "bolt"}
        with caplog.at_level(logging.ERROR, "limen.client"), pytest.raises(exc.InternalError) as failed:
            await caller.call("divide", 1)
        assert failed.value.to_wire() == exc.InternalError().to_wire()
        assert "divide failed" in caplog.text
        assert "ZeroDivisionError" in caplog.text
        with pytest.raises(exc.InvalidValue, match="object"):
            await caller.call("unsayable")


async def test_results_are_of_any_shape(house: House, open_callee: Open) -> None:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    future.set_result("later")
    async with open_callee() as callee, connect(house.url) as caller:
        for name, outcome in {
            "nothing": None,
            "list": [1, 2],
            "several": Answer([1, 2], {"more": 3}),
            "future": future,
        }.items():
            await callee.register(name, lambda call, outcome=outcome: outcome)
        assert await caller.call("nothing") is None
        assert await caller.call("list") == [1, 2]
        assert await caller.call("several") == Answer([1, 2], {"more": 3})
        assert await caller.call("future") == "later"


async def test_a_generator_gives_values_one_by_one_or_a_list(house: House, open_callee: Open) -> None:
    async def count(call: Invoked) -> AsyncIterator[int]:
        for n in range(call.args[0]):
            yield n
        if len(call.args) > 1:
            raise SoldOut

    async with open_callee() as callee, connect(house.url) as caller:
        await callee.register("shop.count", count)
        assert [n async for n in caller.stream("shop.count", 4)] == [0, 1, 2, 3]
        assert await caller.call("shop.count", 4) == [0, 1, 2, 3]
        pushed: list[int] = []
        assert await caller.apply("shop.count", [3], push=pushed.append) is None
        assert pushed == [0, 1, 2]
        with pytest.raises(SoldOut):
            await caller.apply("shop.count", [2, "fail"], push=pushed.append)
        assert pushed == [0, 1, 2, 0, 1]


async def test_a_cancelled_call_is_cancelled_here(house: House, open_callee: Open) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def wait(call: Invoked) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def forever(call: Invoked) -> AsyncIterator[int]:
        try:
            while True:
                yield 1
                await asyncio.sleep(0)
        finally:
            ended.set()

    async with open_callee() as callee, connect(house.url) as caller:
        await callee.register("wait", wait)
        await callee.register("shop.forever", forever)
        task = asyncio.ensure_future(caller.call("wait"))
        await began.wait()
        task.cancel()
        await ended.wait()
        ended.clear()
        async for _ in (stream := caller.stream("shop.forever")):
            break
        stream.close()
        await ended.wait()
        ended.clear()
        with pytest.raises(exc.Timeout):
            await caller.apply("wait", timeout=0.01)
        await ended.wait()


async def test_what_runs_ends_with_the_session(house: House, open_callee: Open) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def wait(call: Invoked) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with connect(house.url) as caller:
        async with open_callee() as callee:
            await callee.register("wait", wait)
            task = asyncio.ensure_future(caller.call("wait"))
            await began.wait()
        assert ended.is_set()
        with pytest.raises(exc.Error):
            await task


async def test_what_fails_when_its_caller_is_gone_is_in_the_log(
    house: House, open_callee: Open, caplog: pytest.LogCaptureFixture
) -> None:
    began = asyncio.Event()

    async def wait(call: Invoked) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("the file was not closed")

    async with connect(house.url) as caller:
        async with open_callee() as callee:
            await callee.register("wait", wait)
            task = asyncio.ensure_future(caller.call("wait"))
            await began.wait()
        with pytest.raises(exc.Error):
            await task
    assert "wait failed" in caplog.text
    assert "the file was not closed" in caplog.text


async def test_a_returned_session_has_registered_again_before_its_calls_go(house: House, open_callee: Open) -> None:
    async with open_callee() as callee, connect(house.url) as listener:
        heard: list[Any] = []
        await callee.register("echo.back", lambda call: call.args[0])
        await callee.subscribe("news.", lambda *event: heard.append(event[:3]), match="prefix", topic=True)
        restored = asyncio.Event()
        callee.on("restored", restored.set)
        callee._line.drop("cut")
        assert callee.state == "offline"
        assert await callee.call("echo.back", 7) == 7  # it waited for the registration, by its place in the queue
        await restored.wait()
        await until(lambda: listener.state == "online")
        await listener.publish("news.today", 1, x=2)
        await until(lambda: heard)
        assert heard == [("news.today", [1], {"x": 2})]


async def test_a_sealed_session_calls_the_program_and_no_stranger(house: House) -> None:
    async with connect(house.url, **ADA) as ada:
        async with connect(house.url) as stranger:
            await stranger.register("shop.add", lambda call: "stranger")
            with pytest.raises(exc.NotFound):
                await ada.call("shop.add")
        async with near(house.app.open(), "localhost") as program:
            await program.register("shop.add", lambda call: [call.caller_authid, call.caller_authrole])
            assert await ada.call("shop.add") == ["ada", "nurse"]


async def test_no_rule_is_asked_about_the_program(house: House) -> None:
    house.app.open_realms = False
    async with near(house.app.open(), "localhost") as program, connect(house.url) as stranger:
        heard: list[Any] = []
        await program.subscribe("anything", lambda *args: heard.append(args))
        await program.register("shop.add", lambda call: 1)
        assert await program.call("shop.add") == 1
        await program.publish("anything", 1)
        assert heard == []  # one's own
        with pytest.raises(exc.Unauthorized):
            await stranger.register("shop.sub", lambda call: 1)
        assert await program.call("add", 2, 3) == 5  # a local service
        with pytest.raises(exc.Unauthorized):
            await program.call("secret")  # as nobody


async def test_what_another_has_taken_meanwhile_is_had_back_when_it_is_free(house: House, open_callee: Open) -> None:
    """As it is when the router has not noticed yet that the lost connection is lost: it is ourselves who have it."""
    async with open_callee() as callee, connect(house.url) as other:
        said: list[str] = []
        offline, restored = asyncio.Event(), asyncio.Event()
        callee.on("offline", offline.set)
        callee.on("restored", restored.set)
        callee.on("revoked", lambda *what: said.append("revoked"))
        undo = await callee.register("shop.add", lambda call: "callee")
        away = asyncio.Event()
        dial = callee._line._dial

        async def dial_later(*args: Any) -> Any:
            await away.wait()
            return await dial(*args)

        callee._line._dial = dial_later  # type: ignore[assignment]
        callee._line.drop("cut")
        await until(lambda: "shop.add" not in registered(house))
        give_back = await other.register("shop.add", lambda call: "other")
        away.set()
        await until(lambda: callee.state == "online")
        assert await callee.call("shop.add") == "other"
        assert not callee.restored
        await give_back()
        await restored.wait()
        assert await other.call("shop.add") == "callee"
        assert said == []
        await undo()


def registered(house: House) -> set[str]:
    realm = house.app.open().realm("localhost")
    return {one.uri for session in realm.sessions.values() for one in session.registrations.values()}


# -- subscriptions ----------------------------------------------------------------------------------------------
async def test_a_subscription_is_its_topic_and_its_match(house: House, open_callee: Open) -> None:
    async with open_callee() as session, connect(house.url) as other:
        heard: list[Any] = []

        def note(kind: str) -> Callable[..., None]:
            return lambda topic, args, kwargs, details: heard.append((kind, topic, *args))

        undo = [
            await session.subscribe("a.b", note("exact"), topic=True),
            await session.subscribe("a.b", note("prefix"), match="prefix", topic=True),
            await session.subscribe("a.", note("wildcard"), match="wildcard", topic=True),
        ]
        await other.publish("a.b", 1)
        await other.publish("a.b.c", 2)
        await until(lambda: len(heard) == 4)
        assert sorted(heard) == [
            ("exact", "a.b", 1),
            ("prefix", "a.b", 1),
            ("prefix", "a.b.c", 2),
            ("wildcard", "a.b", 1),
        ]
        await undo[1]()
        heard.clear()
        await other.publish("a.b.c", 3)
        await other.publish("a.b", 4)
        await until(lambda: len(heard) == 2)
        assert {kind for kind, *_ in heard} == {"exact", "wildcard"}
        await asyncio.gather(*(each() for each in undo))


async def test_a_call_of_a_callee_is_not_made_again_when_a_sealed_connection_returns(house: House) -> None:
    runs, held = [], asyncio.Event()

    async def work(call: Invoked) -> None:
        runs.append(call)
        await held.wait()

    async with near(house.app.open(), "localhost") as program, connect(house.url, **ADA) as session:
        await program.register("work", work)
        asked = asyncio.create_task(session.call("work"))
        await until(lambda: bool(runs))
        house.cut()
        with pytest.raises(exc.OutcomeUnknown):
            await asked
        assert len(runs) == 1


async def test_a_call_is_not_made_again_either_when_the_connection_is_lost_twice_before_it_could_be(
    house: House,
) -> None:
    runs, held, losses = [], asyncio.Event(), 1

    async def work(call: Invoked) -> None:
        runs.append(call)
        if len(runs) == 1:
            await held.wait()

    async with near(house.app.open(), "localhost") as program, connect(house.url, **ADA) as session:
        await program.register("work", work)

        async def losing() -> None:
            nonlocal losses
            if losses:
                losses -= 1
                house.cut()
                await held.wait()

        session.first.append(losing)
        for _ in range(5):
            await session.call("add", 1)  # so its frame is one that the next connection never comes to
        asked = asyncio.create_task(session.call("work"))
        await until(lambda: bool(runs))
        house.cut()
        with pytest.raises(exc.OutcomeUnknown):
            await asked
        assert len(runs) == 1
