"""The port between a door and whatever carries messages: who is at the other end (`Handshake`), what may be done to
them (`Wire`), and what the door must offer (`Accept`, `Peer`).

A transport shows the door each opening handshake; the door decides at once, without waiting:

    >>> class Echo:
    ...     def opened(self, wire): self.wire = wire
    ...     def received(self, data, text): self.wire.send(data, text)
    ...     def busy(self, yes): pass
    ...     def lost(self, reason): pass
    >>> def accept(handshake):
    ...     if handshake.path != "/ws":
    ...         return Refusal(404)
    ...     return "echo" if "echo" in handshake.subprotocols else None, Echo()
    >>> accept(Handshake("/elsewhere", "localhost"))
    Refusal(status=404, headers=(), body=b'')
    >>> accept(Handshake("/ws", "localhost", subprotocols=("echo",)))[0]
    'echo'

The transport answers for framing, limits, pings and dead peers; the door for everything that is said.
Every adapter passes `limen.testing.transports.MessageSuite`, those of WebSockets `WireSuite`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import ssl

WRITE_HIGH: Final = 2**20
WRITE_LOW: Final = 2**18
"""Bytes queued at which a peer that does not read is not read from either, and at which it is again."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """An opening handshake, as a transport read it.

    *path*: raw path without the query. *host*: the Host header as sent. *origin*: the Origin header, None without one.
    *subprotocols*: as offered, in the client's order. *client*: IP address of the socket's other end ('' if unknown).
    *tls*: the transport is encrypted. *headers*: names in lower case, the last of repeated ones (but forwarded headers,
    which are joined). *query*: without '?'. Behind a proxy of `config.PROXIES`, *host*, *client* and *tls* are what
    `limen.transport.upgrade.seen` makes of them. *framing*: "websocket" or "rawsocket"; a RawSocket has neither path
    nor host nor headers.
    """

    path: str
    host: str
    origin: str | None = None
    subprotocols: tuple[str, ...] = ()
    client: str = ""
    tls: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    query: str = ""
    framing: str = "websocket"


@dataclass(frozen=True, slots=True)
class Refusal:
    """The door's no: an HTTP answer instead of an upgrade."""

    status: int = 403
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class Wire(Protocol):
    """One open connection, as the door sees it. No method waits, none raises when the connection is gone."""

    subprotocol: str | None
    """What was agreed on."""
    client: str
    """IP address of the other end, '' if there is none."""
    host: str
    """The Host header of the handshake."""
    tls: bool
    """The transport is encrypted."""
    transport: str
    """"websocket" or "rawsocket": what people are told."""
    largest: int
    """Bytes of the largest message that the other end takes; a larger one is not sent."""

    @property
    def tls_object(self) -> ssl.SSLObject | None:
        """The TLS connection that ends here (`transport/tls.py` asks it); None without one, behind a proxy, and where
        a server does not say."""
        ...

    @property
    def queued(self) -> int:
        """Bytes sent that the kernel has not yet taken."""
        ...

    def send(self, data: bytes, text: bool) -> None:
        """Sends one message. *text*: *data* is UTF-8 (the caller answers for it).

        The peer is cut when it leaves more than MAX_QUEUE_SIZE bytes, or anything for MAX_STALL seconds, unread.
        """
        ...

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Says goodbye after what is queued, then ends; nothing is received any more. *reason*: at most 123 bytes."""
        ...

    def abort(self) -> None:
        """Ends now, without goodbye."""
        ...

    def pause(self) -> None:
        """Nothing more is received until `resume()`, and the peer is not read from: the door has enough to do."""
        ...

    def resume(self) -> None:
        """Takes from the peer again."""
        ...


class Peer(Protocol):
    """The door's half of one connection. The transport calls it from its own loop, never from within `Wire` methods."""

    def opened(self, wire: Wire) -> None:
        """The handshake is done; called once, before anything else."""
        ...

    def received(self, data: bytes, text: bool) -> None:
        """One whole message, at most MAX_MESSAGE_SIZE bytes. *text*: it came as text and is valid UTF-8."""
        ...

    def busy(self, yes: bool) -> None:
        """The other end does not keep up: more than WRITE_HIGH bytes wait for it. False: less than WRITE_LOW do. The
        one method that may be called from within `Wire.send`."""
        ...

    def lost(self, reason: str) -> None:
        """The connection is over, whoever ended it; called once, last."""
        ...


Accept = Callable[[Handshake], "tuple[str | None, Peer] | Refusal"]
"""The door: decides on a handshake at once. The text is the subprotocol agreed on, or None."""
