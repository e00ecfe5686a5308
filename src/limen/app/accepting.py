"""The door of WebSockets and RawSockets: which App, which domain and which encoding a handshake asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limen.door.http.crosssite import is_own
from limen.door.ws.connection import Connection
from limen.transport.batched import Batched
from limen.transport.wire import Refusal

from .origins import origin_of
from .subprotocols import SUBPROTOCOLS

if TYPE_CHECKING:
    from limen.transport.wire import Handshake, Peer

    from .app import App


def accept(app: App, handshake: Handshake) -> tuple[str | None, Peer] | Refusal:
    """The door of WebSockets and RawSockets: decides on a handshake (transport/wire.py). A RawSocket names no host:
    it comes to the default domain."""
    domain: str | None = app.config.DOMAIN
    if handshake.framing == "websocket":
        if handshake.path != "/ws":
            return Refusal(404)
        domain = app.domain_of(handshake.host)
    if domain is None:
        return Refusal(421)
    origin = handshake.origin
    if origin is not None and not is_own(origin.encode(), handshake.host.encode(), handshake.tls):
        return Refusal(403)
    for subprotocol in handshake.subprotocols:
        kind = SUBPROTOCOLS.get(subprotocol)
        if kind is not None:
            encoding, sealed, batched = kind
            hub, client = app.open(), origin_of(handshake.client)
            if hub.is_crowded(client):
                hub.counts.refused["crowded"] += 1
                return Refusal(503, (("retry-after", "60"),))
            connection = Connection(hub, domain, client, encoding, sealed=sealed)
            return subprotocol, Batched(connection) if batched else connection
    return Refusal(400, (("content-type", "text/plain"),), b"offer one of " + ", ".join(SUBPROTOCOLS).encode())
