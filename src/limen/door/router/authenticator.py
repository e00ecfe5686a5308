"""Dynamic logins: a procedure of the realm says who may come in. It is called by the router itself with

    (realm, authid, {"authmethod", "authextra", "session", "transport", "ticket" or "certificate"})

once a login (a ticket: after AUTHENTICATE, else after HELLO), and answers with a role, or with a dict of

    role, or roles       the first is the authrole; required
    authid               who it is, if not who it said
    extra                WELCOME's authextra
    ticket               what the ticket must be; without it the answer itself says that it was right
    secret, salt, iterations, keylen                               of wampcra; required there: secret
    kdf, salt, iterations, memory, stored-key, server-key          of scram; required there
    pubkey                                                         of cryptosign; required there

An error of the procedure is a no. So is, to the client, what it fails with; the log has it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from limen import exc
from limen.core.wamp.auth import cryptosign, ticket, tls, wampcra

from .users import Known, Users, records

if TYPE_CHECKING:
    from limen.door.router.config import Authenticator

    from .inside import CallInside

ABSENT: Final = (exc.NotFound, exc.Timeout, exc.Busy, exc.Canceled, exc.ConnectionLost)
"""Errors of the authenticator itself, which say nothing of the user who asks."""

log = logging.getLogger("limen.door")


async def ask(call: CallInside, users: Users, authid: str, details: dict[str, Any]) -> Known | None:
    """Who that is, as the procedure says; None: it says no, or failed on this user.

    Raises `exc.InternalError` where it can't be asked: the client learns that, and no more.
    """
    authenticator, realm = users.settings.authenticator, users.settings.name
    assert authenticator is not None
    try:
        args = [realm, authid, details]
        result = await call(authenticator.realm or realm, authenticator.procedure, args, {}, authenticator.timeout)
    except ABSENT as error:
        log.error("The authenticator %s of realm %s can't be asked: %s", authenticator.procedure, realm, error.uri)
        raise exc.InternalError("Logins can't be checked at the moment.") from None
    except exc.Error as error:  # its words may hold what the client has said, a ticket: they are in no log
        if isinstance(error, exc.InternalError):
            log.error("The authenticator %s of realm %s failed on a login", authenticator.procedure, realm)
        return None
    try:
        return _known(users, authid, details["authmethod"], result.args[0] if result.args else None)
    except (ValueError, TypeError, KeyError) as error:
        log.error("The authenticator %s of realm %s: %s", authenticator.procedure, realm, _sentence(error))
        raise exc.InternalError("Logins can't be checked at the moment.") from None


def takes(authenticator: Authenticator | None, method: str) -> bool:
    """Whether *method*, as HELLO has it, is asked about there."""
    return authenticator is not None and method in authenticator.methods


def _known(users: Users, authid: str, method: str, answer: object) -> Known:
    """Raises ValueError, TypeError, KeyError, with no secret in it, for what is no answer."""
    said: dict[str, Any] = {"role": answer} if isinstance(answer, str) else answer if isinstance(answer, dict) else {}
    roles = said.get("roles") or [said.get("role")]
    if not isinstance(roles, list) or not all(isinstance(role, str) and role in users.roles for role in roles):
        raise ValueError("it must answer with a role that the realm has")
    extra, name, realm = said.get("extra"), said.get("authid") or authid, said.get("realm")
    if not isinstance(name, str) or not name or not isinstance(extra, dict | None):
        raise ValueError("authid is a text, extra a dict")
    if realm not in (None, users.settings.name):
        raise ValueError("it can't send sessions into another realm")
    known = Known(name, tuple(roles), provider="dynamic", extra=extra, **_proof(method, said))
    users.seen(known)
    return known


def _proof(method: str, said: dict[str, Any]) -> dict[str, Any]:
    match method:
        case ticket.METHOD:
            return {"ticket": None if said.get("ticket") is None else _text(said, "ticket")}
        case wampcra.METHOD:
            iterations, keylen = _number(said, "iterations", 1000), _number(said, "keylen", 32)
            salt = "" if said.get("salt") is None else _text(said, "salt")
            return {"cra": wampcra.Credential(_text(said, "secret"), salt, iterations, keylen)}
        case cryptosign.METHOD:
            return {"public": cryptosign.public_key({"pubkey": _text(said, "pubkey")})}
        case tls.METHOD:
            return {}
    made = records(
        _text(said, "kdf"),
        _text(said, "salt"),
        _number(said, "iterations", 4096),
        _number(said, "memory", 512),
        _text(said, "stored-key" if "stored-key" in said else "stored_key"),
        _text(said, "server-key" if "server-key" in said else "server_key"),
    )
    if method not in made:
        raise ValueError(f"{method} can't be done with a record by {said['kdf']}")
    return {"scram": made}


def _text(said: dict[str, Any], name: str) -> str:
    value = said.get(name)
    if not isinstance(value, str) or not value:
        raise KeyError(name)
    return value


def _number(said: dict[str, Any], name: str, usual: int) -> int:
    value = said.get(name)
    if value is None:
        return usual
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int or value < 1:
        raise KeyError(name)
    return value


def _sentence(error: Exception) -> str:
    return f"its answer lacks {error.args[0]}" if isinstance(error, KeyError) else str(error)
