"""Where a router listens, and who may come in there."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from routing import Client, Routing, routing

from limen import exc
from limen.core.wamp import messages as m
from limen.door.router.config import Listener, Tls
from limen.testing.rawsockets import RawSocketClient
from limen.testing.sockets import RefusedError


async def raw(at: Routing, address: Any, encoding: str = "msgpack", **more: Any) -> Client:
    socket: Any = await RawSocketClient.connect(address, [f"wamp.2.{encoding}"], **more)
    at.clients.append(Client(socket, encoding))
    return at.clients[-1]


def port_of(url: str) -> int:
    return int(url.split(":")[2].partition("/")[0])


async def test_all_that_a_listener_may_be_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "router.sock")
    listeners = (Listener(port=0), Listener("rawsocket", port=0), Listener("rawsocket", unix=path, mode="660"))
    async with routing("realm1", listeners=listeners) as at:
        assert [url.split(":")[0] for url in at.where] == ["ws", "rs", "rs+unix"]
        web, tcp, unix = await at.join("realm1"), await raw(at, port_of(at.where[1])), await raw(at, path, "cbor")
        for client in (tcp, unix):
            assert type(await client.hello("realm1")) is m.Welcome
        assert type(await unix.ask(m.Subscribe, "news")) is m.Subscribed
        assert type(await web.ask(m.Publish, "news", [1], acknowledge=True)) is m.Published
        event = await unix.hear()
        assert isinstance(event, m.Event)
        assert event.args == [1]
        assert os.stat(path).st_mode & 0o777 == 0o660
    assert not os.path.exists(path)


async def test_a_socket_that_a_killed_router_left_is_taken_and_one_in_use_is_not(tmp_path: Path) -> None:
    path = str(tmp_path / "router.sock")
    listener = Listener("rawsocket", unix=path)
    async with routing("realm1", listeners=(listener,)):
        with pytest.raises(exc.InvalidAddress, match=r"router\.sock: .*in use"):
            async with routing("realm1", listeners=(listener,)):
                pass
        os.link(path, tmp_path / "left")
    os.rename(tmp_path / "left", path)
    async with routing("realm1", listeners=(listener,)) as at:
        assert type(await (await raw(at, path)).hello("realm1")) is m.Welcome


async def test_what_is_no_socket_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "precious.txt"
    path.write_text("mine")
    with pytest.raises(exc.InvalidAddress):
        async with routing("realm1", listeners=(Listener("rawsocket", unix=str(path)),)):
            pass
    assert path.read_text() == "mine"


async def test_only_the_encodings_of_the_configuration_are_spoken() -> None:
    listeners = (Listener(port=0, encodings=("cbor",)), Listener("rawsocket", port=0, encodings=("cbor",)))
    async with routing("realm1", listeners=listeners) as at:
        await at.join("realm1", "cbor")
        assert type(await (await raw(at, port_of(at.where[1]), "cbor")).hello("realm1")) is m.Welcome
        with pytest.raises(RefusedError):
            await at.knock("json")
        with pytest.raises(RefusedError):
            await raw(at, port_of(at.where[1]), "json")


async def test_a_router_without_a_store_offers_no_sealed_session() -> None:
    async with routing("realm1") as at:
        with pytest.raises(RefusedError):
            await at.knock(subprotocol="limen.1.cbor")


@pytest.mark.parametrize(
    ("origins", "hosts", "origin", "host", "comes_in"),
    [
        (("own",), (), "http://127.0.0.1:{port}", "127.0.0.1:{port}", True),
        (("own",), (), "http://router.example", "router.example", False),
        (("own",), ("router.example",), "http://router.example", "router.example", True),
        (("own",), ("router.example",), "https://router.example", "router.example", True),
        (("own",), ("router.example",), "http://app.example", "router.example", False),
        (("https://app.example",), (), "https://app.example", "evil.example", True),
        (("https://app.example",), (), "https://app.example.evil.example", "x", False),
        (("https://app.example",), (), "http://127.0.0.1:{port}", "127.0.0.1:{port}", False),
        (("*",), (), "https://anybody.example", "x", True),
        (("own",), (), None, "anything.example", True),
    ],
)
async def test_pages_come_in_from_the_origins_of_the_configuration(
    origins: tuple[str, ...], hosts: tuple[str, ...], origin: str | None, host: str, comes_in: bool
) -> None:
    async with routing("realm1", listeners=(Listener(port=0, origins=origins, hosts=hosts),)) as at:
        headers = [("Host", host.format(port=at.port))]
        said = None if origin is None else origin.format(port=at.port)
        if comes_in:
            await at.knock(origin=said, headers=headers)
        else:
            with pytest.raises(RefusedError) as refused:
                await at.knock(origin=said, headers=headers)
            assert refused.value.status == 403


async def test_a_proxy_that_is_believed_says_who_comes() -> None:
    listener = Listener(port=0, proxies=("127.0.0.1",))
    async with routing("realm1", listeners=(listener, Listener(port=0))) as at:
        client = await at.knock(headers=[("X-Forwarded-For", "203.0.113.9")])
        await client.hello("realm1")
        (connection,) = at.router.hub.connections
        assert connection.origin == "203.0.113.9"
        await client.gone()
    async with routing("realm1") as at:
        await at.knock(headers=[("X-Forwarded-For", "203.0.113.9")])
        (connection,) = at.router.hub.connections
        assert connection.origin == "127.0.0.1"


@pytest.mark.parametrize("type_", ["websocket", "rawsocket"])
async def test_without_a_clients_certificate_nobody_comes_in_where_one_is_required(type_: Any, tmp_path: Path) -> None:
    authority, strangers = trustme.CA(), trustme.CA()
    server = str(tmp_path / "server.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(server)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = Tls(certificate=server, key=server, client_ca=str(tmp_path / "ca.pem"))

    def showing(of: trustme.CA | None) -> ssl.SSLContext:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        if of is not None:
            of.issue_cert("pump.example").configure_cert(context)
        return context

    async def hello(at: Routing, context: ssl.SSLContext) -> m.Message:
        client = await raw(at, at.port, tls=context) if type_ == "rawsocket" else await at.knock(tls=context)
        return await client.hello("realm1")

    async with routing("realm1", listeners=(Listener(type_, port=0, tls=tls),)) as at:
        assert at.where[0].startswith(("wss:", "rss:"))
        assert type(await hello(at, showing(authority))) is m.Welcome
        for context in (showing(None), showing(strangers)):
            with pytest.raises((OSError, EOFError)):
                await hello(at, context)


async def test_a_plain_request_hears_what_is_spoken_here() -> None:
    async with routing("realm1") as at:
        for path, status in (("/ws", 426), ("/", 426), ("/other", 404)):
            assert (await at.get(path)).startswith(f"HTTP/1.1 {status} ")
