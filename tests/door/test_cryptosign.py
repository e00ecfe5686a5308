"""cryptosign at the WebSocket door: plain WAMP with a user, who gets no further than safe=False."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from knock import ROLES, Door, Knock, Refused, knock

from limen import App, exc, get_state
from limen.core.wamp.messages import Authenticate, Call, Challenge, Error, Hello, Publish, Register, Subscribe, Welcome

UNAUTHORIZED, FORBIDDEN = exc.Unauthorized.uri, exc.Forbidden.uri


class Signed(Door):
    def extend(self, app: App) -> None:
        @app.service(safe=False, roles=["device"])
        def report() -> tuple[Any, ...]:
            state = get_state()
            return (state.user, list(state.roles), state.sealed)

        @app.service(safe=False, roles=["chief"])
        def dismiss() -> None: ...

        app.topic("orders", safe=False, roles=["device"])
        app.realm_rule(["register", "publish"], "device.", match="prefix", safe=False, roles=["device"])
        app.realm_rule("publish", "sealed.only", roles=["device"])


@pytest.fixture
async def signed(open_door: Any) -> Signed:
    door: Signed = await open_door(Signed)
    return door


def device(door: Door, name: str = "pump") -> Ed25519PrivateKey:
    door.app.auth.add_machine(name, roles=["device"])
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(door.app.auth.add_key(name, kind="ed25519").private))


def public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes_raw().hex()


async def challenged(client: Knock, key: Ed25519PrivateKey, **details: Any) -> bytes:
    extra = {"pubkey": public(key), "channel_binding": None} | details.pop("authextra", {})
    facts = {"roles": ROLES, "authmethods": ["cryptosign"], "authextra": extra} | details
    await client.send(Hello(client.domain, facts))
    message = client.codec.decode(await client._challenged())
    assert type(message) is Challenge
    assert (message.method, message.extra["channel_binding"]) == ("cryptosign", None)
    return bytes.fromhex(message.extra["challenge"])


async def sign_in(client: Knock, key: Ed25519PrivateKey, **details: Any) -> Welcome:
    challenge = await challenged(client, key, **details)
    await client.send(Authenticate(key.sign(challenge).hex() + challenge.hex(), {}))
    return client._enter(await client.receive())


async def refusal(client: Knock, answer: Any, key: Ed25519PrivateKey, **details: Any) -> bytes:
    """The ABORT that answers what *answer* makes of the challenge."""
    challenge = await challenged(client, key, **details)
    await client.send(Authenticate(answer(challenge), {}))
    with pytest.raises(Refused) as refused:
        await client.receive()
    return refused.value.frame


@pytest.mark.parametrize("encoding", ["json", "msgpack", "cbor"])
async def test_a_device_signs_in_and_has_a_user_and_roles(signed: Signed, encoding: str) -> None:
    key = device(signed)
    async with knock(signed, encoding, sealed=False) as client:
        details = (await sign_in(client, key)).details
        assert (details["authid"], details["authmethod"], details["authrole"]) == ("pump", "cryptosign", "device")
        assert await client.call("report") == ["pump", ["device"], False]
        assert await client.call("add", 1, 2) == 3
        assert await client.call("dismiss") == FORBIDDEN
    assert signed.level() == 3.0, "only what was denied"


async def test_it_never_calls_what_is_sealed_nor_what_limen_answers_in_sealed_sessions(signed: Signed) -> None:
    key = device(signed)
    async with knock(signed, sealed=False) as client:
        await sign_in(client, key)
        assert await client.call("secret") == UNAUTHORIZED
        for own in ("limen.session.logout", "limen.slot.open", "limen.password.begin"):
            assert await client.call(own) == exc.NotFound.uri


async def test_who_is_nobody_is_told_to_log_in_and_a_wrong_role_is_forbidden(signed: Signed) -> None:
    async with knock(signed, sealed=False) as visitor, knock(signed) as ada:
        await visitor.anonymous()
        await ada.login("ada")
        assert await visitor.call("report") == UNAUTHORIZED
        assert signed.level() == 1.0
        assert await ada.call("report") == FORBIDDEN


async def test_topics_and_rules_with_roles_are_for_those_who_signed(signed: Signed) -> None:
    key = device(signed)
    asks: list[tuple[Any, dict[str, Any], str]] = [
        (Subscribe, {}, "orders"),
        (Register, {}, "device.pump"),
        (Publish, {"acknowledge": True}, "device.news"),
        (Publish, {"acknowledge": True}, "sealed.only"),
    ]
    got: dict[str, list[str]] = {}
    async with knock(signed, sealed=False) as pump, knock(signed, sealed=False) as visitor:
        await sign_in(pump, key)
        await visitor.anonymous()
        for name, client in (("pump", pump), ("visitor", visitor)):
            for kind, options, uri in asks:
                client.request += 1
                await client.send(kind(client.request, options, uri))
                answer = await client.receive()
                got.setdefault(name, []).append(answer.error if type(answer) is Error else "")
    assert got == {"pump": ["", "", "", UNAUTHORIZED], "visitor": [UNAUTHORIZED] * 4}


async def test_unknown_keys_and_wrong_signatures_are_told_alike_and_cost_one(signed: Signed) -> None:
    key, stranger, told = device(signed), Ed25519PrivateKey.generate(), []
    cases: list[tuple[Any, Ed25519PrivateKey, dict[str, Any]]] = [
        (lambda c: stranger.sign(c).hex() + c.hex(), key, {}),
        (lambda c: stranger.sign(c).hex() + c.hex(), stranger, {}),
        (lambda c: key.sign(bytes(32)).hex() + bytes(32).hex(), key, {}),
        (lambda c: key.sign(c).hex() + bytes(32).hex(), key, {}),
        (lambda c: "no signature", key, {}),
        (lambda c: key.sign(c).hex(), key, {"authid": "ada"}),
    ]
    for answer, of, details in cases:
        async with knock(signed, sealed=False) as client:
            told.append(await refusal(client, answer, of, **details))
    await asyncio.to_thread(signed.app.auth.disable, "pump")
    async with knock(signed, sealed=False) as client:
        told.append(await refusal(client, lambda c: key.sign(c).hex(), key))
    assert len(set(told)) == 1
    assert signed.level() == float(len(told))


async def test_a_signature_opens_one_connection_and_no_second(signed: Signed) -> None:
    key = device(signed)
    async with knock(signed, sealed=False) as owner, knock(signed, sealed=False) as thief:
        challenge = await challenged(owner, key)
        recorded = key.sign(challenge).hex() + challenge.hex()
        await owner.send(Authenticate(recorded, {}))
        await owner.receive()
        await challenged(thief, key)
        await thief.send(Authenticate(recorded, {}))
        with pytest.raises(Refused):
            await thief.receive()


async def test_channel_binding_is_refused_and_not_pretended(signed: Signed) -> None:
    async with knock(signed, sealed=False) as client:
        with pytest.raises(Refused) as refused:
            await challenged(client, device(signed), authextra={"channel_binding": "tls-unique"})
        assert refused.value.abort is not None
        assert "channel binding" in refused.value.abort.details["message"]


async def test_the_session_ends_with_its_key_or_its_account(signed: Signed) -> None:
    key, other = device(signed), device(signed)
    door, (first, _) = signed, signed.app.auth.keys("pump")
    async with knock(door, sealed=False) as one, knock(door, sealed=False) as two:
        await sign_in(one, key)
        await sign_in(two, other)
        await asyncio.to_thread(door.app.auth.remove_key, first.id.hex())
        assert (await one.farewell()).reason == "wamp.close.logout"
        assert await two.call("add", 1) == 1
        await asyncio.to_thread(door.app.auth.remove_user, "pump")
        assert (await two.farewell()).reason == "wamp.close.logout"


async def test_the_session_grows_no_older_than_sessions_may(open_door: Any) -> None:
    door = await open_door(Signed, SESSION_MAX_AGE=0.2)
    async with knock(door, sealed=False) as client, knock(door, sealed=False) as visitor:
        await visitor.anonymous()
        await sign_in(client, device(door))
        assert (await client.farewell()).reason == "limen.close.expired"
        assert await visitor.call("add", 1) == 1


async def test_a_key_removed_while_the_signature_is_on_its_way_opens_nothing(signed: Signed) -> None:
    key = device(signed)
    async with knock(signed, sealed=False) as client:
        challenge = await challenged(client, key)
        await asyncio.to_thread(signed.app.auth.remove_key, signed.app.auth.keys("pump")[0].id.hex())
        await client.send(Authenticate(key.sign(challenge).hex(), {}))
        with pytest.raises(Refused):
            await client.receive()


async def test_a_call_before_the_signature_ends_the_greeting(signed: Signed) -> None:
    async with knock(signed, sealed=False) as client:
        await challenged(client, device(signed))
        await client.send(Call(1, {}, "report"))
        with pytest.raises(Refused):
            await client.receive()


async def test_devices_that_signed_in_are_not_counted_as_strangers(open_door: Any) -> None:
    door = await open_door(Signed, MAX_ORIGIN_CONNECTIONS=1)
    key = device(door)
    async with knock(door, sealed=False) as one:
        await sign_in(one, key)
        async with knock(door, sealed=False) as two:
            await sign_in(two, key)
