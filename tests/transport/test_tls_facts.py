"""What a door learns of a TLS connection: a client's certificate, and what a login can be bound to; over real sockets,
on both loops."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import trustme
import uvloop

from limen.base.config import Config
from limen.core.wamp.auth import tls
from limen.testing.rawsockets import RawSocketClient
from limen.testing.sockets import SocketClient
from limen.testing.transports import Door, Recorder
from limen.transport.batched import Batched
from limen.transport.listening import HttpListener, bind
from limen.transport.rawsocket import RawSocketServer
from limen.transport.tls import TLS_UNIQUE, certificate, channel_binding
from limen.transport.wire import Handshake, Wire

CA = trustme.CA()
SERVER = CA.issue_cert("127.0.0.1")
CLIENT = CA.issue_cert("pump.example", common_name="pump")
LOOPS = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])


def context(side: ssl.Purpose, shown: trustme.LeafCert | None, version: ssl.TLSVersion, asks: bool = True) -> Any:
    made = ssl.create_default_context(side)
    CA.configure_trust(made)
    made.maximum_version = version
    if side is ssl.Purpose.CLIENT_AUTH:
        made.verify_mode = ssl.CERT_OPTIONAL if asks else ssl.CERT_NONE
    if shown is not None:
        shown.configure_cert(made)
    return made


@contextlib.asynccontextmanager
async def met(
    *,
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    shown: trustme.LeafCert | None = CLIENT,
    asks: bool = True,
    accept: Callable[[Door], Any] = lambda door: door.accept,
) -> AsyncIterator[tuple[Wire, Any]]:
    """The door's wire, and the client's TLS connection."""
    door, config, sock = Door(), Config(), bind("127.0.0.1", 0)
    listener = HttpListener(None, accept(door), config)  # type: ignore[arg-type]
    await listener.listen(sock, context(ssl.Purpose.CLIENT_AUTH, SERVER, version, asks))
    trusted = context(ssl.Purpose.SERVER_AUTH, shown, version)
    client = await SocketClient.connect(sock.getsockname()[1], "/ws", ["one"], tls=trusted)
    (peer,) = door.peers
    yield peer.wire, client.writer.get_extra_info("ssl_object")
    await client.close()
    await listener.close(5.0)


def run(loop: Callable[[], asyncio.AbstractEventLoop], test: Callable[[], Any]) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(test())


@LOOPS
def test_a_clients_certificate_is_seen(loop: Any) -> None:
    async def test() -> None:
        async with met() as (wire, _):
            assert {"cn:pump", "dns:pump.example"} < set(tls.names(certificate(wire)))
        async with met(shown=None) as (wire, _):
            assert certificate(wire) == b""
        async with met(asks=False) as (wire, _):
            assert certificate(wire) == b"", "nobody has verified any"

    run(loop, test)


@LOOPS
def test_both_ends_know_the_binding_of_tls_1_2_and_there_is_none_of_1_3(loop: Any) -> None:
    async def test() -> None:
        seen = []
        for _ in range(2):
            async with met(version=ssl.TLSVersion.TLSv1_2) as (wire, client):
                binding = channel_binding(wire, TLS_UNIQUE)
                assert binding == client.get_channel_binding(TLS_UNIQUE)
                assert channel_binding(wire, "tls-exporter") is None
                seen.append(binding)
        assert len(set(seen)) == 2
        async with met() as (wire, _):
            assert channel_binding(wire, TLS_UNIQUE) is None

    run(loop, test)


async def test_a_batched_connection_tells_it_too() -> None:
    async with met(accept=lambda door: lambda shown: (door.accept(shown)[0], Batched(door.peers[-1]))) as (wire, _):  # type: ignore[index]
        assert "cn:pump" in tls.names(certificate(wire))


async def test_a_rawsocket_tells_it_too() -> None:
    peers: list[Recorder] = []

    def accept(handshake: Handshake) -> tuple[str, Recorder]:
        peers.append(Recorder())
        return handshake.subprotocols[0], peers[-1]

    server, sock = RawSocketServer(accept, Config()), bind("127.0.0.1", 0)
    secure = context(ssl.Purpose.CLIENT_AUTH, SERVER, ssl.TLSVersion.TLSv1_2)
    async with await asyncio.get_running_loop().create_server(server.protocol, sock=sock, ssl=secure):
        trusted = context(ssl.Purpose.SERVER_AUTH, CLIENT, ssl.TLSVersion.TLSv1_2)
        client = await RawSocketClient.connect(sock.getsockname()[1], tls=trusted)
        assert "cn:pump" in tls.names(certificate(peers[0].wire))
        seen = client.writer.get_extra_info("ssl_object").get_channel_binding(TLS_UNIQUE)
        assert channel_binding(peers[0].wire, TLS_UNIQUE) == seen
        await client.close()
        await peers[0].until_lost()
