"""Signed requests: plain HTTP with a machine's secret (`limen key new --http`), which never travels.

Two forms, both HMAC-SHA-256, both good once and for five minutes:

bridge   Crossbar.io's, in the query: `key`, `timestamp`, `seq`, `nonce`, `signature`, the last over the texts of the
         others and the body, one behind the other. It covers the body and no path: good for the bridge alone
header   `Authorization: Limen key=…,timestamp=…,nonce=…,signature=…`, over method, domain, target and body as well

What is spent is the signature, not the nonce: in the bridge's form `seq` and `nonce` stand side by side, so that
(1, 23) and (12, 3) are signed alike, and whoever replayed the request would move the boundary.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from limen import exc
from limen.base import base64url
from limen.core.guard.ledger import Kind
from limen.core.seal.machine import ID, open_secret, signature
from limen.door.hub.identity import machine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from limen.base.principal import Principal
    from limen.door.http.request import Request
    from limen.door.hub.hub import Hub

WINDOW: Final = 300.0
"""Seconds that a request's time may differ from the server's."""
SCHEME: Final = b"limen "
_BRIDGE: Final = ("key", "timestamp", "seq", "nonce", "signature")
_HEADER: Final = ("key", "timestamp", "nonce", "signature")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
_NUMBER: Final = re.compile(r"\d{1,20}")
_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PAIR: Final = re.compile(r'\s*([a-z]+)="?([A-Za-z0-9_:.=-]*)"?\s*')


async def bridge_principal(
    hub: Hub, asker: Principal, query: Mapping[str, Any], body: bytes
) -> tuple[Principal, bytes]:
    """Who has signed a request to the bridge, and the id of their key. *asker*: as the door knows who asks.

    Raises `exc.InvalidCall` for what is no signed request, `exc.InvalidCredential`.
    """
    facts = _texts(query, _BRIDGE)
    for name in ("seq", "nonce"):
        if not _NUMBER.fullmatch(facts[name]):
            raise exc.InvalidCall(f"{name} is a number, in digits.")
    parts = [facts[name].encode() for name in ("key", "timestamp", "seq", "nonce")]
    return await _signer(hub, asker, facts, [*parts, body])


async def header_principal(hub: Hub, asker: Principal, request: Request, body: bytes) -> tuple[Principal, bytes]:
    """Who has signed *request* in its Authorization header; errors as `bridge_principal`."""
    given = request.headers.get(b"authorization", b"").decode("latin-1")
    pairs = [_PAIR.fullmatch(pair) for pair in given[len(SCHEME) :].split(",")]
    facts = _texts({pair[1]: pair[2] for pair in pairs if pair is not None}, _HEADER)
    if not _NONCE.fullmatch(facts["nonce"]):
        raise exc.InvalidCall("nonce is up to 64 letters and digits.")
    target = request.path + (b"?" + request.query if request.query else b"")
    text = to_sign(request.method, asker.domain, target, facts["timestamp"], facts["nonce"], body)
    return await _signer(hub, asker, facts, [text])


async def signed_principal(hub: Hub, request: Request, asker: Principal) -> Principal:
    """Who calls a service over plain HTTP: whoever has signed *request*, else *asker*. A signed body is read here, and
    stays to be read."""
    if not is_signed(request):
        return asker
    body = b""
    if request.unread:
        body = await request.body(hub.config.MAX_MESSAGE_SIZE, hub.config.BODY_TIMEOUT)
        _unread(request, body)
    principal, _ = await header_principal(hub, asker, request, body)
    return principal


def _unread(request: Request, body: bytes) -> None:
    """Whoever reads the request's body next gets *body*; afterwards the client is listened to as before."""
    receive, pieces = request.receive, [body]

    async def again() -> Any:
        return {"type": "http.request", "body": pieces.pop()} if pieces else await receive()

    request.receive, request.unread = again, True


def is_signed(request: Request) -> bool:
    """Whether its Authorization header is ours."""
    return request.headers.get(b"authorization", b"")[: len(SCHEME)].lower() == SCHEME


def to_sign(method: str, domain: str, target: bytes, timestamp: str, nonce: str, body: bytes) -> bytes:
    """What the header's signature is over: seven lines, without one at the end.

    >>> to_sign("GET", "localhost", b"/add?a=1", "2027-01-31T12:00:00Z", "7", b"").decode().splitlines()[:6]
    ['limen-1 http', 'GET', 'localhost', '/add?a=1', '2027-01-31T12:00:00Z', '7']
    """
    lines = [
        "limen-1 http",
        method,
        domain,
        target.decode("latin-1"),
        timestamp,
        nonce,
        hashlib.sha256(body).hexdigest(),
    ]
    return "\n".join(lines).encode("latin-1")


# -- inside ---------------------------------------------------------------------------------------------------------
async def _signer(hub: Hub, asker: Principal, facts: Mapping[str, str], parts: list[bytes]) -> tuple[Principal, bytes]:
    gate, domain, now = hub.gate, asker.domain, time.time()
    made = _time(facts["timestamp"])
    if abs(made - now) > WINDOW:
        raise exc.InvalidCall(f"The request's timestamp is more than {WINDOW / 60:g} minutes off; set the clock.")
    id, given = _id(facts["key"]), _decoded(facts["signature"])
    entry = gate.ledger.issue(domain, asker.origin, Kind.KK1, now)
    try:
        found = await gate.settled(machine, gate, domain, id, "http")
        key, account = found if found is not None else (None, None)
        entry.user = key.user if key is not None else None
        keys = gate.keys.domain(domain, key.key_number if key is not None else None)
        secret = open_secret(keys, id, key.public if key is not None else bytes(72))  # the same work for nobody's
        right = hmac.compare_digest(signature(secret or "", *parts), given)
        if key is None or account is None or secret is None or not right:
            raise exc.InvalidCredential("The key or the signature is not right.")
        # As long as its time is good anywhere: the clocks of servers differ as well.
        if not await gate.on_thread(gate.once.spend, domain, "signed", id + given, made + 2 * WINDOW):
            raise exc.InvalidCredential("This request was made before; each needs a nonce of its own.")
    except BaseException:
        gate.ledger.lapse(entry, time.time())
        raise
    gate.ledger.succeed(entry, time.time())
    return gate.principal(account, asker.origin, asker.tls, None, sealed=False), id


def _texts(given: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, str]:
    for name in names:
        if not isinstance(given.get(name), str):
            raise exc.InvalidCall(f"A signed request has {', '.join(names)}, each once; {name} is missing.")
    return {name: given[name] for name in names}


def _time(text: str) -> float:
    try:
        if _TIME.fullmatch(text):
            return datetime.fromisoformat(text).timestamp()
    except ValueError:
        pass
    raise exc.InvalidCall("timestamp is a time in UTC, like 2027-01-31T12:00:00.000Z.")


def _id(text: str) -> bytes:
    """The id of the key; what can't be one is nobody's."""
    try:
        id = bytes.fromhex(text)
    except ValueError:
        id = b""
    return id if len(id) == ID else hashlib.sha256(text.encode()).digest()[:ID]


def _decoded(text: str) -> bytes:
    try:
        return base64url.decode(text.rstrip("="))  # Crossbar.io's clients pad
    except ValueError:
        return b""
