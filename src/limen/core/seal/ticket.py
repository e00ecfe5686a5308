"""Tickets: a login of the HTTP lane between its two requests, carried by the client, readable by the server alone.

Sealed with AES-256-GCM under a key that is made of the key file's and of a secret of the store that is gone a minute
later: whoever has recorded a ticket and gets the key file afterwards can't open it (docs/security.md, Tickets).
"""

from __future__ import annotations

from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from limen.core.seal.kdf import VERSION, hkdf_expand, hkdf_extract, lp

PERIOD: Final = 60
"""Seconds for which one secret is used for new tickets."""
LIFE: Final = 30
"""Seconds that a ticket is good for."""
_HEAD: Final = 12 + 12


class BadTicket(ValueError):
    """This is no ticket of this server's, or it is over."""


class Ticket(msgspec.Struct, frozen=True, array_like=True):
    """What the server must know again. *id*: 16 random bytes, spent once. *method*: as in HELLO. *user*, or
    *handle*: of a slot or key. *until*: seconds since 1970. *record*: SHA-256 of the OPAQUE record. *secrets*: those
    of `PendingLogin` or `Keys`. *known*: there is such a user.
    *force*: the user's oldest session ends, should there be too many."""

    id: bytes
    method: str
    user: str
    handle: bytes
    encoding: str
    until: float
    epoch: int
    record: bytes
    secrets: tuple[bytes, ...]
    known: bool = True
    force: bool = False

    def __repr__(self) -> str:
        return f"Ticket({self.method!r})"


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Ticket).decode


def head(number: int, period: int) -> bytes:
    """The open part: which key of the key file, and which secret."""
    return number.to_bytes(4) + period.to_bytes(8)


def parts(ticket: bytes) -> tuple[int, int]:
    """(key number, period) of a ticket that came. Raises `BadTicket`."""
    if len(ticket) < _HEAD + 16:
        raise BadTicket("too short")
    return int.from_bytes(ticket[:4]), int.from_bytes(ticket[4:12])


def _cipher(ticket_key: bytes, secret: bytes) -> AESGCM:
    return AESGCM(hkdf_expand(hkdf_extract(secret, ticket_key), lp(VERSION, "ticket"), 32))


def seal(ticket: Ticket, ticket_key: bytes, secret: bytes, head: bytes, nonce: bytes, domain: str) -> bytes:
    """*ticket* for its way. *ticket_key*: the domain's; *secret*: the period's; *nonce*: 12 random bytes."""
    return head + nonce + _cipher(ticket_key, secret).encrypt(nonce, _encode(ticket), lp(VERSION, domain, head))


def unseal(data: bytes, ticket_key: bytes, secret: bytes, domain: str, now: float) -> Ticket:
    """What `seal` was given. Raises `BadTicket`."""
    head, nonce = data[:12], data[12:_HEAD]
    try:
        ticket = _decode(_cipher(ticket_key, secret).decrypt(nonce, data[_HEAD:], lp(VERSION, domain, head)))
    except (InvalidTag, msgspec.MsgspecError):
        raise BadTicket("it does not open") from None
    if not now <= ticket.until <= now + 2 * LIFE:
        raise BadTicket("it is over")
    return ticket
