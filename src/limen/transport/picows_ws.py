"""WebSockets in the fast lane: picows parses and frames, uvicorn's HTTP hands the socket over. One port for both.

    from limen.transport.picows_ws import PicowsServer

    uvicorn.Config(app, ws=PicowsServer(accept, config).protocol, ...)

picows itself refuses unmasked frames, unknown opcodes, fragmented or long control frames, and lengths that are not
minimal. Reserved bits, the order of fragments, UTF-8, close codes, sizes across fragments, and all that has to do with
time, queues and fairness is done in `limen.transport.connection`: nothing that picows leaves open reaches a door.
"""

from __future__ import annotations

import logging
from typing import Any

from picows import WSAutoPingStrategy
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # its stubs leave it out

from limen.base.config import Config
from limen.transport.connection import Connection
from limen.transport.cork import Cork
from limen.transport.link import Link, Mistakes
from limen.transport.pulse import Pulse
from limen.transport.upgrade import Upgrade, accepted, read_upgrade, refused, seen
from limen.transport.wire import WRITE_HIGH, WRITE_LOW, Accept, Handshake, Peer, Refusal

log = logging.getLogger("limen.transport")


class PicowsServer:
    """Makes the WebSocket connections of one server.

    *accept*: the door. *config*: MAX_MESSAGE_SIZE, MAX_QUEUE_SIZE, MAX_STALL, PING_INTERVAL and PING_TIMEOUT are
    read once. *close_timeout*: seconds that a goodbye waits for its answer, and without progress for its own way out.
    *cork*: that of the event loop, where there are other servers on it.
    """

    def __init__(self, accept: Accept, config: Config, close_timeout: float = 5.0, cork: Cork | None = None) -> None:
        self.accept, self.config = accept, config
        self.close_timeout = close_timeout
        self.max_message_size = config.MAX_MESSAGE_SIZE
        self.max_queue_size = config.MAX_QUEUE_SIZE
        self.max_stall = config.MAX_STALL
        self.ping_interval = config.PING_INTERVAL
        self.ping_timeout = config.PING_TIMEOUT
        self.cork = cork or Cork()
        self.pulse = Pulse(min(1.0, self.ping_interval / 4, self.ping_timeout / 4, self.max_stall / 4))

    def protocol(self, config: Any, server_state: Any, app_state: Any, _loop: Any = None) -> PicowsProtocol:
        """What uvicorn calls for each upgrade request; pass this method as `ws=`."""
        server_state.connections.add(self)  # for `shutdown()`
        return PicowsProtocol(self, server_state)

    def shutdown(self) -> None:
        """Closes every connection with 1001, as uvicorn asks when it ends."""
        for member in list(self.pulse.members):
            if isinstance(member, Connection):
                member.close(1001, "the server ends")

    def renew(self, connection: Connection) -> None:
        """Gives *connection* a fresh parser; to be called between two messages, with nothing left to parse."""
        protocol = PicowsProtocol(self, connection.state)
        protocol.take(connection)
        connection.link.transport.set_protocol(protocol)

    def forget(self, member: Any, server_state: Any) -> None:
        """*member* is over. When it was the last, uvicorn need not wait for this server any more."""
        self.pulse.remove(member)
        if not self.pulse.members:
            server_state.connections.discard(self)


class PicowsProtocol(WSProtocol):  # type: ignore[misc]  # unknown to its stubs
    """picows' protocol, which first takes the request that uvicorn replays, and shows it to the door.

    picows itself only sees a short request made here: its read buffer would grow to hold a real one, and never shrinks.
    """

    __slots__ = ("_connection", "_mistakes", "_server", "_state", "_transport")

    def __init__(self, server: PicowsServer, state: Any) -> None:
        self._server, self._state = server, state
        self._transport: Any = None
        self._connection: Connection | None = None
        self._mistakes = Mistakes()
        super().__init__(
            None,  # host and port
            None,  # path
            False,  # is_client_side
            lambda _request: self._connection,  # picows forgets it once it was called
            self._mistakes,
            False,  # disconnect_on_exception: nothing that it calls raises
            None,  # websocket_handshake_timeout: it is over when picows comes in
            False,  # enable_auto_ping: one timer does it for all
            0,
            0,
            WSAutoPingStrategy.PING_WHEN_IDLE,
            False,  # enable_auto_pong: it knows no back-pressure
            server.max_message_size,
            None,  # extra headers
            2048,  # read_buffer_init_size, its least
        )

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, head: bytes) -> None:
        """*head*: the whole head of the request, as uvicorn replays it."""
        transport = self._transport
        address = transport.get_extra_info("peername")
        client = address[0] if isinstance(address, tuple) else ""
        upgrade = read_upgrade(head, client, transport.get_extra_info("ssl_object") is not None)
        handshake = seen(upgrade.handshake, self._server.config) if isinstance(upgrade, Upgrade) else upgrade
        answer = self._ask(handshake) if isinstance(handshake, Handshake) else handshake
        if isinstance(answer, Refusal):
            transport.pause_reading()  # picows must not see what comes after a refused request
            transport.write(refused(answer, self._state.default_headers))
            transport.close()
            self._server.forget(self, self._state)
            return
        assert isinstance(upgrade, Upgrade)
        assert isinstance(handshake, Handshake)
        subprotocol, peer = answer
        transport.write(accepted(upgrade.key, subprotocol))
        transport.set_write_buffer_limits(WRITE_HIGH, WRITE_LOW)
        connection = Connection(self._server, self._state, peer, handshake, subprotocol)
        connection.link = Link(transport, connection.cut, self._server.max_queue_size, self._server.cork)
        self._server.pulse.add(connection)
        self.take(connection)
        connection.begin()

    def _ask(self, handshake: Handshake) -> tuple[str | None, Peer] | Refusal:
        try:
            return self._server.accept(handshake)
        except Exception:
            log.exception("The door failed on a handshake")
            return Refusal(500)

    def take(self, connection: Connection) -> None:
        """Parses and frames for *connection* from now on; it is opened already."""
        self._connection = connection
        link = connection.link
        super().connection_made(link)
        link.mute = True  # the answer to a request that nobody sent
        self.get_buffer(-1)[: len(_REQUEST)] = _REQUEST
        self.buffer_updated(len(_REQUEST))
        link.mute = False
        connection.ws = self.transport
        self._mistakes.told = connection.mistaken

    def connection_lost(self, exc: Exception | None) -> None:
        self._mistakes.told = None
        if self._connection is not None:
            super().connection_lost(exc)


_REQUEST = (
    b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
