"""A router that takes another configuration: sessions stay, but those that may not be here any more."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from routing import Client, Routing, logged_in, routing, user
from served import Server
from test_command import COMMAND, knock
from test_policy import AUTHORIZER, authorizing

from limen import exc
from limen.app.listeners import Standing
from limen.core.wamp import messages as m
from limen.door.router.config import Authorizer, Limits, Listener, RealmSettings, Role, Rule, User
from limen.testing.sockets import RefusedError

ALL = Rule("", "prefix", ("call", "register", "publish", "subscribe"))
GUEST, BACKEND = Role("guest", (ALL,)), Role("backend", (ALL,))


REALM = RealmSettings("realm1", "guest", (GUEST, BACKEND), (user("ada"), user("bob")))


async def take(at: Routing, *realms: RealmSettings, **more: Any) -> list[str]:
    return await at.router.take(replace(at.router.settings, realms=realms, **more))


async def alive(client: Client) -> bool:
    """It has heard nothing, and is answered."""
    answer = await client.ask(m.Publish, "com.example.alive", acknowledge=True)
    return type(answer) is m.Published


async def told(client: Client) -> tuple[str, str]:
    goodbye = await client.hear()
    assert type(goodbye) is m.Goodbye, goodbye
    return goodbye.reason, goodbye.details.get("message", "")


async def test_sessions_stay_and_registrations_with_them() -> None:
    async with routing(REALM) as at:
        callee, caller = await logged_in(at, "ada"), await at.join("realm1")
        assert type(await callee.ask(m.Register, "add")) is m.Registered
        await take(at, replace(REALM, users=(user("ada"), user("carol"))), RealmSettings("realm2", "x", (Role("x"),)))
        await caller.say(m.Call(next(caller.numbers), {}, "add"))
        assert type(await callee.hear()) is m.Invocation
        await at.join("realm2")
        await logged_in(at, "carol")


@pytest.mark.parametrize(
    "users",
    [(user("bob"),), (user("ada", "guest"), user("bob")), (user("ada", ticket="other"), user("bob"))],
    ids=["gone", "another role", "another secret"],
)
async def test_a_user_who_is_no_more_or_another_is_told_and_ended(users: tuple[User, ...]) -> None:
    async with routing(REALM) as at:
        ada, bob, guest = await logged_in(at, "ada"), await logged_in(at, "bob"), await at.join("realm1")
        await take(at, replace(REALM, users=users))
        assert await told(ada) == ("wamp.close.logout", "This user is no more, or is another now.")
        assert await alive(bob)
        assert await alive(guest)


async def test_who_has_no_name_goes_when_nobody_comes_in_so() -> None:
    async with routing(REALM) as at:
        ada, guest = await logged_in(at, "ada"), await at.join("realm1")
        await take(at, replace(REALM, anonymous=""))
        assert (await told(guest))[0] == "wamp.close.logout"
        assert await alive(ada)
        answer = await (await at.knock()).hello("realm1")
        assert type(answer) is m.Abort


async def test_a_realm_that_is_no_more_ends_with_all_its_sessions() -> None:
    async with routing(REALM, "realm2") as at:
        ada, other = await logged_in(at, "ada"), await at.join("realm2")
        await take(at, *(realm for realm in at.router.settings.realms if realm.name == "realm2"))
        assert await told(ada) == ("wamp.close.logout", "This realm is no more.")
        assert await alive(other)
        answer = await (await at.knock()).hello("realm1")
        assert type(answer) is m.Abort
        assert answer.reason == "wamp.error.no_such_realm"
        await take(at, REALM)
        assert await alive(await at.join("realm1")), "and may come again"


@pytest.mark.parametrize(
    ("kind", "uri", "options"),
    [(m.Subscribe, "com.example.a", {}), (m.Register, "com.example.a", {}), (m.Register, "com.", {"match": "prefix"})],
)
async def test_who_has_what_the_rules_no_longer_allow_begins_anew(kind: Any, uri: str, options: Any) -> None:
    async with routing(REALM) as at:
        having, other = await at.join("realm1"), await at.join("realm1")
        await having.ask(kind, uri, **options)
        await other.ask(kind, "com.other", **{**options, "match": "exact"})
        rules = (ALL, Rule("com.example.", "prefix", ("publish",)))
        await take(at, replace(REALM, roles=(Role("guest", rules), BACKEND)))
        assert (await told(having))[0] == "limen.close.changed"
        assert await alive(other)


async def test_what_only_an_authorizer_can_say_it_is_asked_anew() -> None:
    rules = (Rule(AUTHORIZER, allow=("register",)), Rule("com.", "prefix", ("publish",)))
    asking = replace(REALM, roles=(Role("guest", rules, Authorizer(AUTHORIZER)), BACKEND))
    async with routing(REALM) as at:
        asked = await authorizing(at, lambda args: args[1] == "yes")
        one, other = await at.join("realm1"), await at.join("realm1")
        assert type(await one.ask(m.Subscribe, "yes")) is m.Subscribed
        assert type(await other.ask(m.Subscribe, "no")) is m.Subscribed
        await take(at, asking)
        assert (await told(other))[0] == "limen.close.changed"
        assert await alive(one)
        assert sorted(args[1] for args in asked) == ["no", "yes"]


async def test_an_answer_that_was_under_way_is_judged_by_the_new_rules() -> None:
    asking = replace(REALM, roles=(Role("guest", (Rule(AUTHORIZER, allow=("register",)),), Authorizer(AUTHORIZER)),))
    asking = replace(asking, users=())
    async with routing(asking) as at:
        verdict = asyncio.get_running_loop().create_future()
        asked = await authorizing(at, lambda args: verdict)
        client = await at.join("realm1")
        await client.say(m.Subscribe(next(client.numbers), {}, "secret"))
        while not asked:
            await asyncio.sleep(0.001)
        rules = (Rule(AUTHORIZER, allow=("register",)), Rule("secret"))
        await take(at, replace(asking, roles=(Role("guest", rules, Authorizer(AUTHORIZER)),)))
        verdict.set_result(True)
        answer = await client.hear()
        assert type(answer) is m.Error
        assert answer.error == "wamp.error.not_authorized"


async def test_who_must_go_goes_before_listeners_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async with routing(REALM) as at:
        client = await logged_in(at, "ada")
        here = []

        async def open_(listener: Standing) -> None:
            here.append([one.session_id for one in at.router.hub.connections if not one.closing])

        monkeypatch.setattr(Standing, "open", open_)
        (now,) = at.router.settings.listeners
        await take(at, replace(REALM, users=(user("bob"),)), listeners=(replace(now, paths=("/other",)),))
        assert here == [[]]
        assert (await told(client))[0] == "wamp.close.logout"


async def test_limits_hold_for_who_comes_next() -> None:
    async with routing(REALM) as at:
        await at.join("realm1")
        await take(at, REALM, limits=Limits(origin_connections=1))
        with pytest.raises(RefusedError) as refused:
            await at.knock()
        assert refused.value.status == 503


async def test_what_takes_a_restart_is_said() -> None:
    async with routing(REALM) as at:
        await at.join("realm1")
        later = await take(at, replace(REALM, limits=replace(REALM.limits, subscriptions=1)), control="x")
        assert later == [
            "limits and history of the realm realm1, which stay as they were",
            "control, which stays as it was",
        ]


async def test_a_listener_is_changed_opened_and_ended_while_sessions_stay(tmp_path: Path) -> None:
    async with routing(REALM) as at:
        client = await at.join("realm1")
        port = at.port
        unix = Listener("rawsocket", unix=str(tmp_path / "r.sock"))
        (now,) = at.router.settings.listeners
        await take(at, REALM, listeners=(replace(now, paths=("/other",)), unix))
        with pytest.raises(RefusedError):
            await at.knock(path="/ws")
        await at.knock(path="/other")
        assert (tmp_path / "r.sock").is_socket()
        await take(at, REALM, listeners=(unix,))
        with pytest.raises(ConnectionRefusedError):
            await at.knock(path="/other")
        assert await alive(client), "who is in stays"
        await take(at, REALM, listeners=(replace(now, port=port),))
        await at.knock()
        assert not (tmp_path / "r.sock").exists()


async def test_a_listener_that_can_not_listen_changes_nothing() -> None:
    async with routing(REALM) as at:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            before = at.router.settings
            with pytest.raises(exc.InvalidAddress, match=str(port)):
                await take(at, replace(REALM, anonymous=""), listeners=(*before.listeners, Listener(port=port)))
        assert at.router.settings is before
        assert await alive(await at.join("realm1"))


# -- the command ------------------------------------------------------------------------------------------------------
FILE = """
[[realm]]
name = "realm1"
anonymous = "guest"
[[realm.role]]
name = "guest"
rule = [{uri = "", match = "prefix", allow = ["publish"]}]
"""


async def until(server: Server, line: str) -> None:
    async with asyncio.timeout(20):
        while not any(line in said for said in server.lines):
            await asyncio.sleep(0.01)


async def test_sighup_reads_the_file_anew_and_a_bad_one_changes_nothing(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    file = tmp_path / "router.toml"
    file.write_text(FILE)
    server = start([*COMMAND, "--config", str(file)])
    client = await knock(server)
    assert type(await client.hello("realm1")) is m.Welcome
    file.write_text(FILE.replace('"guest"', '"gast"', 1))
    server.process.send_signal(signal.SIGHUP)
    await until(server, "The configuration stays as it was.")
    assert any(f'{file}:4: realm[realm1].anonymous: the realm has no role "gast"' in line for line in server.lines)
    assert await alive(client)
    file.write_text(FILE.replace("realm1", "realm2"))
    server.process.send_signal(signal.SIGHUP)
    assert (await told(client))[0] == "wamp.close.logout"
    other = await knock(server)
    assert type(await other.hello("realm2")) is m.Welcome
    await other.gone()
    await client.gone()
    assert server.stop() == 0


async def test_with_reload_a_change_of_the_file_is_enough(start: Callable[..., Server], tmp_path: Path) -> None:
    file = tmp_path / "router.toml"
    file.write_text(FILE)
    server = start([*COMMAND, "--config", str(file), "--reload"])
    (tmp_path / "new.toml").write_text(FILE.replace("realm1", "realm2"))
    (tmp_path / "new.toml").replace(file)
    await until(server, "The configuration was read anew.")
    client = await knock(server)
    assert type(await client.hello("realm2")) is m.Welcome
    await client.gone()
