"""The greeting of a sealed connection: a login with a password or with a machine's key, or a resume with a slot's key
(docs/security.md).

They are short coroutines, one per connection, at most LOGIN_TIMEOUT between two frames. What they guard:

- every KE2 that goes out counts as an attempt until a valid KE3 takes it back (`Ledger.issue`, `succeed`, `lapse`);
- unknown users, and machines, which have no password, get the same bytes from the same work;
- **a resume, or a login with a key, changes nothing on the server before its AUTHENTICATE opens**: its message 1 may
  be anyone's recording.
"""

from __future__ import annotations

import logging
import secrets
import time
from typing import TYPE_CHECKING, Any

from limen import exc
from limen.base.names import domain_name
from limen.core.guard.ledger import Kind, account_key
from limen.core.seal.login import LoginRefused, ServerLogin, ServerResume, key_of, slot_of
from limen.core.wamp.codecs import Malformed, Unacceptable
from limen.core.wamp.messages import Abort, Authenticate, Challenge, Hello
from limen.core.wamp.session import CLIENT_ROLES
from limen.door.hub.answering import new_session_id, welcome
from limen.door.hub.identity import living, machine

from .connection import Connection

if TYPE_CHECKING:
    from limen.core.guard.accounts import Account, Slot
    from limen.core.seal.channel import Channel

log = logging.getLogger("limen.door")


async def greet(connection: Connection, hello: Hello, frame: bytes) -> None:
    """From HELLO (whose payload bytes are *frame*) to WELCOME, or to the end of the connection."""
    methods = hello.details.get("authmethods")
    method = methods[0] if isinstance(methods, list) and len(methods) == 1 else None
    roles = hello.details.get("roles")
    if not isinstance(roles, dict) or CLIENT_ROLES.isdisjoint(roles):
        connection.malformed(Malformed("HELLO.Details.roles must name a role", 1008))
        return
    try:
        if method == "opaque":
            await _login(connection, hello, frame)
        elif method == "resume":
            await _resume(connection, hello, frame)
        elif method == "key":
            await _key(connection, hello, frame)
        else:
            sentence = "authmethods must be ['opaque'], ['resume'] or ['key']"
            connection.refuse("wamp.error.no_matching_auth_method", sentence, 1008)
    except exc.Error as error:
        _abort(connection, error)
    except (LoginRefused, Malformed, Unacceptable):
        _abort(connection, exc.InvalidCredential())
    except TimeoutError:
        _abort(connection, exc.Timeout("The login took too long; try again."))
    except Exception:
        log.exception("a login failed")
        _abort(connection, exc.InternalError())


def _abort(connection: Connection, error: exc.Error) -> None:
    """An unsealed verdict. It is unauthenticated, and a client takes it as such."""
    connection.channel = None
    connection.send(Abort({"message": str(error), **error.to_wire()}, error.uri))
    connection.drop(1008, "")


def _domain(connection: Connection, hello: Hello) -> str:
    """The domain as the client sees it. One that is not ours is not told apart from a wrong password."""
    domain = domain_name(hello.realm)
    if domain != hello.realm:
        raise exc.InvalidCredential
    return domain


async def _login(connection: Connection, hello: Hello, frame: bytes) -> None:
    gate = connection.hub.gate
    domain, user = _domain(connection, hello), hello.details.get("authid")
    if not isinstance(user, str):
        raise exc.InvalidCredential
    await gate.slow_down(connection.domain, connection.origin)
    entry = gate.ledger.issue(
        connection.domain,
        connection.origin,
        Kind.KE2,
        time.time(),
        account=account_key(gate.account_secret(connection.domain), domain, user),
    )
    changes = gate.accounts.changes
    try:
        account = await gate.on_thread(gate.accounts.get, domain, user)
        known = account is not None and not account.disabled and domain == connection.domain
        entry.user = account.user if account is not None and domain == connection.domain else None
        server = ServerLogin(
            gate.keys,
            domain=domain,
            subprotocol=f"limen.1.{connection.codec.name}",
            user=user,
            record=(account.record or None) if known and account is not None else None,
            number=account.key_number if known and account is not None else None,
            entropy=secrets.token_bytes(96),
        )
        challenge = connection.codec.encode(
            Challenge("opaque", server.challenge(frame, hello.details.get("authextra")))
        )
        connection.write(challenge)
        answer, text = await connection.next_frame()
        message = _decode(connection, answer, text)
        channel = server.accept(challenge, answer, message.extra)
        now = account
        if gate.accounts.changes != changes:
            # The password may have been changed, or the user removed, while we waited for KE3. A second trip to a
            # thread for each login would cost as much as a key exchange.
            now = await gate.settled(gate.accounts.get, domain, user)
        if account is None or now is None or now.disabled or now.record != account.record:
            raise exc.InvalidCredential
    except BaseException:
        gate.ledger.lapse(entry, time.time())
        raise
    gate.ledger.succeed(entry, time.time())
    _enter(connection, hello, now, channel, "opaque", time.time())


