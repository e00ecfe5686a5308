"""Call and publish over plain HTTP, signed as Crossbar.io's bridge documents it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from knock import knock
from signed import Site, crossbar, header, now, program, serving

from limen import exc
from limen.core.wamp.messages import Event, Invocation, Register, Registered, Subscribe, Yield

REFUSED = exc.InvalidCredential.uri
MALFORMED = exc.InvalidCall.uri


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    async with serving(program()) as site:
        yield site


def error(told: tuple[int, Any]) -> tuple[int, str]:
    assert set(told[1]) == {"error", "args", "kwargs"}
    return told[0], told[1]["error"]


# -- what it does -----------------------------------------------------------------------------------------------
async def test_a_service_is_called_with_args_and_kwargs(site: Site) -> None:
    key = site.key()
    assert await site.bridge(key, "call", {"procedure": "add", "args": [40, 2]}) == (200, {"args": [42]})
    assert await site.bridge(key, "call", {"procedure": "add", "args": [40], "kwargs": {"b": 2}}) == (
        200,
        {"args": [42]},
    )
    assert await site.bridge(key, "call", {"procedure": "whoami"}) == (
        200,
        {"args": [["robot", ["machine"], False, ""]]},
    )
    assert site.level() == 0.0


async def test_what_a_service_refuses_comes_with_200_as_at_crossbar(site: Site) -> None:
    key = site.key()
    status, told = await site.bridge(key, "call", {"procedure": "fail"})
    assert (status, told["error"], told["args"]) == (200, exc.RecordNotFound.uri, ["Nothing here."])
    assert told["kwargs"] == {"exc": "RecordNotFound", "err": ["Nothing here."], "id": 7}
    for procedure, uri in (
        ("nothing", exc.NotFound.uri),
        ("secret", exc.Unauthorized.uri),
        ("dismiss", exc.Forbidden.uri),
        ("limen.session.logout", exc.NotFound.uri),
    ):
        assert error(await site.bridge(key, "call", {"procedure": procedure})) == (200, uri)


async def test_a_procedure_of_a_wamp_session_is_called_where_a_rule_allows_it(site: Site) -> None:
    key, other = site.key(), site.key("visitor", ("user",))
    async with knock(site, "json", sealed=False) as callee:  # type: ignore[arg-type]
        await callee.anonymous()
        await callee.send(Register(1, {}, "device.pump"))
        assert type(await callee.receive()) is Registered
        assert error(await site.bridge(other, "call", {"procedure": "device.pump"})) == (200, exc.NotFound.uri)
        asked = asyncio.ensure_future(site.bridge(key, "call", {"procedure": "device.pump", "args": [7]}))
        invocation = await callee.receive()
        assert type(invocation) is Invocation
        assert invocation.args == [7]
        await callee.send(Yield(invocation.request, {}, ["on"], {"bar": 2}))
        assert await asked == (200, {"args": ["on"], "kwargs": {"bar": 2}})


async def test_an_event_is_published_where_a_rule_allows_it(site: Site) -> None:
    key, other = site.key(), site.key("visitor", ("user",))
    async with knock(site, "json", sealed=False) as listener:  # type: ignore[arg-type]
        await listener.anonymous()
        await listener.send(Subscribe(1, {}, "device.news"))
        await listener.receive()
        event = {"topic": "device.news", "args": ["hot"], "kwargs": {"at": 90}}
        assert error(await site.bridge(other, "publish", event)) == (200, exc.Unauthorized.uri)
        status, told = await site.bridge(key, "publish", event)
        heard = await listener.receive()
        assert type(heard) is Event
        assert (status, told) == (200, {"id": heard.publication})
        assert (heard.args, heard.kwargs) == (["hot"], {"at": 90})
        assert error(await site.bridge(key, "publish", {"topic": "news"})) == (200, exc.Unauthorized.uri)


async def test_nothing_of_a_request_stays_in_the_realm(site: Site) -> None:
    key = site.key()
    await site.bridge(key, "call", {"procedure": "add", "args": [1]})
    assert not site.hub.realm("localhost").sessions
    assert not site.hub.guests


# -- what it refuses --------------------------------------------------------------------------------------------
async def test_a_signature_is_good_once_also_with_its_boundaries_moved(site: Site) -> None:
    key, body = site.key(), b'{"procedure": "add", "args": [1]}'
    query = crossbar(key, body, seq=1, nonce=234, timestamp=now())
    moved = query.replace("seq=1&nonce=234", "seq=12&nonce=34")
    assert moved != query
    statuses = [(await site.ask("POST", f"/limen/bridge/call?{q}", body)).status for q in (query, query, moved)]
    assert statuses == [200, 401, 401]
    assert site.level() == 2.0


async def test_a_signature_spent_at_another_server_of_the_database_is_spent(site: Site) -> None:
    key, body = site.key(), b'{"procedure": "add", "args": [1]}'
    query = crossbar(key, body)
    other = program()
    other.set_auth_storage(site.app.vault.storage)
    other.vault.keys = site.app.vault.keys
    async with serving(other) as second:
        target = f"/limen/bridge/call?{query}"
        assert [(await there.ask("POST", target, body)).status for there in (site, second)] == [200, 401]


@pytest.mark.parametrize(("seconds", "status"), [(-290, 200), (290, 200), (-310, 400), (310, 400), (-1e6, 400)])
async def test_a_time_may_differ_by_five_minutes(site: Site, seconds: float, status: int) -> None:
    key = site.key()
    told = await site.bridge(key, "call", {"procedure": "add", "args": [1]}, timestamp=now(seconds))
    assert told[0] == status


async def test_wrong_unknown_and_removed_keys_are_told_alike_and_cost_one(site: Site) -> None:
    key, gone, disabled = site.key(), site.key(), site.key("old")
    site.app.auth.add_machine("far", domain="other.example")
    far = site.app.auth.add_key("far", domain="other.example", kind="http")
    sealed = site.app.auth.add_key("robot")
    site.app.auth.remove_key(gone.id)
    site.app.auth.disable("old")
    body = b'{"procedure": "add", "args": [1]}'
    queries = [
        crossbar(key, body, secret="wrong"),
        crossbar(key, body, over=b'{"procedure": "add", "args": [2]}'),
        crossbar(key, body, key="00" * 16),
        crossbar(key, body, key="robot"),
        crossbar(key, body, key=""),
        crossbar(gone, body),
        crossbar(disabled, body),
        crossbar(far, body),
        crossbar(sealed, body),
    ]
    answers = [await site.ask("POST", f"/limen/bridge/call?{query}", body) for query in queries]
    assert {(answer.status, answer.body) for answer in answers} == {(401, answers[0].body)}
    assert json.loads(answers[0].body)["error"] == REFUSED
    assert site.level() == 9.0


@pytest.mark.parametrize("missing", ["key", "timestamp", "seq", "nonce", "signature"])
async def test_a_request_without_one_of_its_parts_is_refused(site: Site, missing: str) -> None:
    body = b'{"procedure": "add", "args": [1]}'
    parts = [part for part in crossbar(site.key(), body).split("&") if not part.startswith(missing + "=")]
    answer = await site.ask("POST", f"/limen/bridge/call?{'&'.join(parts)}", body)
    told = json.loads(answer.body)
    assert (answer.status, told["error"]) == (
        (401, exc.Unauthorized.uri) if missing == "signature" else (400, MALFORMED)
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"seq": "-1"},
        {"seq": "one"},
        {"nonce": "1.5"},
        {"timestamp": "yesterday"},
        {"timestamp": "2027-13-01T00:00:00Z"},
    ],
)
async def test_parts_that_have_another_form_are_refused(site: Site, changes: dict[str, str]) -> None:
    assert error(await site.bridge(site.key(), "call", {"procedure": "add"}, **changes)) == (400, MALFORMED)


@pytest.mark.parametrize(
    "event",
    [
        b"",
        b"[]",
        b"{}",
        b"[1]",
        b'"add"',
        {"procedure": 7},
        {"procedure": "add", "args": {"a": 1}},
        {"procedure": "add", "kwargs": [1]},
    ],
)
async def test_a_signed_body_that_asks_nothing_is_refused(site: Site, event: Any) -> None:
    assert error(await site.bridge(site.key(), "call", event)) == (400, MALFORMED)


async def test_other_methods_and_addresses_are_refused(site: Site) -> None:
    assert (await site.ask("GET", "/limen/bridge/call")).status == 405
    assert (await site.ask("POST", "/limen/bridge", b"{}")).status == 404
    assert (await site.ask("POST", "/limen/bridge/register", b"{}")).status == 404
    assert (
        await site.ask("POST", "/limen/bridge/call", b"{}", origin="127.0.0.1", sec_fetch_site="cross-site")
    ).status == 403


async def test_a_flood_of_wrong_signatures_locks_nobody_else_out(site: Site) -> None:
    key, body = site.key(), b'{"procedure": "add", "args": [1]}'
    for _ in range(12):
        await site.ask("POST", f"/limen/bridge/call?{crossbar(key, body, secret='wrong')}", body)
    assert site.level() >= 10.0
    assert await site.bridge(key, "call", {"procedure": "add", "args": [1]}) == (200, {"args": [1]})
    body = b'{"a": 1}'
    for authorization, status in ((header(key, "POST", "/add", body), 200), ("Basic YWRhOmxvdmVsYWNl", 429)):
        assert (await site.ask("POST", "/add", body, authorization=authorization)).status == status


async def test_no_secret_is_in_the_store_the_log_or_an_error(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    key = site.key()
    row = site.app.auth.keys("robot")[0]
    assert key.private.encode() not in row.public
    told = await site.bridge(key, "call", {"procedure": "add"}, nonce="x")
    assert key.private not in caplog.text + str(told) + repr(row) + repr(key)


# -- plain calls that are signed --------------------------------------------------------------------------------
async def test_a_service_is_called_at_its_own_address_with_a_signed_header(site: Site) -> None:
    key = site.key()
    for method, target, body in (
        ("GET", "/whoami?word=a%20b", None),
        ("POST", "/whoami", b'{"word": "a b"}'),
        ("POST", "/whoami", b'{"word": "' + b"long" * 50_000 + b'"}'),
    ):
        answer = await site.ask(method, target, body, authorization=header(key, method, target, body or b""))
        assert answer.status == 200, answer.body
        assert json.loads(answer.body)[:3] == ["robot", ["machine"], False]
    assert (await site.ask("GET", "/whoami")).status == 401


async def test_a_signed_header_is_for_one_request_and_no_other(site: Site) -> None:
    key = site.key()
    site.app.add_domain("other.example")
    signed = header(key, "GET", "/whoami?word=a")
    ask = site.ask
    assert (await ask("GET", "/whoami?word=b", authorization=signed)).status == 401
    assert (await ask("HEAD", "/whoami?word=a", authorization=signed)).status == 401
    assert (await ask("POST", "/whoami?word=a", b"{}", authorization=signed)).status == 401
    assert (await ask("GET", "/whoami?word=a", authorization=signed, host="other.example")).status == 401
    assert (await ask("GET", "/whoami?word=a", authorization=signed)).status == 200
    assert (await ask("GET", "/whoami?word=a", authorization=signed)).status == 401
    assert (await ask("POST", "/secret", b"{}", authorization=header(key, "POST", "/secret", b"{}"))).status == 401
    assert (await ask("POST", "/dismiss", b"{}", authorization=header(key, "POST", "/dismiss", b"{}"))).status == 403


async def test_another_authorization_header_is_not_ours(site: Site) -> None:
    assert (await site.ask("POST", "/add", b'{"a": 1}', authorization="Basic YWRhOmxvdmVsYWNl")).status == 200
    assert (await site.ask("POST", "/add", b'{"a": 1}', authorization="Limen nonsense")).status == 400
