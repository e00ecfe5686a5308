"""The entrance of `limen serve`: anonymous, and machines that sign: cryptosign (WAMP advanced profile, Ed25519; no
channel binding) with the keys of `limen key`.

    HELLO         [1, realm, {"authmethods": ["cryptosign"], "authextra": {"pubkey": hex 32}, …}]
    CHALLENGE     [4, "cryptosign", {"challenge": hex 32, "channel_binding": null}]
    AUTHENTICATE  [5, hex of the signature (64) and the challenge (32), {}]

Such a session has a user and roles and is not sealed: it may call what is `safe=False`, with `roles` or without. Every
HELLO gets a challenge, and every signature is checked, whether the key is known or not.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Coroutine
from typing import TYPE_CHECKING, Any, Final

from limen import exc
from limen.base.principal import ANONYMOUS
from limen.core.guard.ledger import Kind
from limen.core.seal.machine import ed25519_id
from limen.core.wamp.auth import cryptosign

from .entrance import Admitted, Knocking
from .identity import machine

if TYPE_CHECKING:
    from limen.core.wamp.session import Greeting

METHODS: Final = (ANONYMOUS, cryptosign.METHOD)


class Machines:
    """The realm is the domain of the Host header, and no other."""

    def methods(self, connection: Knocking, realm: str) -> Collection[str] | None:
        return METHODS if realm == connection.domain else None

    def admit(self, connection: Knocking, greeting: Greeting) -> Admitted | Coroutine[Any, Any, Admitted]:
        if greeting.method == ANONYMOUS:
            return anonymous(connection)
        return _sign_in(connection, greeting)


def anonymous(connection: Knocking) -> Admitted:
    """Nobody, unless that origin has misbehaved too much. Raises `exc.Abusive`."""
    retry_after = connection.hub.gate.refused(connection.domain, connection.origin)
    if retry_after is not None:
        raise exc.Abusive(retry_after=round(retry_after))
    return Admitted(f"anonymous-{connection.session_id}", (ANONYMOUS,), ANONYMOUS, "limen")


async def _sign_in(connection: Knocking, greeting: Greeting) -> Admitted:
    gate, domain = connection.hub.gate, connection.domain
    if greeting.extra.get("channel_binding") is not None:
        raise exc.InvalidCredential("cryptosign is without channel binding here; a sealed session has its own.")
    try:
        public = cryptosign.public_key(greeting.extra)
    except cryptosign.Refused:
        raise exc.InvalidCredential from None
    await gate.slow_down(domain, connection.origin)
    entry = gate.ledger.issue(domain, connection.origin, Kind.KK1, time.time())
    try:
        found = await gate.on_thread(machine, gate, domain, ed25519_id(public), "ed25519")
        entry.user = found[0].user if found is not None else None
        exam = cryptosign.Server(public, secrets.token_bytes(cryptosign.SIZE))
        message = await connection.challenge(cryptosign.METHOD, exam.challenge())
        signed = exam.passed(message.signature, message.extra)
        found = await gate.settled(machine, gate, domain, ed25519_id(public), "ed25519")
        if found is None or not signed or greeting.authid not in ("", found[1].user):
            raise exc.InvalidCredential
    except BaseException:
        gate.ledger.lapse(entry, time.time())
        raise
    gate.ledger.succeed(entry, time.time())
    key, account = found
    who = gate.principal(account, connection.origin, connection.tls, None, sealed=False)
    return Admitted(
        account.user,
        who.roles,
        cryptosign.METHOD,
        "limen",
        user=who.user,
        profile=who.profile,
        details={"x_roles": list(who.roles)},
        key=key.id,
    )