async def _resume(connection: Connection, hello: Hello, frame: bytes) -> None:
    hub, gate = connection.hub, connection.hub.gate
    extra = hello.details.get("authextra")
    handle = slot_of(extra)
    entry = gate.ledger.issue(connection.domain, connection.origin, Kind.KK1, time.time())
    try:
        found = await gate.on_thread(_living, connection, handle)
        if found is None or found[0].domain != hello.realm:
            raise exc.UnknownSession
        slot = found[0]
        entry.user = slot.user
        server = ServerResume(
            gate.keys.domain(slot.domain, slot.key_number).resume,
            domain=slot.domain,
            subprotocol=f"limen.1.{connection.codec.name}",
            slot=handle,
            public=slot.public,
            epoch=gate.epoch,
            entropy=secrets.token_bytes(32),
        )
        try:
            answer_extra = server.challenge(frame, extra)
        except LoginRefused:  # not of this slot's key: told like a slot that is not there
            raise exc.UnknownSession from None
        challenge = connection.codec.encode(Challenge("resume", answer_extra))
        connection.write(challenge)
        answer, text = await connection.next_frame()
        if text:
            raise LoginRefused("AUTHENTICATE of a resume is sealed, so binary")
        channel, plain = server.accept(challenge, answer)
        _decode(connection, plain, connection.codec.text)
        if hub.across is not None and hub.tabs.get(handle) is None:
            await hub.across.take(slot, connection.origin)
        # Slot, user and roles as they are now; from here to WELCOME nothing waits any more.
        found = await gate.settled(_living, connection, handle)
        if found is None or handle in gate.ended:
            raise exc.UnknownSession
    except BaseException:
        gate.ledger.lapse(entry, time.time())
        raise
    gate.ledger.succeed(entry, time.time())
    slot, account, by = found
    tab = hub.tabs.get(handle)
    if tab is not None and tab.connection is not None:
        tab.connection.taken_over(connection.origin)
    received = tab.received if tab is not None else None
    _enter(connection, hello, account, channel, "resume", slot.login, {"x_received": received}, slot, slot.key, by)


async def _key(connection: Connection, hello: Hello, frame: bytes) -> None:
    """A machine's login: the handshake of a resume, with the key that an operator gave it; then a tab like any."""
    gate, domain, extra = connection.hub.gate, connection.domain, hello.details.get("authextra")
    id = key_of(extra)
    await gate.slow_down(connection.domain, connection.origin)
    entry = gate.ledger.issue(domain, connection.origin, Kind.KK1, time.time())
    try:
        found = await gate.on_thread(machine, gate, domain, id)
        entry.user = found[0].user if found is not None else None
        own = gate.keys.domain(domain, found[0].key_number if found is not None else None).resume
        server = ServerResume(
            own,
            domain=domain,
            subprotocol=f"limen.1.{connection.codec.name}",
            slot=id,
            public=found[0].public if found is not None else own.public,  # nobody's: the same work, and refused alike
            epoch=0,
            entropy=secrets.token_bytes(32),
        )
        challenge = connection.codec.encode(Challenge("key", server.challenge(frame, extra)))
        connection.write(challenge)
        answer, text = await connection.next_frame()
        if text:
            raise LoginRefused("AUTHENTICATE of a login with a key is sealed, so binary")
        channel, plain = server.accept(challenge, answer)
        _decode(connection, plain, connection.codec.text)
        found = await gate.settled(machine, gate, domain, id)
        if found is None or hello.realm != domain:
            raise exc.InvalidCredential
    except BaseException:
        gate.ledger.lapse(entry, time.time())
        raise
    gate.ledger.succeed(entry, time.time())
    _enter(connection, hello, found[1], channel, "key", time.time(), key=id)


def _living(connection: Connection, handle: bytes) -> tuple[Slot, Account, str | None] | None:
    """`living`, for a WebSocket. On a worker thread: the store is asked."""
    hub, domain = connection.hub, connection.domain
    found = living(hub, domain, handle)
    if found is None or found[0].kind == "lane":
        return None
    if found[0].kind == "child" and (
        found[0].origin != connection.origin or not hub.config.domain(domain).CHILD_SESSIONS
    ):
        return None  # a key that a script in the page had let in is of no use elsewhere
    return found


def _enter(
    connection: Connection,
    hello: Hello,
    account: Account,
    channel: Channel,
    method: str,
    login: float,
    details: dict[str, Any] | None = None,
    slot: Slot | None = None,
    key: bytes = b"",
    by: str | None = None,
) -> None:
    """The session begins, in its old tab or (at a login, after a restart) in a new one; WELCOME is its first frame."""
    hub = connection.hub
    config = hub.config.domain(account.domain)
    session = new_session_id()
    principal = hub.gate.principal(account, connection.origin, connection.wire.tls, session, by=by)
    tab = hub.tabs.get(slot.handle) if slot is not None else None
    if tab is None:
        tab = hub.logins.open(principal, login)
        if slot is not None:
            hub.tabs.bind(tab, slot.handle)
    if method != "resume":
        hub.logins.begun(principal, tab.id, "tab")
    tab.origin = connection.origin
    tab.connection, tab.parked, tab.used = connection, None, time.time()
    tab.by_password = method == "opaque"
    tab.record, tab.key = account.record, key
    if slot is not None:
        tab.kind, tab.parent, tab.acting = slot.kind, slot.parent, slot.acting
        hub.gate.touch(tab.domain, slot.handle, tab.used)
    else:
        extra = hello.details.get("authextra")
        tab.force = isinstance(extra, dict) and extra.get("force") is True
    connection.tab, connection.channel = tab, channel
    connection.join(
        hello.details.get("roles"),
        principal,
        session,
        {**welcome(principal, method, login, config), **(details or {})},
    )


def _decode(connection: Connection, data: bytes, text: bool) -> Authenticate:
    """The AUTHENTICATE that must come now."""
    if text is not connection.codec.text:
        raise LoginRefused("text frames carry json, binary frames the other encodings")
    message = connection.codec.decode(data)
    if type(message) is not Authenticate:
        raise LoginRefused("AUTHENTICATE must follow CHALLENGE")
    return message
