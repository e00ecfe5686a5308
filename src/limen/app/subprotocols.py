"""What may be spoken over a WebSocket."""

from __future__ import annotations

from typing import Final

SUBPROTOCOLS: Final = {
    f"{kind}.{encoding}{batched}": (encoding, kind == "limen.1", batched != "")
    for kind, batched in (("wamp.2", ""), ("wamp.2", ".batched"), ("limen.1", ""))
    for encoding in ("json", "msgpack", "cbor")
}
"""Subprotocol to (encoding, sealed, batched)."""
