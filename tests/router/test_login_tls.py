"""Logins that rest on TLS: client certificates, and signatures and passwords bound to the connection."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from logins import PASSWORD, PUBLIC, ROLES, SEED, realm
from routing import Client, Routing, routing

from limen.core.wamp import messages as m
from limen.core.wamp.auth import cryptosign, scram
from limen.door.router.config import Listener, Tls, User
from limen.transport.tls import TLS_UNIQUE

CA, STRANGERS = trustme.CA(), trustme.CA()
PUMP = CA.issue_cert("pump.example", common_name="pump")
OTHER = CA.issue_cert("other.example", common_name="other")
DENIED = "wamp.error.authentication_denied"


def digits(leaf: trustme.LeafCert) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())).hexdigest()


USERS = (
    *realm().users,
    User(name="pump", roles=("user",), tls=("dns:pump.example",)),
    User(name="pump-by-print", roles=("guest",), tls=(digits(PUMP),)),
)


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Routing]:
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    CA.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    server = str(tmp_path / "server.pem")
    tls = Tls(certificate=server, key=server, client_ca=str(tmp_path / "ca.pem"), client="optional")
    listeners = (Listener(port=0, tls=tls),)
    async with routing(realm(users=USERS, roles=ROLES, anonymous="guest"), listeners=listeners) as at:
        yield at


def context(shown: trustme.LeafCert | None = None, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    made = ssl.create_default_context()
    CA.configure_trust(made)
    made.maximum_version = version
    if shown is not None:
        shown.configure_cert(made)
    return made


async def hello(at: Routing, shown: trustme.LeafCert | None, **details: Any) -> Any:
    client = await at.knock(tls=context(shown))
    return await client.hello("realm1", **details)


async def test_a_certificate_says_who_somebody_is_without_a_challenge(at: Routing) -> None:
    for authid, name, role in (
        ("", "pump-by-print", "guest"),
        ("pump", "pump", "user"),
        ("pump-by-print", "pump-by-print", "guest"),
    ):
        welcome = await hello(at, PUMP, authmethods=["tls"], authid=authid)
        assert type(welcome) is m.Welcome
        assert (welcome.details["authid"], welcome.details["authrole"]) == (name, role)
        assert welcome.details["authmethod"] == "tls"


async def test_another_certificate_is_nobodys_and_none_is_not_asked_about(at: Routing) -> None:
    assert (await hello(at, OTHER, authmethods=["tls"])).reason == DENIED
    assert (await hello(at, PUMP, authmethods=["tls"], authid="tina")).reason == DENIED
    assert (await hello(at, None, authmethods=["tls"])).reason == "wamp.error.no_matching_auth_method"
    welcome = await hello(at, None, authmethods=["tls", "anonymous"])
    assert welcome.details["authmethod"] == "anonymous"


async def test_a_certificate_of_strangers_does_not_come_as_far_as_hello(at: Routing) -> None:
    stranger = STRANGERS.issue_cert("pump.example", common_name="pump")
    with pytest.raises((OSError, EOFError)):
        await hello(at, stranger, authmethods=["tls"])


async def bound(at: Routing, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2) -> tuple[Client, bytes]:
    client = await at.knock(tls=context(version=version))
    binding = client.socket.writer.get_extra_info("ssl_object").get_channel_binding(TLS_UNIQUE)
    assert binding is not None
    return client, binding


async def test_a_signature_is_good_for_the_connection_to_which_it_is_bound(at: Routing) -> None:
    assert cryptosign.Client(SEED).hello()["pubkey"] == PUBLIC
    for right in (True, False):
        client, binding = await bound(at)
        if not right:
            _, binding = await bound(at)  # somebody between, with a connection of its own to either side
        signer = cryptosign.Client(SEED, TLS_UNIQUE, cryptosign.channel_id(binding))
        challenge = await client.hello("realm1", authmethods=["cryptosign"], authextra=signer.hello())
        assert type(challenge) is m.Challenge
        assert challenge.extra["channel_binding"] == TLS_UNIQUE
        await client.say(m.Authenticate(signer.answer(challenge.extra), {}))
        assert type(await client.hear()) is (m.Welcome if right else m.Abort)


async def test_a_password_is_good_for_the_connection_to_which_it_is_bound(at: Routing) -> None:
    for right in (True, False):
        client, binding = await bound(at)
        if not right:
            _, binding = await bound(at)
        proof = scram.Client(
            scram.SPECIFIED, "sue", PASSWORD, "rOprNGfwEbeRWgbNEkqO", scram.Binding(TLS_UNIQUE, binding)
        )
        challenge = await client.hello("realm1", authmethods=["wamp-scram"], authid="sue", authextra=proof.hello())
        assert type(challenge) is m.Challenge
        await client.say(m.Authenticate(*proof.answer(challenge.extra)))
        welcome = await client.hear()
        assert type(welcome) is (m.Welcome if right else m.Abort)
        assert not right or proof.verify(welcome.details["authextra"])  # type: ignore[union-attr]


@pytest.mark.parametrize("method", ["cryptosign", "wamp-scram"])
async def test_a_binding_that_cannot_be_had_is_refused_and_not_left_out(at: Routing, method: str) -> None:
    for version, kind in (
        (ssl.TLSVersion.TLSv1_3, TLS_UNIQUE),
        (ssl.TLSVersion.TLSv1_2, "tls-exporter"),
        (ssl.TLSVersion.TLSv1_2, 7),
    ):
        client, _ = await bound(at, version)
        extra = {"pubkey": PUBLIC, "nonce": "rOprNGfwEbeRWgbNEkqO", "channel_binding": kind}
        refused = await client.hello("realm1", authmethods=[method], authid="", authextra=extra)
        assert type(refused) is m.Abort
        assert "channel binding" in refused.details["message"]
