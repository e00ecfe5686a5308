"""The greeting of plain WAMP: the hub's entrance (`door/hub/entrance.py`) decides; WELCOME or ABORT follows."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from limen import exc
from limen.base.principal import Principal
from limen.core.guard.ledger import Kind
from limen.core.wamp.codecs import Malformed
from limen.core.wamp.messages import Abort, Hello
from limen.core.wamp.session import PROTOCOL_VIOLATION, handshake
from limen.door.hub.answering import new_session_id
from limen.door.hub.entrance import Admitted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine
    from typing import Any

    from limen.core.wamp.messages import Message
    from limen.core.wamp.session import Greeting

    from .connection import Connection

log = logging.getLogger("limen.door")

VERDICTS: Final = {
    exc.InvalidCredential: "wamp.error.authentication_denied",
    exc.InternalError: "wamp.error.authentication_failed",
}
"""ABORT's reason where the specification has one of its own (section "Advanced Profile URIs")."""


class Left(Exception):
    """The client has answered CHALLENGE by ABORT, which nobody answers."""


def greet(connection: Connection, message: Message) -> Coroutine[Any, Any, None] | None:
    """What follows from the first message of a connection; what is still to be awaited, if anything is."""
    greeting = handshake(message, connection.methods)
    if isinstance(greeting, Abort):
        if greeting.reason == PROTOCOL_VIOLATION:
            connection.blame(Kind.MALFORMED)
        elif isinstance(message, Hello) and connection.methods(message.realm) is not None:
            connection.domain = message.realm  # for the log
        connection.abort(greeting, 1008)
        return None
    connection.domain, connection.session_id = greeting.realm, new_session_id()
    try:
        admitted = connection.hub.entrance.admit(connection, greeting)
    except exc.Error as error:
        _turn_away(connection, error)
        return None
    if isinstance(admitted, Admitted):
        _enter(connection, greeting, admitted)
        return None
    return _log_in(connection, greeting, admitted)


async def _log_in(connection: Connection, greeting: Greeting, admitted: Awaitable[Admitted]) -> None:
    """From HELLO to WELCOME, or to the end of the connection."""
    error: exc.Error
    try:
        _enter(connection, greeting, await admitted)
        return
    except exc.Error as refused:
        error = refused
    except Left:
        connection.drop(1000, "")
        return
    except Malformed as malformed:
        connection.malformed(malformed)
        return
    except TimeoutError:
        error = exc.Timeout("The login took too long; try again.")
    except Exception:
        log.exception("a login failed")
        error = exc.InternalError()
    _turn_away(connection, error)


def _turn_away(connection: Connection, error: exc.Error) -> None:
    reason = VERDICTS.get(type(error), error.uri)
    connection.abort(Abort({"message": str(error), **error.to_wire()}, reason), 1008)


def _enter(connection: Connection, greeting: Greeting, who: Admitted) -> None:
    connection.key = who.key
    principal = Principal(
        connection.domain,
        connection.origin,
        user=who.user,
        roles=who.roles,
        tls=connection.tls,
        profile=who.profile,
        session=connection.session_id,
    )
    details = {"authid": who.authid, "authmethod": who.method, "authprovider": who.provider, **who.details}
    if who.extra is not None:
        details["authextra"] = who.extra
    connection.join(greeting.roles, principal, connection.session_id, details)
