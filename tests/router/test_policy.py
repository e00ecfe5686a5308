"""Who may do what at a router: rules, and procedures that are asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace
from routing import Client, Routing, logged_in, routing, user

from limen.app.calllog import MOST
from limen.core.wamp import messages as m
from limen.door.router.config import Authenticator, Authorizer, RealmLimits, RealmSettings, Role, Rule
from limen.door.ws.connection import MAX_HELD

AUTHORIZER = "com.example.authorize"


def realm(*rules: Rule, authorizer: Authorizer | None = None, **more: Any) -> RealmSettings:
    """Everybody comes in as a guest, who has *rules*."""
    return RealmSettings("realm1", "guest", (Role("guest", rules, authorizer),), **more)


def asking(*rules: Rule, **more: Any) -> RealmSettings:
    own = Rule(AUTHORIZER, allow=("register",))  # in these tests everybody is a guest, the authorizer too
    return realm(own, *rules, authorizer=Authorizer(AUTHORIZER, **more))


async def authorizing(at: Routing, answer: Callable[[list[Any]], Any]) -> list[list[Any]]:
    """An authorizer joins; gives what it is asked, as that comes. *answer* may give an awaitable."""
    asked: list[list[Any]] = []
    client = await at.join("realm1")
    assert type(await client.ask(m.Register, AUTHORIZER)) is m.Registered

    async def one(invocation: m.Invocation) -> None:
        said = answer(invocation.args or [])
        if isinstance(said, Awaitable):
            said = await said
        await client.say(m.Yield(invocation.request, {}, [said]))

    async def work() -> None:
        while True:
            invocation = await client.hear(600)
            if isinstance(invocation, m.Invocation):
                asked.append(invocation.args or [])
                at.background(one(invocation))

    at.background(work())
    return asked


async def denied(client: Client, kind: type[Any], uri: str, *payload: Any, **options: Any) -> str:
    """The error with which it is."""
    answer = await client.ask(kind, uri, *payload, **options)
    assert type(answer) is m.Error, answer
    return answer.error


async def test_each_action_is_allowed_where_its_rule_says_so() -> None:
    rules = (
        Rule("a.call", allow=("call",)),
        Rule("a.", match="prefix", allow=("register", "subscribe")),
        Rule(".publish", match="wildcard", allow=("publish",)),
    )
    async with routing(realm(*rules)) as at:
        client = await at.join("realm1")
        assert type(await client.ask(m.Register, "a.b")) is m.Registered
        assert await denied(client, m.Register, "b.b") == "wamp.error.not_authorized"
        assert await denied(client, m.Register, "a.call") == "wamp.error.not_authorized", "the better rule decides"
        assert type(await client.ask(m.Subscribe, "a.b")) is m.Subscribed
        assert await denied(client, m.Subscribe, "b") == "wamp.error.not_authorized"
        assert type(await client.ask(m.Publish, "b.publish", acknowledge=True)) is m.Published
        assert await denied(client, m.Publish, "a.b", acknowledge=True) == "wamp.error.not_authorized"
        assert await denied(client, m.Call, "a.b") == "wamp.error.not_authorized"
        assert await denied(client, m.Call, "a.call") == "wamp.error.no_such_procedure"


async def test_a_pattern_is_registered_only_where_all_of_it_may_be() -> None:
    rules = (Rule("a.", match="prefix", allow=("register",)), Rule("a.secret.x"))
    async with routing(realm(*rules)) as at:
        client = await at.join("realm1")
        assert await denied(client, m.Register, "a.", match="prefix") == "wamp.error.not_authorized"
        assert await denied(client, m.Register, "a..x", match="wildcard") == "wamp.error.not_authorized"
        assert type(await client.ask(m.Register, "a.open.", match="prefix")) is m.Registered


async def test_a_registration_is_taken_away_only_where_a_rule_says_so() -> None:
    rules = (Rule("a", allow=("register",), force_reregister=True), Rule("b", allow=("register",)))
    async with routing(realm(*rules)) as at:
        first, second = await at.join("realm1"), await at.join("realm1")
        for uri in ("a", "b"):
            assert type(await first.ask(m.Register, uri)) is m.Registered
        assert await denied(second, m.Register, "b", force_reregister=True) == "wamp.error.option_not_allowed"
        assert type(await second.ask(m.Register, "a", force_reregister=True)) is m.Registered


async def test_an_authorizer_is_told_who_asks_what_and_where() -> None:
    async with routing(asking(Rule("known", allow=("subscribe",)))) as at:
        asked = await authorizing(at, lambda args: args[1] == "yes")
        client = await at.join("realm1")
        assert type(await client.ask(m.Subscribe, "known")) is m.Subscribed
        assert await denied(client, m.Register, "known") == "wamp.error.not_authorized"
        assert asked == [], "where a rule says something nobody is asked"
        assert type(await client.ask(m.Register, "yes", match="prefix")) is m.Registered
        assert await denied(client, m.Publish, "no", acknowledge=True) == "wamp.error.not_authorized"
        (who, *what), (_, *more) = asked
        assert (who["session"], who["authrole"], who["realm"]) == (client.id, "guest", "realm1")
        assert [what, more] == [["yes", "register", {"match": "prefix"}], ["no", "publish", {"acknowledge": True}]]


@pytest.mark.parametrize("answer", [None, "yes", 1, {}, {"allow": 1}, {"allow": True, "trust": -1}, [True]])
async def test_what_is_no_answer_is_a_denial(answer: Any) -> None:
    async with routing(asking()) as at:
        await authorizing(at, lambda args: answer)
        assert await denied(await at.join("realm1"), m.Subscribe, "a") == "wamp.error.authorization_failed"


async def test_an_authorizer_that_is_not_there_or_too_slow_has_denied() -> None:
    async with routing(asking(timeout=0.05)) as at:
        client = await at.join("realm1")
        assert await denied(client, m.Subscribe, "a") == "wamp.error.authorization_failed"
        await authorizing(at, lambda args: asyncio.get_running_loop().create_future())
        assert await denied(client, m.Subscribe, "a") == "wamp.error.authorization_failed"


async def test_what_decides_is_registered_only_by_a_rule_for_just_that() -> None:
    """Neither by a rule that holds for more, nor by a pattern, nor because the authorizer itself says so."""
    everything = Rule("", match="prefix", allow=("register",), force_reregister=True)
    realm1 = RealmSettings(
        "realm1",
        "guest",
        (
            Role("guest", (everything,)),
            Role("asking", (), Authorizer(AUTHORIZER)),
            Role("authority", (Rule(AUTHORIZER, allow=("register",)),)),
        ),
        users=(user("ask", "asking"), user("authority", "authority")),
    )
    realm2 = RealmSettings("realm2", authenticator=Authenticator("com.example.login", realm="realm1"))
    async with routing(realm1, realm2) as at:
        guest, asking_ = await at.join("realm1"), await logged_in(at, "ask")
        for uri, options in (
            (AUTHORIZER, {}),
            (AUTHORIZER, {"force_reregister": True}),
            (AUTHORIZER, {"invoke": "last"}),
            ("com.example.login", {}),
            ("com.", {"match": "prefix"}),
            ("com..authorize", {"match": "wildcard"}),
        ):
            assert await denied(guest, m.Register, uri, **options) == "wamp.error.not_authorized", (uri, options)
        assert await denied(asking_, m.Register, AUTHORIZER) == "wamp.error.not_authorized"
        authority = await logged_in(at, "authority")
        assert type(await authority.ask(m.Register, AUTHORIZER)) is m.Registered
        assert await denied(authority, m.Register, AUTHORIZER, force_reregister=True) == "wamp.error.option_not_allowed"
        assert type(await guest.ask(m.Register, "com.other.", match="prefix")) is m.Registered


async def test_what_comes_meanwhile_waits_and_keeps_its_order() -> None:
    async with routing(asking(Rule("known", allow=("subscribe",)))) as at:
        verdict = asyncio.get_running_loop().create_future()
        await authorizing(at, lambda args: verdict)
        client = await at.join("realm1")
        for uri in ("asked", "known"):
            await client.say(m.Subscribe(next(client.numbers), {}, uri))
        with pytest.raises(TimeoutError):
            await client.hear(0.05)
        verdict.set_result(False)
        refused, subscribed = await client.hear(), await client.hear()
        assert (type(refused), type(subscribed)) == (m.Error, m.Subscribed)
        assert (refused.request, subscribed.request) == (1, 2)  # type: ignore[union-attr]


async def test_who_says_much_meanwhile_is_not_read_from() -> None:
    """Else whoever may ask one thing of a slow authorizer can fill the router's memory behind it."""
    async with routing(asking(Rule("known", allow=("publish",)))) as at:
        verdict = asyncio.get_running_loop().create_future()
        asked = await authorizing(at, lambda args: verdict)
        client = await at.join("realm1")
        many = 4 * MAX_HELD
        await client.say(m.Subscribe(next(client.numbers), {}, "asked"))
        for _ in range(many):
            await client.say(m.Publish(next(client.numbers), {"acknowledge": True}, "known"))
        session = next(s for s in at.router.hub.realm("realm1").sessions.values() if s.id == client.id)
        while not asked or session.held is None or len(session.held) < MAX_HELD:
            await asyncio.sleep(0.001)
        with pytest.raises(TimeoutError):
            await client.hear(0.05)
        assert len(session.held) == MAX_HELD
        verdict.set_result(True)
        assert type(await client.hear()) is m.Subscribed
        assert [(await client.hear()).request for _ in range(many)] == [*range(2, many + 2)]  # type: ignore[union-attr]


