"""What a program is told of its server and its sessions: `limen.on`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from knock import Door, knock
from returning import lost, signed_in
from waiting import until

from limen import App, get_state
from limen.app.hooks import Event, Hooks
from limen.base.principal import Principal


class Listening(Door):
    """Writes down what it is told."""

    def extend(self, app: App) -> None:
        self.told: list[Event] = []
        self.states: list[tuple[str, str | None, tuple[str, ...], str]] = []
        self.background: list[str] = []
        for name in ("session.opened", "session.closed", "session.stolen", "server.stopping"):
            app.on(name, self.hear)

        @app.on("server.started")
        async def beside(event: Event) -> None:
            self.background.append("runs")
            try:
                await asyncio.Event().wait()
            finally:
                self.background.append("cancelled")

    def hear(self, event: Event) -> None:
        state = get_state()
        self.states.append((state.domain, state.user, state.roles, state.service))
        self.told.append(event)

    def heard(self) -> list[str]:
        return [f"{event.name.partition('.')[2]} {event.why}".strip() for event in self.told]


@pytest.fixture
async def house(open_door: Any) -> Listening:
    door = await open_door(Listening)
    assert isinstance(door, Listening)
    return door


async def test_a_session_opens_once_and_closes_once_however_often_it_comes_back(house: Listening) -> None:
    async with knock(house) as client:
        slot = await signed_in(house, client)
        await lost(house, client)
    async with knock(house) as client:
        await client.resume(slot)
        await client.call("limen.session.logout")
        await client.closed()
    await asyncio.to_thread(house.hub.gate.collect())
    await until(lambda: len(house.told) >= 2)
    opened, closed = house.told
    assert house.heard() == ["opened", "closed logout"]
    assert (opened.domain, opened.user, opened.origin, opened.kind) == ("localhost", "ada", "127.0.0.1", "tab")
    assert opened.id == closed.id
    assert slot.handle.hex() not in (opened.id, opened.id * 2)


async def test_a_function_knows_whose_session_it_is(house: Listening) -> None:
    async with knock(house) as client:
        await signed_in(house, client)
        await client.call("limen.session.logout")
        await until(lambda: len(house.told) == 2)
    assert house.states[0] == ("localhost", "ada", ("nurse", "user"), "session.opened")
    assert house.states[1] == ("localhost", "ada", (), "session.closed"), "who is gone has no roles any more"


async def test_a_key_that_two_parties_have_is_told_as_stolen(house: Listening) -> None:
    async with knock(house) as owner, knock(house, origin="127.0.0.2") as thief:
        slot = await signed_in(house, owner)
        await thief.resume(slot)
        await until(lambda: len(house.told) == 2)
        assert house.heard() == ["opened", "stolen 127.0.0.1"]
        assert (house.told[1].origin, house.told[1].id) == ("127.0.0.2", house.told[0].id)


@pytest.mark.parametrize(
    ("what", "why"),
    [("idle", "expired"), ("goodbye", "logout"), ("cut", "lost"), ("disable", "disabled"), ("passwd", "password")],
)
async def test_why_a_session_has_closed_is_said(house: Listening, what: str, why: str) -> None:
    async with knock(house) as client:
        if what == "cut":
            await client.login()
            await client.cut()
        else:
            await signed_in(house, client)
        if what == "idle":
            (tab,) = house.hub.tabs
            tab.used -= 3601
            house.hub.logins.sweep()
        elif what == "goodbye":
            from limen.core.wamp.messages import Goodbye

            await client.send(Goodbye({}, "wamp.close.normal"))
            await client.farewell()
        elif what == "disable":
            await asyncio.to_thread(house.app.auth.disable, "ada")
        elif what == "passwd":
            await asyncio.to_thread(house.app.auth.set_password, "ada", "battery staple")
        await until(lambda: len(house.told) == 2)
    assert house.heard() == ["opened", f"closed {why}"]


async def test_a_slot_that_nobody_comes_back_for_is_closed_when_its_time_is_over_by_domain(house: Listening) -> None:
    house.app.add_domain("clinic.example")
    house.app.config.domain("clinic.example").SESSION_TIMEOUT = 10.0
    async with knock(house) as client:
        slot = await signed_in(house, client)
        await lost(house, client)
    (row,) = house.slots()
    from dataclasses import replace

    vault = house.app.vault
    vault.slots.put(replace(row, handle=bytes(16), domain="clinic.example", used=row.used - 20))
    vault.slots.put(replace(row, used=row.used - 20))
    for domain in ("localhost", "clinic.example"):
        house.hub.logins.slots_over(await asyncio.to_thread(vault.expire, domain, 0.0), "expired")
    await until(lambda: len(house.told) == 2)
    assert [(event.domain, event.why) for event in house.told[1:]] == [("clinic.example", "expired")]
    assert [slot.handle for slot in house.slots()] == [slot.handle]


async def test_what_runs_beside_the_server_is_cancelled_at_its_end(house: Listening) -> None:
    await until(lambda: house.background == ["runs"])
    async with knock(house) as client:
        await signed_in(house, client)
    await house.stop()
    assert house.background == ["runs", "cancelled"]
    assert house.heard() == ["opened", "stopping"], "a session outlives the server"


async def test_the_events_of_a_session_come_in_order_and_an_error_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hooks, seen = Hooks(), []

    @hooks.on("session.opened")
    async def slow(event: Event) -> None:
        await asyncio.sleep(0.01)
        seen.append("opened")

    @hooks.on("session.opened")
    def fails(event: Event) -> None:
        raise ZeroDivisionError

    @hooks.on("session.closed")
    def quick(event: Event) -> None:
        seen.append(f"closed {event.id}")
        roles.append(get_state().roles)

    roles: list[tuple[str, ...]] = []
    ada = Principal("localhost", user="ada", roles=("nurse",))
    hooks.happened(Event("session.opened", "localhost", "ada", "1"), ada)
    hooks.happened(Event("session.closed", "localhost", "ada", "1"))
    hooks.happened(Event("session.closed", "localhost", "bob", "2"))
    await hooks.stopped()
    assert seen == ["closed 2", "opened", "closed 1"]
    assert roles == [(), ()], "each event has its own principal, also one that waited for another"
    assert "ZeroDivisionError" in caplog.text
