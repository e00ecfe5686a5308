"""The greeting of a sealed connection (`door/hub/greeter.py`): a short coroutine, at most LOGIN_TIMEOUT between two
frames. Its keys become the connection's channel, whose first frame out is WELCOME."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from limen import exc
from limen.base.names import domain_name
from limen.core.seal.login import LoginRefused, ServerLogin
from limen.core.wamp.codecs import Malformed, Unacceptable
from limen.core.wamp.messages import Abort, Authenticate, Challenge, Hello
from limen.core.wamp.session import CLIENT_ROLES
from limen.door.hub.answering import new_session_id, welcome
from limen.door.hub.greeter import Greeter, Knock, is_forced, method_of

from .connection import Connection

if TYPE_CHECKING:
    from limen.core.guard.accounts import Slot
    from limen.core.seal.channel import Channel
    from limen.door.hub.greeter import Attempt, Proven
    from limen.door.hub.hub import Hub

log = logging.getLogger("limen.door")


async def greet(connection: Connection, hello: Hello, frame: bytes) -> None:
    """From HELLO (whose payload bytes are *frame*) to WELCOME, or to the end of the connection."""
    roles = hello.details.get("roles")
    if not isinstance(roles, dict) or CLIENT_ROLES.isdisjoint(roles):
        connection.malformed(Malformed("HELLO.Details.roles must name a role", 1008))
        return
    greeter = _greeter(connection.hub)
    if method_of(hello) not in greeter.methods:
        sentence = "authmethods must be ['opaque'], ['resume'] or ['key']"
        connection.refuse("wamp.error.no_matching_auth_method", sentence, 1008)
        return
    try:
        await _greet(connection, greeter, hello, frame)
    except exc.Error as error:
        _abort(connection, error)
    except (LoginRefused, Malformed, Unacceptable):
        _abort(connection, exc.InvalidCredential())
    except TimeoutError:
        _abort(connection, exc.Timeout("The login took too long; try again."))
    except Exception:
        log.exception("a login failed")
        _abort(connection, exc.InternalError())


def _greeter(hub: Hub) -> Greeter:
    def may_resume(slot: Slot, origin: str) -> bool:
        if slot.kind == "child":  # a key that a script in the page had let in is of no use elsewhere
            return slot.origin == origin and hub.config.domain(slot.domain).CHILD_SESSIONS
        return slot.kind != "lane"

    return Greeter(hub, "ws", may_resume)


def _abort(connection: Connection, error: exc.Error) -> None:
    """An unsealed verdict. It is unauthenticated, and a client takes it as such."""
    connection.channel = None
    connection.abort(Abort({"message": str(error), **error.to_wire()}, error.uri), 1008)


async def _greet(connection: Connection, greeter: Greeter, hello: Hello, frame: bytes) -> None:
    hub, domain, origin, method = connection.hub, connection.domain, connection.origin, method_of(hello)
    if method == "opaque" and domain_name(hello.realm) != hello.realm:
        raise exc.InvalidCredential  # a domain that is not ours is not told apart from a wrong password
    if method != "resume":
        await hub.gate.slow_down(domain, origin)
    attempt = await greeter.begin(Knock(domain, origin, connection.codec.name, hello, frame))
    try:
        challenge = connection.codec.encode(Challenge(method, attempt.extra))
        connection.write(challenge)
        channel = _channel(connection, attempt, challenge, *await connection.next_frame())
        if attempt.slot is not None and hub.across is not None and hub.tabs.get(attempt.handle) is None:
            await hub.across.take(attempt.slot, origin)
        proven = await greeter.proven(domain, origin, attempt)
    except BaseException:
        greeter.lapse(attempt)
        raise
    greeter.succeed(attempt)
    _enter(connection, hello, method, channel, proven)


def _channel(connection: Connection, attempt: Attempt, challenge: bytes, answer: bytes, text: bool) -> Channel:
    """The channel of who has answered CHALLENGE with *answer*, rightly. Raises `LoginRefused`, and for what is no
    AUTHENTICATE `Malformed`, `Unacceptable`."""
    if isinstance(attempt.server, ServerLogin):
        return attempt.server.accept(challenge, answer, _decode(connection, answer, text).extra)
    if text:
        raise LoginRefused("AUTHENTICATE under a key is sealed, so binary")
    channel, plain = attempt.server.accept(challenge, answer)
    _decode(connection, plain, connection.codec.text)
    return channel


def _enter(connection: Connection, hello: Hello, method: str, channel: Channel, proven: Proven) -> None:
    """The session begins, in its old tab or (at a login, after a restart) in a new one; WELCOME is its first frame."""
    hub, session, now = connection.hub, new_session_id(), time.time()
    account, slot, key, by = proven
    principal = hub.gate.principal(account, connection.origin, connection.wire.tls, session, by=by)
    login = slot.login if slot is not None else now
    details = welcome(principal, method, login, hub.config.domain(account.domain), hub.realm(account.domain).roles)
    tab = hub.tabs.get(slot.handle) if slot is not None else None
    if tab is not None and tab.connection is not None:
        tab.connection.taken_over(connection.origin)
    if method == "resume":
        details["x_received"] = tab.received if tab is not None else None
    if tab is None:
        tab = hub.logins.open(principal, login)
        if slot is not None:
            hub.tabs.bind(tab, slot.handle)
    if method != "resume":
        hub.logins.begun(principal, tab.id, "tab")
    tab.origin = connection.origin
    tab.connection, tab.parked, tab.used = connection, None, now
    tab.by_password = method == "opaque"
    tab.record, tab.key = account.record, key
    if slot is not None:
        tab.kind, tab.parent, tab.acting = slot.kind, slot.parent, slot.acting
        hub.gate.touch(tab.domain, slot.handle, tab.used)
    else:
        tab.force = is_forced(hello)
    connection.tab, connection.channel = tab, channel
    connection.join(hello.details.get("roles"), principal, session, details)


def _decode(connection: Connection, data: bytes, text: bool) -> Authenticate:
    """The AUTHENTICATE that must come now."""
    if text is not connection.codec.text:
        raise LoginRefused("text frames carry json, binary frames the other encodings")
    message = connection.codec.decode(data)
    if type(message) is not Authenticate:
        raise LoginRefused("AUTHENTICATE must follow CHALLENGE")
    return message
