"""From HELLO to WELCOME: anonymous, with a password, or with the key that a login left behind (docs/security.md)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

from limen import exc
from limen.client.connection import Connection
from limen.core.seal.channel import BadFrame
from limen.core.seal.login import ClientKey, ClientLogin, ClientResume, LoginRefused
from limen.core.seal.machine import Credentials
from limen.core.seal.noise import PrivateKey
from limen.core.wamp.codecs import Malformed, Unacceptable
from limen.core.wamp.messages import Abort, Authenticate, Challenge, Goodbye, Hello, Message, Welcome

NOT_TAKEN: Final = (
    "The server does not take this key: it was removed, its account is disabled, or it is of another server."
)
"""What a refused key means to its owner; to strangers a server says no more than of a password."""
LANE_ROLES: Final[dict[str, Any]] = {
    "caller": {"features": {"progressive_call_results": True, "call_canceling": True, "call_timeout": True}},
    "subscriber": {},
    "publisher": {"features": {"publisher_exclusion": True}},
}
"""HELLO.Details.roles of the HTTP lane."""
ROLES: Final[dict[str, Any]] = {
    **LANE_ROLES,
    "callee": {
        "features": dict.fromkeys(
            (
                "call_canceling",
                "caller_identification",
                "pattern_based_registration",
                "progressive_call_results",
                "registration_revocation",
                "shared_registration",
            ),
            True,
        )
    },
    "subscriber": {"features": {"pattern_based_subscription": True}},
}
"""… of a connection: nothing that is not done."""


@dataclass(slots=True)
class Slot:
    """What a client holds of its resumable session; in memory only."""

    key: PrivateKey
    handle: bytes = field(repr=False)
    server_key: bytes = field(repr=False)
    epoch: int
    unsure: bool = False
    """AUTHENTICATE went out and no WELCOME came: the next `x_received` does not speak of what we sent before."""


async def anonymous(connection: Connection, realm: str) -> Welcome:
    """A plain WAMP session."""
    connection.send(Hello(realm, {"roles": ROLES, "authmethods": ["anonymous"], "agent": "limen"}))
    return _welcome(connection, *await connection.next_frame())


async def login(connection: Connection, login: ClientLogin, *, force: bool = False) -> Welcome:
    """A sealed session, by password. Raises exc.InvalidCredential, exc.Abusive, exc.ConnectionLost, …

    An ABORT before CHALLENGE is believed as far as its words go; after AUTHENTICATE only sealed frames count.
    """
    extra = {**login.extra, "force": True} if force else login.extra
    details = {"roles": ROLES, "authmethods": ["opaque"], "authid": login.user, "authextra": extra}
    hello = connection.codec.encode(Hello(login.domain, details))
    connection.write(hello)
    challenge, text = await connection.next_frame()
    extra = _challenge(connection, challenge, text, "opaque")
    try:
        # Key stretching takes 0.1 to 0.2 s of a processor.
        extra = await asyncio.to_thread(login.answer, hello, challenge, extra)
    except LoginRefused as refused:
        raise exc.ConnectionLost(f"The server broke the login: {refused}.") from refused
    authenticate = connection.codec.encode(Authenticate("", extra))
    connection.write(authenticate)
    connection.channel = login.channel(authenticate)
    return _sealed_welcome(connection, *await connection.next_frame())


async def resume(connection: Connection, domain: str, slot: Slot, entropy: bytes) -> Welcome:
    """A sealed session taken up again. Raises exc.UnknownSession where the slot is gone, else exc.ConnectionLost."""
    machine = ClientResume(
        slot.key,
        slot.server_key,
        domain=domain,
        subprotocol=connection.subprotocol,
        slot=slot.handle,
        epoch=slot.epoch,
        entropy=entropy,
    )
    details = {"roles": ROLES, "authmethods": ["resume"], "authextra": machine.extra}
    hello = connection.codec.encode(Hello(domain, details))
    connection.write(hello)
    challenge, text = await connection.next_frame()
    extra = _challenge(connection, challenge, text, "resume")
    try:
        connection.channel = machine.answer(hello, challenge, extra)
    except LoginRefused as refused:
        raise exc.ConnectionLost(f"The server broke the resume: {refused}.") from refused
    unsure, slot.unsure = slot.unsure, True
    connection.send(Authenticate("", {}))
    welcome = _sealed_welcome(connection, *await connection.next_frame())
    slot.unsure = False
    if unsure:
        welcome.details["x_received"] = None
    return welcome


async def machine(connection: Connection, credentials: Credentials, entropy: bytes) -> Welcome:
    """A sealed session, by a machine's key. Raises exc.InvalidCredential where the server does not know the key or is
    not the one that the key is for, else as `login`."""
    client = ClientKey(
        credentials.key,
        credentials.server_key,
        domain=credentials.domain,
        subprotocol=connection.subprotocol,
        id=credentials.handle,
        entropy=entropy,
    )
    details = {"roles": ROLES, "authmethods": ["key"], "authextra": client.extra}
    hello = connection.codec.encode(Hello(credentials.domain, details))
    connection.write(hello)
    challenge, text = await connection.next_frame()
    try:
        extra = _challenge(connection, challenge, text, "key")
    except exc.InvalidCredential:
        raise exc.InvalidCredential(NOT_TAKEN) from None
    try:
        connection.channel = client.answer(hello, challenge, extra)
    except LoginRefused:
        raise exc.InvalidCredential("This server is not the one that this key is for.") from None
    connection.send(Authenticate("", {}))
    return _sealed_welcome(connection, *await connection.next_frame())


def _challenge(connection: Connection, data: bytes, text: bool, method: str) -> dict[str, Any]:
    message = _decode(connection, data, text)
    if type(message) is not Challenge or message.method != method:
        raise _unexpected(message)
    return message.extra


def _sealed_welcome(connection: Connection, data: bytes, text: bool) -> Welcome:
    """WELCOME as the first sealed frame. Whatever comes unsealed is a lost connection, never a verdict."""
    try:
        return _welcome(connection, data, text)
    except BadFrame as refused:
        raise exc.ConnectionLost("The connection was lost during the login.") from refused


def _welcome(connection: Connection, data: bytes, text: bool) -> Welcome:
    message = _decode(connection, data, text)
    if type(message) is not Welcome:
        raise _unexpected(message)
    return message


def _decode(connection: Connection, data: bytes, text: bool) -> Message:
    try:
        return connection.decode(data, text)
    except (Malformed, Unacceptable) as refused:
        raise exc.ConnectionLost(f"The server sent what can't be read: {refused}") from refused


def _unexpected(message: Message) -> exc.Error:
    """The error that stands for a message that is not the one that must come now."""
    if isinstance(message, Abort | Goodbye):
        facts = {key: value for key, value in message.details.items() if key != "message"}
        said = message.details.get("message")
        return exc.from_wire(message.reason, facts, [said] if isinstance(said, str) else None)
    return exc.ConnectionLost(f"The server sent {type(message).__name__} where it must not.")