async def test_an_answer_is_kept_only_where_both_sides_say_so_and_for_that_session() -> None:
    async with routing(asking(cache=60.0)) as at:
        asked = await authorizing(at, lambda args: {"allow": True, "cache": args[1] == "keep"})
        one, other = await at.join("realm1"), await at.join("realm1")
        for client in (one, one, other):
            for uri in ("keep", "ask"):
                assert type(await client.ask(m.Publish, uri, acknowledge=True)) is m.Published
        assert [args[1] for args in asked] == ["keep", "ask", "ask", "keep", "ask"]
    async with routing(asking()) as at:
        asked = await authorizing(at, lambda args: {"allow": True, "cache": True})
        client = await at.join("realm1")
        for _ in range(2):
            assert type(await client.ask(m.Publish, "keep", acknowledge=True)) is m.Published
        assert len(asked) == 2


async def test_a_question_with_another_option_is_another_question() -> None:
    async with routing(asking(cache=60.0)) as at:
        asked = await authorizing(at, lambda args: {"allow": "match" not in args[3], "cache": True})
        client = await at.join("realm1")
        assert type(await client.ask(m.Register, "a")) is m.Registered
        assert await denied(client, m.Register, "a", match="prefix") == "wamp.error.not_authorized"
        assert len(asked) == 2


