"""Sealed calls over plain requests: what works, across processes too, and what becomes of lost requests."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest
from laneside import House, Process, Way, Wires, a_house, enter
from waiting import until

from limen import exc
from limen.client.handshake import ROLES
from limen.client.lane import LaneSession, _Greeting, login, login_with_key
from limen.core.seal.lane import Caller
from limen.core.seal.login import ClientRegistration, ClientResume
from limen.core.seal.noise import PrivateKey
from limen.core.wamp.codecs import codec
from limen.core.wamp.messages import Authenticate, Event, Hello


@pytest.fixture
def app() -> House:
    return a_house()


@pytest.fixture
async def two(app: House) -> tuple[Process, Process]:
    """Two processes of one server."""
    wires: list[Wires] = []
    return Process(app, wires), Process(app, wires)


@pytest.mark.parametrize("encoding", ["json", "msgpack", "cbor"])
async def test_a_session_calls_and_ends(app: House, encoding: Any) -> None:
    process = Process(app, [])
    way = Way(process)
    session = await enter(app, way, encoding)
    assert (session.user, session.roles, session.profile) == ("robot", ["machine"], {"username": "robot"})
    value = {"b": b"\x00\xff", "t": (1, 2.5, None), "s": "mil\u00e9"}
    assert await session.call("echo", [value]) == value
    with pytest.raises(exc.RecordNotFound) as failed:
        await session.call("fail")
    assert failed.value.facts == {"milk": 3}
    got: list[int] = []
    await session.call("count", [3], push=got.append)
    assert got == [0, 1, 2]
    await session.logout()
    with pytest.raises(exc.UnknownSession):
        await session.call("echo", [1])
    assert app.vault.slots.list() == []
    assert process.level() == 0.0


async def test_a_password_opens_a_session_and_a_wrong_one_is_counted(app: House) -> None:
    app.auth.add_user("ada", "correct horse", roles=["nurse"])
    process = Process(app, [])
    way = Way(process)
    session = await login(way, "localhost", "ada", "correct horse")
    assert session.roles == ["nurse"]
    assert await session.call("echo", [1]) == 1
    with pytest.raises(exc.InvalidCredential):
        await login(way, "localhost", "ada", "wrong")
    process.ledger.tick(time.time() + 31)
    assert process.level() == pytest.approx(1.0, abs=0.2)
    await _change_password(session, "battery staple")
    assert await session.call("echo", [2]) == 2
    with pytest.raises(exc.InvalidCredential):
        await login(way, "localhost", "ada", "correct horse")


async def _change_password(session: LaneSession, password: str) -> None:
    machine = ClientRegistration(session.user, password, domain=session.domain, entropy=bytes(range(96)))
    record = machine.record(await session.call("limen.password.begin", [machine.request]))
    await session.call("limen.password.finish", [record])


async def test_a_login_may_begin_at_one_process_and_end_at_another(app: House, two: tuple[Process, Process]) -> None:
    app.auth.add_user("ada", "correct horse")
    session = await login(Way(*two), "localhost", "ada", "correct horse")
    assert await session.call("echo", [1]) == 1
    for process in two:
        process.ledger.tick(time.time() + 31)
        assert process.level() == 0.0


async def test_any_process_takes_any_call(app: House, two: tuple[Process, Process]) -> None:
    session = await enter(app, Way(*two))
    assert [await session.call("echo", [n]) for n in range(20)] == list(range(20))
    assert await asyncio.gather(*(session.call("echo", [n]) for n in range(40))) == list(range(40))
    assert all(process.level() == 0.0 for process in two)


async def test_a_call_whose_answer_was_lost_is_answered_and_not_run_again(
    app: House, two: tuple[Process, Process]
) -> None:
    for way in (Way(two[0]), Way(*two)):
        session = await enter(app, way)
        app.ran.clear()
        way.lose = 1
        assert await session.call("note", ["milk"]) == 1
        way.drop = 1
        assert await session.call("note", ["eggs"]) == 2
        assert app.ran == ["milk", "eggs"]
        assert way.sent[-3].body == way.sent[-4].body
        assert two[0].level() == two[1].level() == 0.0


async def test_an_answer_that_nobody_has_any_more_is_outcome_unknown(app: House) -> None:
    one, other = Process(app, []), Process(app, [])  # the bus is cut: as if the first had been killed
    way = Way(one, other)
    session = await enter(app, way)
    way.lose = 1
    with pytest.raises(exc.OutcomeUnknown):
        await session.call("note", ["milk"])
    assert app.ran == ["milk"]
    assert one.level() == other.level() == 0.0
    assert await session.call("note", ["eggs"]) == 2


async def test_a_server_that_is_restarted_knows_its_sessions(app: House) -> None:
    way = Way(Process(app, []))
    session = await enter(app, way)
    assert await session.call("note", ["milk"]) == 1
    way.processes = (Process(app, []),)
    assert await session.call("note", ["eggs"]) == 2
    assert way.processes[0].level() == 0.0


async def test_a_session_outlives_any_number_of_calls_that_could_not_be_sent(app: House) -> None:
    process = Process(app, [])
    way = Way(process)
    session = await enter(app, way)
    way.down = True
    lost = await asyncio.gather(*(session.call("note", [n]) for n in range(100)), return_exceptions=True)
    assert {type(error) for error in lost} == {exc.ConnectionLost}
    way.down = False
    assert await session.call("note", ["milk"]) == 1
    assert app.ran == ["milk"]
    assert process.level() == 0.0


async def test_a_session_that_lost_more_than_a_window_must_begin_anew(app: House) -> None:
    way = Way(Process(app, []))
    session = await enter(app, way)
    way.drop = 1000
    calls = (session.call("note", [n], timeout=0.01) for n in range(70))
    await asyncio.gather(*calls, return_exceptions=True)
    way.drop = 0
    with pytest.raises(exc.UnknownSession):
        await session.call("note", ["milk"])
    assert app.ran == []


async def test_calls_that_come_together_are_burnt_together(app: House) -> None:
    way = Way(Process(app, []))
    session = await enter(app, way)
    before = app.vault.lanes.get("localhost", app.vault.slots.list()[0].handle)
    assert await asyncio.gather(*(session.call("echo", [n]) for n in range(30))) == list(range(30))
    after = app.vault.lanes.get("localhost", app.vault.slots.list()[0].handle)
    assert before is not None
    assert after is not None
    assert after.version - before.version < 10


async def test_a_call_is_cancelled_by_whoever_waits_for_it(app: House, two: tuple[Process, Process]) -> None:
    session = await enter(app, Way(*two))
    call = asyncio.create_task(session.call("hold"))
    await until(lambda: app.ran == ["held"])
    call.cancel()
    await until(lambda: app.ran == ["held", "cancelled"])
    app.ran.clear()
    with pytest.raises(exc.Timeout):
        await session.call("hold", timeout=0.05)
    await until(lambda: app.ran == ["held", "cancelled"])


async def test_a_resend_waits_for_the_call_that_runs(app: House) -> None:
    way = Way(Process(app, []))
    session = await enter(app, way)
    call = asyncio.create_task(session.call("hold"))
    await until(lambda: app.ran == ["held"])
    resend = asyncio.create_task(way.again())
    await asyncio.sleep(0)
    app.released.set()
    status, body = await resend
    assert await call == "released"
    assert (status, body) == (200, b"".join(way.answers)[-len(body) :])
    assert app.ran == ["held"]


async def test_events_come_as_long_as_somebody_listens(app: House) -> None:
    process = Process(app, [])
    session = await enter(app, Way(process))
    got: list[Any] = []
    began = asyncio.Event()
    listening = asyncio.create_task(session.listen("news", got.append, began=began.set))
    await began.wait()
    process.hub.publish("localhost", "news", ["milk"], {})
    await until(lambda: bool(got))
    assert type(got[0]) is Event
    assert got[0].args == ["milk"]
    await session.publish("chat", ["hello"])
    with pytest.raises(exc.Unauthorized):
        await session.publish("news", ["mine"])
    listening.cancel()
    await asyncio.wait([listening])
    await until(lambda: not process.hub.realm("localhost").sessions)


async def test_any_number_of_calls_may_be_made_at_once(app: House) -> None:
    process = Process(app, [])
    session = await enter(app, Way(process))
    held = [asyncio.create_task(session.call("hold")) for _ in range(40)]
    await until(lambda: len(app.ran) == 40)
    assert await asyncio.gather(*(session.call("echo", [n]) for n in range(300))) == list(range(300))
    app.released.set()
    assert await asyncio.gather(*held) == ["released"] * 40
    assert process.level() == 0.0


async def test_a_slot_with_a_key_goes_on_under_other_keys_and_the_lane_before_is_over(
    app: House, two: tuple[Process, Process]
) -> None:
    way = Way(two[0])
    session = await enter(app, way)
    began, got = asyncio.Event(), list[Event]()
    listening = asyncio.create_task(session.listen("news", got.append, began=began.set))
    await began.wait()
    key = PrivateKey(b"p" * 32)
    opened = await session.call("limen.slot.open", [key.public])
    with pytest.raises(exc.InvalidCall):
        await session.call("limen.slot.open", [key.public])
    for process in two:
        again = Way(process)
        assert await (await _resume(again, key, opened)).call("echo", [1]) == 1
        with pytest.raises(exc.UnknownSession):
            await session.call("echo", [1])
        session._posts.over = None
    with pytest.raises(exc.UnknownSession):
        await listening
    with pytest.raises(exc.UnknownSession):
        await _resume(Way(two[0]), PrivateKey(b"q" * 32), opened)
    assert len(app.vault.slots.list()) == 1


async def _resume(way: Way, key: PrivateKey, slot: dict[str, Any]) -> LaneSession:
    machine = ClientResume(
        key,
        slot["key"],
        domain="localhost",
        subprotocol="limen.1.msgpack",
        slot=slot["slot"],
        epoch=slot["epoch"],
        entropy=bytes(range(32)),
        lane="http",
    )
    greeting = _Greeting(way, codec("msgpack", tagged=True), 1 << 20)
    hello = greeting.codec.encode(
        Hello("localhost", {"roles": ROLES, "authmethods": ["resume"], "authextra": machine.extra})
    )
    challenge, given = await greeting.challenge(hello, "resume")
    caller = Caller(*machine.keys(hello, challenge, given))
    sealed = caller.seal(greeting.codec.encode(Authenticate("", {})))
    return await greeting.finish(caller, sealed.answer, sealed.frame, "localhost")


async def test_roles_are_those_of_the_moment(app: House) -> None:
    session = await enter(app, Way(Process(app, [])))
    with pytest.raises(exc.Forbidden):
        await session.call("rule")
    app.vault.accounts.update("localhost", "robot", roles=("admin",))
    assert await session.call("rule") == "ruled"


@pytest.mark.parametrize("how", ["disabled", "slots ended", "key removed", "epoch"])
async def test_what_ends_a_session_ends_it_at_every_process(app: House, two: tuple[Process, Process], how: str) -> None:
    way = Way(*two)
    session = await enter(app, way)
    for number in range(3):
        await session.call("echo", [number])
    match how:
        case "disabled":
            app.vault.accounts.update("localhost", "robot", disabled=True)
        case "slots ended":
            app.vault.slots.remove_user("localhost", "robot")
        case "key removed":
            assert app.auth.remove_key(app.auth.keys()[0].id.hex())
        case "epoch":
            app.vault.slots.purge(used_before=0.0, login_before=0.0, epoch=2)
    with pytest.raises(exc.UnknownSession):
        await session.call("note", ["milk"])
    way.processes = way.processes[::-1]
    session._posts.over = None
    with pytest.raises(exc.UnknownSession):
        await session.call("note", ["milk"])
    assert app.ran == []


async def test_who_acts_as_another_does_so_at_every_process_and_ends_it_there(
    app: House, two: tuple[Process, Process]
) -> None:
    app.config.IMPERSONATOR_ROLES = ("machine",)
    app.auth.add_user("ada", "correct horse", roles=["admin"])
    session = await enter(app, Way(*two))
    for _ in range(2):
        with pytest.raises(exc.Forbidden):
            await session.call("rule")
    assert await session.call("limen.session.impersonate", ["ada"]) == "ada"
    for _ in range(2):
        assert await session.call("who") == ("ada", "robot")
        assert await session.call("rule") == "ruled"
    assert await session.call("limen.session.relinquish") == "robot"
    for _ in range(2):
        assert await session.call("who") == ("robot", None)
        with pytest.raises(exc.Forbidden):
            await session.call("rule")


async def test_a_client_that_becomes_another_knows_who_it_is(app: House) -> None:
    app.config.IMPERSONATOR_ROLES = ("machine",)
    app.auth.add_user("ada", "correct horse", roles=["admin"])
    own = await enter(app, Way(Process(app, [])))
    ada = await own.become("ada")
    assert (ada.user, ada.roles, ada.impersonated_by) == ("ada", ["admin"], "robot")
    assert await ada.call("who") == ("ada", "robot")
    with pytest.raises(exc.UnknownSession):
        await own.call("who")
    back = await ada.become(None)
    assert (back.user, back.roles, back.impersonated_by) == ("robot", ["machine"], None)
    with pytest.raises(exc.RecordNotFound):
        await back.become("nobody")
    assert await back.call("who") == ("robot", None)


async def test_an_idle_session_and_an_old_one_end(app: House) -> None:
    for setting in ("SESSION_TIMEOUT", "SESSION_MAX_AGE"):
        process = Process(app, [])
        session = await enter(app, Way(process))
        slot = app.vault.slots.list()[-1]
        setattr(app.config, setting, 0.05)
        await asyncio.sleep(0.06)
        with pytest.raises(exc.UnknownSession):
            await session.call("note", ["milk"])
        setattr(app.config, setting, 3600.0)
        process.hub.gate.collect()()
        assert app.vault.slots.get("localhost", slot.handle) is None
    assert app.ran == []


async def test_a_process_where_a_session_only_listens_does_not_end_it_while_it_is_in_use_at_another(
    app: House, two: tuple[Process, Process]
) -> None:
    here, there = two
    session = await enter(app, way := Way(here))
    way.processes = (there,)
    began = asyncio.Event()
    listening = asyncio.create_task(session.listen("news", lambda event: None, began=began.set))
    await began.wait()
    (tab,) = there.hub.tabs
    for used in (time.time(), tab.used - 4000.0):
        app.vault.slots.put(replace(app.vault.slots.list()[-1], used=used))
        tab.used = time.time() - 4000.0
        there.hub.logins.sweep()
        looking = tab.connection._looking
        assert looking is not None
        await looking
        assert tab.over is (used < time.time() - 3600.0)
    with pytest.raises(exc.Error):
        await listening


async def test_a_server_that_stops_ends_streams_waits_for_calls_and_keeps_the_session(app: House) -> None:
    process = Process(app, [])
    session = await enter(app, Way(process))
    began = asyncio.Event()
    listening = asyncio.create_task(session.listen("news", print, began=began.set))
    call = asyncio.create_task(session.call("hold"))
    await began.wait()
    await until(lambda: app.ran == ["held"])
    draining = asyncio.create_task(process.hub.drain())
    await asyncio.sleep(0)
    app.released.set()
    await draining
    assert await call == "released"
    with pytest.raises(exc.OutcomeUnknown):
        await listening
    assert await session.call("echo", [1]) == 1


async def test_a_session_that_rests_is_forgotten_here_and_kept_in_the_store(app: House) -> None:
    app.config.PARK_TIMEOUT = 0.01
    process = Process(app, [])
    session = await enter(app, Way(process))
    await session.call("echo", [1])
    await asyncio.sleep(0.02)
    process.hub.logins.sweep()
    assert len(process.hub.tabs) == 0
    assert await session.call("echo", [2]) == 2


async def test_a_user_has_at_most_so_many_sessions(app: House) -> None:
    app.config.MAX_USER_SESSIONS = 2
    way = Way(Process(app, []))
    first, _ = await enter(app, way), await enter(app, way)
    with pytest.raises(exc.MaxActiveSessions):
        await enter(app, way)
    assert await first.call("echo", [1]) == 1
    await first.logout()
    assert await (await enter(app, way)).call("echo", [1]) == 1


async def test_a_forced_login_ends_the_oldest_session(app: House) -> None:
    app.config.MAX_USER_SESSIONS = 1
    app.auth.add_user("ada", "correct horse")
    way = Way(Process(app, []))
    first = await login(way, "localhost", "ada", "correct horse")
    second = await login(way, "localhost", "ada", "correct horse", force=True)
    assert await second.call("echo", [1]) == 1
    with pytest.raises(exc.UnknownSession):
        await first.call("echo", [1])


async def test_a_key_of_another_server_opens_nothing(app: House) -> None:
    other = a_house()
    with pytest.raises(exc.InvalidCredential):
        await login_with_key(Way(Process(app, [])), other.auth.add_key("robot"))


async def test_a_removed_key_ends_the_lanes_that_it_opened_and_no_others(app: House) -> None:
    process = Process(app, [])
    app.hub = process.hub
    kept, gone = app.auth.add_key("robot"), app.auth.add_key("robot")
    one, two = [await login_with_key(Way(process), key) for key in (kept, gone)]
    await asyncio.to_thread(app.auth.remove_key, gone.id)
    with pytest.raises(exc.UnknownSession):
        await two.call("echo", [1])
    assert await one.call("echo", [1]) == 1
    with pytest.raises(exc.InvalidCredential, match="not take this key: it was removed"):
        await login_with_key(Way(process), gone)
