"""Dynamic logins: a procedure says who may come in, and what it fails with stays at home."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from logins import PASSWORD, PUBLIC, RECORD, SALTED, challenged, log_in, realm, text, way
from routing import Routing, routing

from limen import exc
from limen.core.wamp import messages as m
from limen.door.router.config import Authenticator, Settings
from limen.door.router.entrance import RouterEntrance

DENIED, FAILED = "wamp.error.authentication_denied", "wamp.error.authentication_failed"
ASKED = Authenticator(procedure="com.example.authenticate")
KEPT = {
    "kdf": "pbkdf2",
    "salt": RECORD.salt.hex(),
    "iterations": RECORD.iterations,
    "stored-key": RECORD.stored_key.hex(),
    "server-key": text(RECORD.server_key),
}
ANSWERS: dict[str, Any] = {
    "ticket": {"role": "user", "ticket": PASSWORD},
    "wampcra": {"role": "user", "secret": SALTED.secret, "salt": SALTED.salt, "iterations": 100.0},
    "wamp-scram": {"role": "user", **KEPT},
    "scram": {"role": "user", **KEPT},
    "cryptosign": {"role": "user", "pubkey": PUBLIC},
}


class Asked:
    """The procedure. *answer*: what it gives, or raises."""

    def __init__(self, at: Routing, answer: Any) -> None:
        self.answer, self.calls = answer, []  # type: ignore[var-annotated]
        settings = Settings(realms=at.router.settings.realms)
        at.router.hub.entrance = RouterEntrance(settings, self, bytes(32))
        at.router.config.MAX_PENDING_LOGINS = 256
        at.router.config.MAX_ORIGIN_ABUSE_LEVEL = 1000

    async def __call__(self, realm: str, uri: str, args: list[Any], kwargs: dict[str, Any], seconds: float) -> m.Result:
        self.calls.append((realm, uri, *args, kwargs, seconds))
        answer = self.answer(*args) if callable(self.answer) else self.answer
        if isinstance(answer, Exception):
            raise answer
        return m.Result(1, {}, [answer])


@pytest.mark.parametrize("method", ANSWERS)
async def test_a_user_whom_the_configuration_does_not_know_is_asked_about(method: str) -> None:
    async with routing(realm(authenticator=ASKED)) as at:
        asked = Asked(at, ANSWERS[method] | {"authid": "the.dora", "extra": {"colour": "red"}})
        welcome, _ = await log_in(at, method, "dora")
        assert type(welcome) is m.Welcome
        about = {key: welcome.details[key] for key in ("authid", "authrole", "authmethod", "authprovider")}
        assert about == {"authid": "the.dora", "authrole": "user", "authmethod": method, "authprovider": "dynamic"}
        assert welcome.details["authextra"].items() >= {"colour": "red"}.items()
        ((name, uri, in_realm, authid, details, kwargs, seconds),) = asked.calls
        assert (name, uri, in_realm, authid) == ("realm1", "com.example.authenticate", "realm1", "dora")
        assert (kwargs, seconds, details["authmethod"]) == ({}, 5.0, method)
        assert (details.get("ticket") == PASSWORD) is (method == "ticket")
        wrong, _ = await log_in(at, method, "dora", bytes(32) if method == "cryptosign" else "wrong")
        assert type(wrong) is m.Abort
        assert wrong.reason == DENIED


async def test_a_role_alone_says_that_a_ticket_was_right() -> None:
    async with routing(realm(authenticator=ASKED)) as at:
        Asked(at, lambda realm, authid, details: "admin" if details["ticket"] == "x1" else exc.InvalidCredential())
        welcome, _ = await log_in(at, "ticket", "dora", "x1")
        assert type(welcome) is m.Welcome
        assert (welcome.details["authid"], welcome.details["authrole"]) == ("dora", "admin")
        assert type((await log_in(at, "ticket", "dora", "x2"))[0]) is m.Abort


async def test_users_of_the_configuration_are_not_asked_about() -> None:
    async with routing(realm(authenticator=ASKED)) as at:
        asked = Asked(at, exc.Forbidden())
        assert type((await log_in(at, "ticket", "tina"))[0]) is m.Welcome
        assert type((await log_in(at, "cryptosign", "device"))[0]) is m.Welcome
        assert type((await log_in(at, "ticket", "tina", "wrong"))[0]) is m.Abort
        assert asked.calls == []


@pytest.mark.parametrize("method", ANSWERS)
async def test_whom_it_denies_is_told_what_a_wrong_secret_is_told_and_no_earlier(method: str) -> None:
    words = "no such user in table people_2026"
    async with routing(realm(authenticator=ASKED)) as at:
        asked = Asked(at, ANSWERS[method])
        wrong, _ = await log_in(at, method, "dora", bytes(32) if method == "cryptosign" else "wrong")
        errors = (exc.InvalidCredential(words), exc.InternalError(words), exc.RemoteError(words, uri="com.x.no"))
        for n, error in enumerate(errors):
            asked.answer, name = error, f"nobody{n}"  # each once: guesses at one name are slowed
            challenge = await challenged(await at.knock(), method, name, way(method, name)[0])
            assert type(challenge) is m.Challenge
            refused, _ = await log_in(at, method, f"{name}x")
            assert refused == wrong


@pytest.mark.parametrize("method", ANSWERS)
@pytest.mark.parametrize(
    "answer",
    [
        exc.NotFound("com.example.authenticate"),
        exc.Timeout(),
        exc.Busy(),
        None,
        7,
        [],
        {},
        "no such role",
        {"role": "user", "roles": ["user", "chief"]},
        {"role": ["user"]},
        {"role": "user", "authid": 7},
        {"role": "user", "extra": "x"},
        {"role": "user", "realm": "realm2"},
        {"role": "user", "ticket": 7, "iterations": "many", "pubkey": "ab", "kdf": "md5"},
    ],
    ids=str,
)
async def test_an_authenticator_that_fails_lets_nobody_in_and_is_in_the_log_alone(
    method: str, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with routing(realm(authenticator=ASKED)) as at:
        Asked(at, answer)
        refused, _ = await log_in(at, method, "dora")
        assert type(refused) is m.Abort
        assert refused.reason == FAILED
        assert "authenticat" not in refused.details["message"]
        (record,) = [record for record in caplog.records if record.name == "limen.door"]
        assert record.levelno == logging.ERROR
        assert "com.example.authenticate" in record.getMessage()
        assert PASSWORD not in caplog.text


async def test_it_is_asked_about_its_methods_alone() -> None:
    only = Authenticator(procedure="com.example.authenticate", methods=("wampcra",), timeout=1.5)
    async with routing(realm(authenticator=only, users=())) as at:
        asked = Asked(at, ANSWERS["wampcra"])
        assert (await log_in(at, "ticket", "dora"))[0].reason == "wamp.error.no_matching_auth_method"  # type: ignore[union-attr]
        assert type((await log_in(at, "wampcra", "dora"))[0]) is m.Welcome
        assert [call[-1] for call in asked.calls] == [1.5]


async def test_unknown_names_look_like_those_whom_it_knows() -> None:
    async with routing(realm(authenticator=ASKED, users=())) as at:
        asked = Asked(at, ANSWERS["wampcra"])
        assert type((await log_in(at, "wampcra", "dora"))[0]) is m.Welcome
        asked.answer = exc.InvalidCredential()
        one, two = [await challenged(await at.knock(), "wampcra", "nobody", {}) for _ in range(2)]
        assert one.extra["salt"] == two.extra["salt"] != SALTED.salt
        assert (one.extra["iterations"], one.extra["keylen"]) == (100, 32)


async def test_its_words_are_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    async with routing(realm(authenticator=ASKED)) as at:
        Asked(at, lambda realm, authid, details: exc.InternalError(f"KeyError: {details['ticket']!r}"))
        await log_in(at, "ticket", "dora")
        assert PASSWORD not in caplog.text


# -- a real one -------------------------------------------------------------------------------------------------
async def test_the_procedure_of_a_client_says_who_comes_in_and_who_does_not() -> None:
    patient = Authenticator(procedure="com.example.authenticate", timeout=0.2)
    async with routing(realm(authenticator=patient)) as at:
        _, callee = await log_in(at, "ticket", "tina")
        assert type(await callee.ask(m.Register, "com.example.authenticate")) is m.Registered
        joining = asyncio.ensure_future(log_in(at, "ticket", "dora", "magic", encoding="cbor"))
        invocation = await callee.hear()
        assert type(invocation) is m.Invocation
        assert invocation.args is not None
        asked_of, authid, details = invocation.args
        assert (asked_of, authid, details["ticket"], details["authmethod"]) == ("realm1", "dora", "magic", "ticket")
        assert details["transport"] == {"protocol": "wamp.2.cbor", "client": "127.0.0.1", "tls": False}
        await callee.say(m.Yield(invocation.request, {}, [{"role": "guest", "extra": {"shift": 3}}]))
        welcome, client = await joining
        assert type(welcome) is m.Welcome
        assert (welcome.details["authrole"], welcome.details["authextra"]) == ("guest", {"shift": 3})
        assert details["session"] == welcome.session
        assert type(await client.ask(m.Subscribe, "com.example.news")) is m.Subscribed

        joining = asyncio.ensure_future(log_in(at, "ticket", "eve", "x"))
        invocation = await callee.hear()
        assert type(invocation) is m.Invocation
        await callee.say(m.Error(68, invocation.request, {}, "com.example.no", ["eve is unknown in table 7"]))
        refused, _ = await joining
        assert type(refused) is m.Abort
        assert refused.reason == DENIED
        assert "7" not in str(refused)

        joining = asyncio.ensure_future(log_in(at, "wampcra", "fay"))
        assert type(await callee.hear()) is m.Invocation  # and it never answers
        assert (await joining)[0].reason == FAILED  # type: ignore[union-attr]
        await callee.gone()
        assert (await log_in(at, "ticket", "gus"))[0].reason == FAILED  # type: ignore[union-attr]
