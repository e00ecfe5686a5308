"""What a door may know of the TLS connection that ends here: the client's certificate, and what binds a login to it.

Python's `ssl` gives one binding, "tls-unique" (RFC 5929), which is defined up to TLS 1.2; "tls-exporter" (RFC 9266), of
TLS 1.3, it does not give, nor the server's certificate for "tls-server-end-point".
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from limen.transport.wire import Wire

TLS_UNIQUE: Final = "tls-unique"


def certificate(wire: Wire) -> bytes:
    """The client's certificate (DER) that TLS has verified; b"" if there is none."""
    tls = wire.tls_object
    if tls is None or tls.context.verify_mode is ssl.CERT_NONE:
        return b""
    return tls.getpeercert(binary_form=True) or b""


def channel_binding(wire: Wire, kind: str) -> bytes | None:
    """What both ends know of this connection and nobody else has; None where it can't be had: no TLS, TLS 1.3, another
    *kind*, or a resumed connection, of which two may have the same (RFC 7627)."""
    tls = wire.tls_object
    if tls is None or kind != TLS_UNIQUE or tls.version() != "TLSv1.2" or tls.session_reused:
        return None
    return tls.get_channel_binding(TLS_UNIQUE)
