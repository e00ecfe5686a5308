"""The greeting of a plain WAMP session that signs for itself: cryptosign (WAMP advanced profile, Ed25519; no channel
binding).

    HELLO         [1, realm, {"authmethods": ["cryptosign"], "authextra": {"pubkey": hex 32}, …}]
    CHALLENGE     [4, "cryptosign", {"challenge": hex 32, "channel_binding": null}]
    AUTHENTICATE  [5, hex of the signature (64) and the challenge (32), {}]

Such a session has a user and roles and is not sealed: it may call what is `safe=False`, with `roles` or without. Every
HELLO gets a challenge, and every signature is checked, whether the key is known or not.
"""

from __future__ import annotations

import logging
import secrets
import time
from typing import TYPE_CHECKING, Final

from limen import exc
from limen.core.guard.ledger import Kind
from limen.core.seal.machine import PUBLIC, ed25519_id, ed25519_verifies
from limen.core.wamp.codecs import Malformed, Unacceptable
from limen.core.wamp.messages import Abort, Authenticate, Challenge
from limen.door.hub.answering import new_session_id
from limen.door.hub.identity import machine

from .connection import Connection

if TYPE_CHECKING:
    from limen.core.guard.accounts import Account, MachineKey
    from limen.core.wamp.session import Greeting

METHOD: Final = "cryptosign"
SIGNATURE: Final = 64

log = logging.getLogger("limen.door")


async def greet(connection: Connection, greeting: Greeting) -> None:
    """From HELLO to WELCOME, or to the end of the connection."""
    error: exc.Error
    try:
        await _sign_in(connection, greeting)
        return
    except exc.Error as refused:
        error = refused
    except (Malformed, Unacceptable):
        error = exc.InvalidCredential()
    except TimeoutError:
        error = exc.Timeout("The login took too long; try again.")
    except Exception:
        log.exception("a login failed")
        error = exc.InternalError()
    connection.send(Abort({"message": str(error), **error.to_wire()}, error.uri))
    connection.drop(1008, "")


async def _sign_in(connection: Connection, greeting: Greeting) -> None:
    gate, domain = connection.hub.gate, connection.domain
    if greeting.extra.get("channel_binding") is not None:
        raise exc.InvalidCredential("cryptosign is without channel binding here; a sealed session has its own.")
    public = _hexadecimal(greeting.extra.get("pubkey"), PUBLIC)
    await gate.slow_down(connection.domain, connection.origin)
    entry = gate.ledger.issue(domain, connection.origin, Kind.KK1, time.time())
    try:
        found = await gate.on_thread(machine, gate, domain, ed25519_id(public), "ed25519")
        entry.user = found[0].user if found is not None else None
        challenge = secrets.token_bytes(32)
        connection.send(Challenge(METHOD, {"challenge": challenge.hex(), "channel_binding": None}))
        data, text = await connection.next_frame()
        message = connection.codec.decode(data) if text is connection.codec.text else None
        if type(message) is not Authenticate:
            raise exc.InvalidCredential
        signed = _is_signed(message.signature, public, challenge)
        found = await gate.settled(machine, gate, domain, ed25519_id(public), "ed25519")
        if found is None or not signed or greeting.authid not in ("", found[1].user):
            raise exc.InvalidCredential
    except BaseException:
        gate.ledger.lapse(entry, time.time())
        raise
    gate.ledger.succeed(entry, time.time())
    _enter(connection, greeting, *found)


def _is_signed(signature: object, public: bytes, challenge: bytes) -> bool:
    """Signature and challenge, or the signature alone, as some clients send it."""
    raw = _hexadecimal(signature, SIGNATURE, SIGNATURE + len(challenge))
    return ed25519_verifies(public, raw[:SIGNATURE], challenge) and raw[SIGNATURE:] in (b"", challenge)


def _hexadecimal(value: object, *sizes: int) -> bytes:
    try:
        raw = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        raw = b""
    if len(raw) not in sizes:
        raise exc.InvalidCredential
    return raw


def _enter(connection: Connection, greeting: Greeting, key: MachineKey, account: Account) -> None:
    session = new_session_id()
    tls = connection.wire.tls
    connection.key = key.id
    principal = connection.hub.gate.principal(account, connection.origin, tls, session, sealed=False)
    details = {"authid": account.user, "authmethod": METHOD, "x_roles": list(principal.roles)}
    connection.join(greeting.roles, principal, session, details)
