"""What the log is told of sessions, with reasons, without secrets, and not without bound."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from knock import PASSWORD, Door, Refused, knock
from waiting import until

from limen import App, exc
from limen.app.calllog import MOST, CallLog
from limen.core.wamp.messages import Goodbye, Hello, Subscribe

Told = list[tuple[str, dict[str, Any]]]


class Public(Door):
    def extend(self, app: App) -> None:
        app.open_realms = True


def heard(door: Door) -> Told:
    """What the log is told from now on."""
    told: Told = []
    door.hub.gate.note = lambda event, **facts: told.append((event, facts))
    return told


def of(told: Told, event: str) -> list[dict[str, Any]]:
    return [facts for name, facts in told if name == event]


async def test_who_joins_and_who_leaves_has_a_line_each(open_door: Any) -> None:
    door = await open_door(Public)
    told = heard(door)
    async with knock(door, sealed=False) as visitor:
        await visitor.anonymous()
        session = visitor.welcome.session
        await visitor.send(Goodbye({}, "wamp.close.close_realm"))
        await until(lambda: of(told, "left"))
    about = {"domain": "localhost", "session": session, "user": f"anonymous-{session}", "origin": "127.0.0.1"}
    about["transport"] = "websocket"
    assert told[0] == ("joined", {**about, "role": "anonymous", "method": "anonymous"})
    (left,) = of(told, "left")
    assert 0 <= left.pop("seconds") < 60
    assert left == {**about, "why": "wamp.close.close_realm"}


async def test_who_is_cut_off_leaves_by_no_word_of_theirs(open_door: Any) -> None:
    door = await open_door(Public)
    told = heard(door)
    async with knock(door, sealed=False) as visitor:
        await visitor.anonymous()
    await until(lambda: of(told, "left"))
    assert "wamp." not in of(told, "left")[0]["why"]


async def test_whoever_is_turned_away_is_told_of_with_the_reason(open_door: Any) -> None:
    door = await open_door(Public)
    told = heard(door)
    async with knock(door, sealed=False) as visitor:
        await visitor.send(Hello("elsewhere", {"roles": {"caller": {}}}))
        with pytest.raises(Refused):
            await visitor.receive()
    (refused,) = of(told, "refused")
    assert (refused["why"], refused["origin"]) == ("wamp.error.no_such_realm", "127.0.0.1")
    assert of(told, "joined") == of(told, "left") == []
    assert door.hub.counts.refused == {"wamp.error.no_such_realm": 1}


async def test_a_violation_is_told_of_with_what_it_was(open_door: Any) -> None:
    door = await open_door(Public)
    told = heard(door)
    async with knock(door, sealed=False) as visitor:
        await visitor.anonymous()
        await visitor.send(Subscribe(7, {}, "com.example.topic"))
        with pytest.raises(Refused):
            await visitor.receive()
        await until(lambda: of(told, "left"))
    (violation,) = of(told, "violation")
    assert violation["says"] == "request 7 came where 1 was due"
    assert of(told, "left")[0]["why"] == violation["why"] == "wamp.error.protocol_violation"
    assert door.hub.counts.violations == 1


async def test_what_is_no_message_is_a_violation_and_none_of_it_is_written(open_door: Any) -> None:
    door = await open_door(Public)
    told = heard(door)
    async with knock(door, sealed=False) as visitor:
        await visitor.anonymous()
        await visitor.write(b'["my secret", 1, {}]')
        with pytest.raises(Refused):
            await visitor.receive()
    assert len(of(told, "violation")) == 1
    assert "my secret" not in repr(told)


async def test_a_sealed_login_has_its_lines_and_no_password_in_them(open_door: Any) -> None:
    door = await open_door()
    told = heard(door)
    async with knock(door) as ada:
        await ada.login("ada")
        assert [facts["user"] for facts in of(told, "joined")] == ["ada"]
        assert PASSWORD not in repr(told)
    async with knock(door) as stranger:
        with pytest.raises(exc.InvalidCredential):
            await stranger.login("ada", "a wrong one")
    assert "a wrong one" not in repr(told)


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_of_a_crowd_so_many_lines_a_second_are_written_and_the_number_of_the_others() -> None:
    now = [7.25]
    log = CallLog(out := io.StringIO(), clock=lambda: now[0])
    for number in range(MOST + 40):
        log.event("refused", number=number)
    log.event("account", did="added")
    assert [line["event"] for line in lines(out)] == ["refused"] * MOST + ["account"]
    now[0] = 8.5
    log.event("refused", number=-1)
    assert lines(out)[-2:] == [
        {"t": 8.5, "event": "omitted", "of": "refused", "lines": 40},
        {"t": 8.5, "event": "refused", "number": -1},
    ]
    for _ in range(MOST + 1):
        log.event("denied", did="call")
    log.close()
    assert lines(out)[-1] == {"t": 8.5, "event": "omitted", "of": "denied", "lines": 2 - 1}


async def test_what_was_omitted_is_told_though_nothing_more_happens() -> None:
    now = [7.25]
    log = CallLog(out := io.StringIO(), every=0.0, clock=lambda: now[0])
    for number in range(MOST + 1):
        log.event("left", number=number)
    now[0] = 8.5
    await until(lambda: lines(out) and lines(out)[-1]["event"] == "omitted")
