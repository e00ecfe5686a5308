"""Clients that log in to a router by each method, with the client's halves of core/wamp/auth."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from typing import Any

from routing import Client, Routing

from limen.core.wamp import messages as m
from limen.core.wamp.auth import cryptosign, scram, wampcra
from limen.door.router.config import Cra, RealmSettings, Role, Rule, Scram, Secret, User

PASSWORD = "correct horse"
SEED = bytes(range(32))
PUBLIC = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
EVERYTHING = Rule(uri="", match="prefix", allow=("call", "register", "publish", "subscribe"))
AUTHORITY = Rule(uri="com.example.authenticate", allow=("register",))
ROLES = tuple(Role(name=name, rules=(EVERYTHING, AUTHORITY)) for name in ("user", "admin", "guest"))
SALTED = wampcra.salted(PASSWORD, "salt123", 100)
RECORD = scram.derive(PASSWORD, b"sixteen of salt.", "pbkdf2", 4096)


def text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def realm(**more: Any) -> RealmSettings:
    """A realm with a user for each method."""
    users = (
        User(name="tina", roles=("user", "admin"), ticket=Secret(value=PASSWORD)),
        User(name="carl", roles=("user",), wampcra=Cra(secret=Secret(value=PASSWORD))),
        User(
            name="sally",
            roles=("user",),
            wampcra=Cra(secret=Secret(value=SALTED.secret), salt=SALTED.salt, iterations=SALTED.iterations),
        ),
        User(name="sam", roles=("user",), scram=Scram(password=Secret(value=PASSWORD), memory=64)),
        User(
            name="sue",
            roles=("user",),
            scram=Scram(
                kdf="pbkdf2",
                iterations=RECORD.iterations,
                salt=text(RECORD.salt),
                stored_key=RECORD.stored_key.hex(),
                server_key=text(RECORD.server_key),
            ),
        ),
        User(name="device", roles=("guest",), cryptosign=(PUBLIC,)),
    )
    return RealmSettings(**({"name": "realm1", "users": users, "roles": ROLES} | more))


METHODS = {
    "ticket": ["tina"],
    "wampcra": ["carl", "sally"],
    "wamp-scram": ["sam", "sue"],
    "scram": ["sam", "sue"],
    "cryptosign": ["device"],
}
EACH = [(method, name) for method, names in METHODS.items() for name in names]


def way(method: str, authid: str, secret: Any = None) -> tuple[dict[str, Any], Callable[[dict[str, Any]], Any]]:
    """HELLO.authextra, and what answers a challenge: (signature, extra)."""
    if method == "ticket":
        return {}, lambda extra: (secret or PASSWORD, {})
    if method == "wampcra":
        return {}, lambda extra: (wampcra.answer(secret or PASSWORD, extra), {})
    if method == "cryptosign":
        signer = cryptosign.Client(secret or SEED)
        return signer.hello(), lambda extra: (signer.answer(extra), {})
    nonce = base64.b64encode(secrets.token_bytes(16)).decode()
    client = scram.Client(scram.FORMS[method], authid, secret or PASSWORD, nonce)

    def answer(extra: dict[str, Any]) -> Any:
        said = client.answer(extra)
        answer.client = client  # type: ignore[attr-defined]
        return said

    return client.hello(), answer


async def challenged(client: Client, method: str, authid: str, extra: dict[str, Any], realm: str = "realm1") -> Any:
    return await client.hello(realm, authmethods=[method], authid=authid, authextra=extra)


async def log_in(
    at: Routing, method: str, authid: str, secret: Any = None, *, encoding: str = "json", realm: str = "realm1"
) -> tuple[m.Message, Client]:
    """WELCOME or ABORT, and who got it."""
    client = await at.knock(encoding)
    hello, answer = way(method, authid, secret)
    challenge = await challenged(client, method, authid, hello, realm)
    if type(challenge) is not m.Challenge:
        return challenge, client
    assert challenge.method == method
    signature, extra = answer(challenge.extra)
    await client.say(m.Authenticate(signature, extra))
    message = await client.hear()
    if type(message) is m.Welcome and method in scram.FORMS:
        assert answer.client.verify(message.details["authextra"])  # type: ignore[attr-defined]
    return message, client
