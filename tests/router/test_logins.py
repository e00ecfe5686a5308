"""Who may come into a router's realms, by each method, and what others learn at its door."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import pytest
from logins import EACH, METHODS, PASSWORD, ROLES, challenged, log_in, realm, way
from routing import Routing, routing

from limen.core.wamp import messages as m
from limen.door.hub.entrance import Admitted
from limen.door.router.config import Limits, RealmSettings, Secret, Settings, User
from limen.door.router.entrance import RouterEntrance
from limen.transport.memory import ClosedError

DENIED = "wamp.error.authentication_denied"
SECRET = bytes(range(32))


async def nobody(*_: Any) -> Any:
    raise AssertionError("there is no authenticator")


def door(at: Routing, *realms: RealmSettings, call: Any = nobody) -> RouterEntrance:
    settings = Settings(realms=realms or at.router.settings.realms)
    at.router.hub.entrance = entrance = RouterEntrance(settings, call, SECRET)
    at.router.config.MAX_PENDING_LOGINS = 256
    return entrance


def level(at: Routing) -> float:
    return round(at.router.hub.gate.ledger.level("realm1", "127.0.0.1", time.time()), 1)


@pytest.mark.parametrize(("method", "name"), EACH, ids="-".join)
@pytest.mark.parametrize("encoding", ["json", "msgpack", "cbor"])
async def test_a_user_comes_in_by_each_method(method: str, name: str, encoding: str) -> None:
    async with routing(realm()) as at:
        door(at)
        welcome, client = await log_in(at, method, name, encoding=encoding)
        assert type(welcome) is m.Welcome
        user = next(user for user in realm().users if user.name == name)
        about = {key: welcome.details[key] for key in ("authid", "authrole", "authmethod", "authprovider", "realm")}
        assert about == {
            "authid": name,
            "authrole": user.roles[0],
            "authmethod": method,
            "authprovider": "static",
            "realm": "realm1",
        }
        assert type(await client.ask(m.Register, "com.example.echo")) is m.Registered
        assert level(at) == 0.0


async def test_a_session_has_all_roles_and_the_id_that_it_signed_for() -> None:
    import json

    async with routing(realm()) as at:
        door(at)
        await log_in(at, "ticket", "tina")
        (session,) = at.router.hub.realm("realm1").sessions.values()
        assert (session.authid, session.authrole, session.authroles) == ("tina", "user", {"user", "admin"})
        assert (session.principal.user, session.principal.sealed) == ("tina", False)
        client = await at.knock()
        challenge = await challenged(client, "wampcra", "carl", {})
        _, answer = way("wampcra", "carl")
        await client.say(m.Authenticate(*answer(challenge.extra)))
        welcome = await client.hear()
        assert type(welcome) is m.Welcome
        assert json.loads(challenge.extra["challenge"])["session"] == welcome.session


@pytest.mark.parametrize("method", METHODS)
async def test_wrong_secrets_and_unknown_names_are_told_alike_and_cost_one(method: str) -> None:
    async with routing(realm()) as at:
        door(at)
        name = METHODS[method][0]
        wrong: Any = bytes(32) if method == "cryptosign" else "wrong"
        one, _ = await log_in(at, method, name, wrong)
        two, _ = await log_in(at, method, "nobody")
        three, _ = await log_in(at, method, "tina" if method != "ticket" else "carl")
        assert one == two == three
        assert type(one) is m.Abort
        assert one.reason == DENIED
        assert level(at) == 3.0


async def test_the_log_says_whose_login_it_was_and_nothing_that_is_no_users_name() -> None:
    async with routing(realm()) as at:
        door(at)
        told: list[tuple[str, str | None]] = []
        at.router.hub.gate.ledger.noted = lambda what, entry: told.append((what, entry.user))
        for name, secret in (("tina", None), ("tina", "wrong"), ("lovelace", "wrong")):
            await log_in(at, "ticket", name, secret)
        assert [line for line in told if line[0] != "charged"] == [
            ("passed", "tina"),
            ("failed", "tina"),
            ("failed", None),
        ]


async def test_the_log_says_which_realm_turned_somebody_away() -> None:
    async with routing(realm()) as at:
        door(at)
        told: list[dict[str, Any]] = []
        at.router.hub.gate.note = lambda _event, **facts: told.append(facts)
        assert type(await (await at.knock()).hello("realm1", authmethods=["anonymous"])) is m.Abort
        assert type(await (await at.knock()).hello("relm1")) is m.Abort
        assert [line["domain"] for line in told] == ["realm1", ""]
        assert told[1]["says"] == 'there is no realm "relm1" here'


@pytest.mark.parametrize("method", [method for method in METHODS if method != "ticket"])
async def test_an_unknown_name_is_asked_like_a_known_one_the_same_each_time(method: str) -> None:
    import json

    async with routing(realm()) as at:
        door(at)

        async def asked(name: str) -> dict[str, Any]:
            challenge = await challenged(await at.knock(), method, name, way(method, name)[0])
            assert type(challenge) is m.Challenge
            return challenge.extra

        known = [await asked(name) for name in METHODS[method]]
        unknown = [await asked(f"nobody{n}") for n in range(12)]
        again = [await asked(f"nobody{n}") for n in range(12)]
        fixed = ("salt", "iterations", "keylen", "kdf", "memory")
        assert [[one.get(key) for key in fixed] for one in unknown] == [
            [one.get(key) for key in fixed] for one in again
        ]
        shapes = {tuple(sorted(one)) for one in known}
        assert {tuple(sorted(one)) for one in unknown} == shapes
        if method == "wampcra":
            texts = [json.loads(one["challenge"]) for one in (*known, *unknown)]
            assert len({tuple(sorted(text)) for text in texts}) == 1
            assert {text["authrole"] for text in texts[2:]} <= {"user", "guest"}


async def test_there_is_one_guess_for_a_challenge() -> None:
    async with routing(realm()) as at:
        door(at)
        client = await at.knock()
        await challenged(client, "ticket", "tina", {})
        await client.say(m.Authenticate("wrong", {}))
        await client.say(m.Authenticate(PASSWORD, {}))
        assert (await client.hear()).reason == DENIED  # type: ignore[union-attr]
        with pytest.raises(ClosedError):
            await client.hear()
        assert not at.router.hub.realm("realm1").sessions


async def test_who_does_not_answer_is_turned_away_in_time() -> None:
    async with routing(realm(), limits=Limits(login=0.1)) as at:
        door(at)
        client = await at.knock()
        await challenged(client, "ticket", "tina", {})
        assert (await client.hear()).reason == "wamp.error.timeout"  # type: ignore[union-attr]
        assert level(at) == 1.0


@pytest.mark.parametrize("message", [m.Call(1, {}, "x"), m.Hello("realm1", {"roles": {"caller": {}}})], ids=repr)
async def test_a_challenge_is_answered_by_authenticate_and_nothing_else(message: m.Message) -> None:
    async with routing(realm()) as at:
        door(at)
        client = await at.knock()
        await challenged(client, "ticket", "tina", {})
        await client.say(message)
        assert (await client.hear()).reason == "wamp.error.protocol_violation"  # type: ignore[union-attr]


async def test_a_challenge_that_is_aborted_is_answered_by_nothing() -> None:
    async with routing(realm()) as at:
        door(at)
        client = await at.knock()
        await challenged(client, "ticket", "tina", {})
        await client.say(m.Abort({}, "wamp.error.cannot_authenticate"))
        with pytest.raises(ClosedError):
            await client.hear()


async def test_guesses_at_one_name_are_slowed_also_those_that_come_at_once() -> None:
    async with routing(realm()) as at:
        door(at)
        at.router.config.MAX_ORIGIN_ABUSE_LEVEL = 1000
        clients = [await at.knock() for _ in range(12)]
        for client in clients:
            await challenged(client, "ticket", "tina", {})
        told = []
        for n, client in enumerate(clients):
            await client.say(m.Authenticate(f"guess {n}", {}))
            told.append((await client.hear()).reason)  # type: ignore[union-attr]
        assert told == [DENIED] * 5 + ["limen.error.abusive"] * 7
        late, _ = await log_in(at, "ticket", "tina")
        assert type(late) is m.Abort
        assert late.reason == "limen.error.abusive"
        other, _ = await log_in(at, "wampcra", "carl")
        assert type(other) is m.Welcome


async def test_a_fleet_that_has_one_name_comes_in_at_once() -> None:
    async with routing(realm()) as at:
        door(at)
        clients = [await at.knock() for _ in range(40)]
        for client in clients:
            await challenged(client, "ticket", "tina", {})
        for client in clients:
            await client.say(m.Authenticate(PASSWORD, {}))
        assert {type(await client.hear()) for client in clients} == {m.Welcome}


async def test_what_a_realm_takes_is_what_its_users_have() -> None:
    none = RealmSettings(name="closed", roles=ROLES)
    open_ = RealmSettings(name="open", roles=ROLES, anonymous="guest")
    async with routing(realm(), none, open_) as at:
        door(at)
        for name, methods, reason in (
            ("realm1", [], "wamp.error.authentication_required"),
            ("realm1", ["tls"], "wamp.error.no_matching_auth_method"),
            ("closed", ["ticket"], "wamp.error.no_matching_auth_method"),
            ("elsewhere", ["ticket"], "wamp.error.no_such_realm"),
        ):
            client = await at.knock()
            assert (await client.hello(name, authmethods=methods, authid="tina")).reason == reason  # type: ignore[union-attr]
        client = await at.knock()
        welcome = await client.hello("open", authmethods=["ticket", "anonymous"], authid="tina")
        assert type(welcome) is m.Welcome
        assert (welcome.details["authrole"], welcome.details["authmethod"]) == ("guest", "anonymous")
        assert welcome.details["authid"] != "tina"


async def test_a_user_of_one_realm_is_nobody_in_another() -> None:
    other = RealmSettings(
        name="realm2", roles=ROLES, users=(User(name="ann", roles=("user",), ticket=Secret(value="another")),)
    )
    async with routing(realm(), other) as at:
        door(at)
        refused, _ = await log_in(at, "ticket", "tina", realm="realm2")
        assert type(refused) is m.Abort
        assert type((await log_in(at, "ticket", "ann", "another", realm="realm2"))[0]) is m.Welcome


async def test_anonymous_sessions_need_no_task() -> None:
    async with routing(RealmSettings(name="open", roles=ROLES, anonymous="guest")) as at:
        entrance, seen = door(at), []
        admit = entrance.admit
        entrance.admit = lambda *about: seen.append(admit(*about)) or seen[-1]  # type: ignore[method-assign, func-returns-value]
        await at.join("open")
        assert [type(one) for one in seen] == [Admitted]


async def test_a_login_under_way_ends_by_the_configuration_of_its_end() -> None:
    async with routing(realm()) as at:
        entrance = door(at)
        for users in ((), tuple(user for user in realm().users if user.name != "tina"), realm().users):
            client = await at.knock()
            await challenged(client, "ticket", "tina", {})
            entrance.take(Settings(realms=(realm(users=users),)))
            await client.say(m.Authenticate(PASSWORD, {}))
            answer = await client.hear()
            assert type(answer) is (m.Welcome if users == realm().users else m.Abort)
            entrance.take(Settings(realms=(realm(),)))
        client = await at.knock()
        await challenged(client, "ticket", "tina", {})
        entrance.take(Settings())
        await client.say(m.Authenticate(PASSWORD, {}))
        assert (await client.hear()).reason == DENIED  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "change",
    [
        {"cryptosign": ("ab",)},
        {"tls": ("pump",)},
        {"scram": {"kdf": "pbkdf2", "salt": "*", "stored_key": "00", "server_key": "00"}},
    ],
    ids=str,
)
async def test_what_is_no_key_is_refused_before_anybody_comes(change: dict[str, Any]) -> None:
    from msgspec import convert

    user = convert({"name": "ann", "roles": ["user"], **change}, User)
    async with routing(realm()) as at:
        entrance = door(at)
        with pytest.raises(ValueError, match=r"hexadecimal|SHA-256"):
            entrance.take(Settings(realms=(realm(users=(user,)),)))
        assert type((await log_in(at, "ticket", "tina"))[0]) is m.Welcome, "what was there before still holds"


async def test_no_secret_is_written_anywhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with routing(realm()) as at:
        entrance = door(at)
        for method, names in METHODS.items():
            await log_in(at, method, names[0])
            await log_in(at, method, "nobody")
        shown = caplog.text + repr(vars(entrance)) + repr(entrance._realms["realm1"].__dict__)
        assert PASSWORD not in shown
        assert repr(SECRET) not in repr(entrance._realms["realm1"])


async def test_a_client_that_goes_while_it_is_asked_leaves_nothing() -> None:
    async with routing(realm()) as at:
        door(at)
        client = await at.knock()
        await challenged(client, "ticket", "tina", {})
        before = len(asyncio.all_tasks())
        await client.gone()
        async with asyncio.timeout(10):
            while len(asyncio.all_tasks()) >= before:
                await asyncio.sleep(0)
        assert not at.router.hub.connections
        assert level(at) == 1.0
