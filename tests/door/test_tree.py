"""The tree as devtools are told it: addresses, sessions, what each costs; and who is told."""

from __future__ import annotations

from typing import Any

from knock import Door, knock

from limen import App, exc
from limen.core.wamp.messages import Call, Register, Subscribe, Yield
from limen.door.hub.tree import MOST, joined, tree


class Open(Door):
    def extend(self, app: App) -> None:
        app.open_realms = True
        app.topic("changed")

        @app.service(safe=False, ssl=False, check_abusive=False)
        def half(n: float) -> float:
            return n / 2


class Guarded(Door):
    def extend(self, app: App) -> None:
        app.config.IS_DEVELOPMENT = False


def found(seen: dict[str, Any], address: str) -> dict[str, Any]:
    (row,) = (row for row in seen["addresses"] if row["address"] == address)
    return dict(row)


async def test_the_tree_has_services_topics_procedures_and_what_they_cost(open_door: Any) -> None:
    door = await open_door(Open)
    door.hub.watching.look()
    async with knock(door, sealed=False) as one, knock(door, sealed=False) as other:
        await one.anonymous()
        await other.anonymous()
        await one.send(Register(1, {"match": "prefix", "invoke": "roundrobin"}, "com.example."))
        await one.receive()
        await other.send(Register(1, {"match": "prefix", "invoke": "roundrobin"}, "com.example."))
        await other.receive()
        await one.send(Subscribe(2, {}, "com.example.news"))
        await one.receive()
        await other.send(Call(2, {}, "com.example.x"))
        invocation = await one.receive()
        await one.send(Yield(invocation.request, {}))
        await other.receive()
        other.request = 2
        await other.call("half", 4)
        await other.send(Call(4, {}, "com.example.y"))
        await other.receive()
        seen = tree(door.hub)
    shared = found(seen, "com.example.")
    assert {name: shared[name] for name in ("kind", "match", "invoke", "sessions", "calls", "failed")} == {
        "kind": "procedure",
        "match": "prefix",
        "invoke": "roundrobin",
        "sessions": 2,
        "calls": 1,
        "failed": 0,
    }
    assert found(seen, "half")["calls"] == 1
    assert (found(seen, "changed")["kind"], found(seen, "changed")["safe"]) == ("topic", True)
    assert found(seen, "com.example.news")["sessions"] == 1
    (waits,) = (row for row in seen["sessions"] if row["session"] == other.welcome.session)
    assert (waits["calls"], waits["invocations"], waits["registrations"], waits["transport"]) == (1, 1, 1, "websocket")
    assert waits["bytes_in"] > 0 < waits["messages_out"]
    assert seen["sessions"][0] == waits  # who waits comes first
    assert tree(door.hub, "elsewhere.example")["sessions"] == []


def test_trees_of_two_processes_are_one() -> None:
    cost = {"calls": 2, "failed": 1, "seconds": 0.5, "longest": 0.3, "events": 0, "deliveries": 0}
    row = {"domain": "a", "address": "x", "kind": "procedure", "match": "exact", "sessions": 1, **cost}
    other = {**row, "longest": 0.4, "calls": 3}
    omitted = {"addresses": 1, "sessions": 0}
    whole = joined(
        [
            {"addresses": [row], "sessions": [], "omitted": omitted},
            {"addresses": [other, {**row, "match": "prefix"}], "sessions": [], "omitted": omitted},
        ]
    )
    assert [(one["match"], one["calls"], one["longest"], one["sessions"]) for one in whole["addresses"]] == [
        ("exact", 5, 0.4, 2),
        ("prefix", 2, 0.3, 1),
    ]
    assert whole["omitted"] == {"addresses": 2, "sessions": 0}


def test_there_is_an_end_to_what_is_shown() -> None:
    waiting = {"queue": 0, "calls": 0, "invocations": 0, "messages_in": 0}
    one = {"addresses": [], "sessions": [{**waiting, "session": n} for n in range(MOST + 5)], "omitted": {}}
    whole = joined([{**one, "omitted": {"addresses": 0, "sessions": 0}}])
    assert (len(whole["sessions"]), whole["omitted"]["sessions"]) == (MOST, 5)


async def test_who_has_the_role_is_told_and_nobody_else(open_door: Any) -> None:
    door = await open_door(Guarded)
    async with knock(door) as ada, knock(door) as bob, knock(door, sealed=False) as visitor:
        await ada.login("ada")
        await bob.login("bob")
        await visitor.anonymous()
        for name in ("limen.observe.tree", "limen.observe.picture"):
            assert await ada.call(name) == exc.NotFound.uri
        door.app.config.OBSERVE_ROLES = ("nurse",)
        assert (await ada.call("limen.observe.picture"))["processes"] == 1
        users = [row["user"] for row in (await ada.call("limen.observe.tree"))["sessions"]]
        assert {"ada", "bob"} < set(users)
        for name in ("limen.observe.tree", "limen.observe.picture"):
            assert await bob.call(name) == exc.Forbidden.uri
            assert await visitor.call(name) == exc.NotFound.uri


async def test_a_tenant_is_told_of_its_own_domain_alone(open_door: Any) -> None:
    door = await open_door(OBSERVE_ROLES=("nurse",))
    door.app.add_domain("b.example")
    door.app.config.IS_DEVELOPMENT = False
    door.add_user(door.app, "eve", ["nurse"], "b.example")
    async with knock(door) as ada, knock(door, domain="b.example") as eve:
        await ada.login("ada")
        await eve.login("eve")
        told = await eve.call("limen.observe.tree")
        assert [row["user"] for row in told["sessions"]] == ["eve"]
        assert {row["domain"] for row in told["addresses"]} <= {"b.example"}
        assert await eve.call("limen.observe.picture") == exc.Forbidden.uri