async def test_a_session_that_leaves_while_it_waits_leaves_nothing() -> None:
    async with routing(asking()) as at:
        verdict = asyncio.get_running_loop().create_future()
        asked = await authorizing(at, lambda args: verdict)
        client = await at.join("realm1")
        await client.say(m.Subscribe(next(client.numbers), {}, "a"))
        while not asked:
            await asyncio.sleep(0.001)
        await client.gone()
        verdict.set_result(True)
        other = await at.join("realm1")
        assert type(await other.ask(m.Subscribe, "b")) is m.Subscribed
        assert client.id not in at.router.hub.realm("realm1").sessions


async def test_an_authorizer_lets_take_a_registration_away_only_by_saying_so() -> None:
    async with routing(asking(cache=60.0)) as at:
        said: dict[str, Any] = {"allow": True, "cache": True}
        await authorizing(at, lambda args: {**said, "force_reregister": args[1] == "a"})
        first, second = await at.join("realm1"), await at.join("realm1")
        for uri in ("a", "b"):
            assert type(await first.ask(m.Register, uri)) is m.Registered
        for _ in range(2):  # the second time it is what was kept
            assert await denied(second, m.Register, "b", force_reregister=True) == "wamp.error.option_not_allowed"
        assert await denied(second, m.Register, "b") == "wamp.error.procedure_already_exists"
        assert type(await second.ask(m.Register, "a", force_reregister=True)) is m.Registered


async def test_how_many_calls_a_session_may_wait_for_does_not_bound_what_the_router_asks() -> None:
    async with routing(replace(asking(), limits=RealmLimits(pending_calls=1))) as at:
        going: list[asyncio.Future[bool]] = []

        def answer(args: list[Any]) -> asyncio.Future[bool]:
            going.append(asyncio.get_running_loop().create_future())
            if len(going) == 5:
                for one in going:
                    one.set_result(True)
            return going[-1]

        await authorizing(at, answer)
        clients = [await at.join("realm1") for _ in range(5)]
        answers = await asyncio.gather(*(client.ask(m.Subscribe, "a") for client in clients))
        assert [type(one) for one in answers] == [m.Subscribed] * 5


async def test_an_authorizer_that_fails_for_a_stranger_again_and_again_floods_no_log(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with routing(asking()) as at:
        client = await at.join("realm1")
        for number in range(3 * MOST):
            await client.say(m.Subscribe(number + 1, {}, "a"))
        for _ in range(3 * MOST):
            assert type(await client.hear()) is m.Error
    lines = [line for line in capsys.readouterr().err.splitlines() if "authorizer failed" in line]
    assert 0 < len(lines) < 3 * MOST
    assert any('"of":"authorizer failed"' in line for line in lines)
