"""docs/how-to/proxies.md: what follows from what a real proxy says, and what a client may say through it."""

from __future__ import annotations

import json
import socket
from http.client import HTTPConnection
from typing import Any

import pytest
from served import Server
from through import STRANGER, Front, Through

import limen
from limen.base import proxies
from limen.testing.sockets import RefusedError, SocketClient

LIES = [
    {"X-Forwarded-For": "6.6.6.6"},
    {"X-Forwarded-For": "6.6.6.6, 127.0.0.1"},
    {"X_Forwarded_For": "6.6.6.6", "X-Forwarded_For": "6.6.6.6"},
    {"X-Real-IP": "6.6.6.6", "Client-IP": "6.6.6.6", "True-Client-IP": "6.6.6.6"},
    {"Forwarded": 'for=6.6.6.6;proto=http;host="evil.example"'},
    {"Forwarded": 'for="'},
    {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"},
    {"X-Forwarded-Host": "a, b", "X-Forwarded-Proto": "gopher"},
    {"Connection": "close, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host"},
]
TRUTH = {"origin": STRANGER, "tls": True, "domain": "shop.example", "user": None}


def test_address_tls_and_host_are_the_clients(front: Front) -> None:
    client = Through(front)
    assert json.load(client.ask("/who")) == TRUTH
    sock = client.sock
    for _ in range(3):  # and so they are for each request of a connection that is kept
        assert json.load(client.ask("/who")) == TRUTH
    assert client.sock is sock
    client.close()


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: next(iter(lie)))
def test_what_a_client_says_of_itself_does_not_count(front: Front, lie: dict[str, str]) -> None:
    client = Through(front)
    answer = client.ask("/who", **lie)
    assert (answer.status, json.load(answer)) == (200, TRUTH)
    client.close()


def test_a_large_body_comes_through_and_one_that_is_too_large_is_refused(front: Front) -> None:
    client = Through(front)
    assert json.load(client.ask("/length", ["x" * 2_000_000])) == 2_000_000
    client.close()
    client = Through(front)
    assert client.ask("/length", ["x" * 6_000_000]).status == 413
    client.close()


def test_the_page_of_another_site_stays_out(front: Front) -> None:
    def status(origin: str, **headers: str) -> int:
        client = Through(front)
        answer = client.ask("/who", {}, Origin=origin, **headers)
        client.close()
        return answer.status

    assert status(f"https://shop.example:{front.port}") == 200
    assert status("https://evil.example") == 403
    assert status("https://evil.example", **{"X-Forwarded-Host": "evil.example"}) == 403


async def test_a_sealed_session_knows_the_client(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    here = socket.getaddrinfo

    def shop(host: Any, *args: Any, **more: Any) -> Any:
        return here("127.0.0.1" if host in ("shop.example", b"shop.example") else host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", shop)
    url = f"https://shop.example:{front.port}"
    async with limen.connect(url, user="ada", password="correct horse", ssl=front.trusted) as session:
        told = await session.call("sealed")
        # This client has the proxies' own address: it is believed, so that what it was told of is not the proxy's word.
        assert told == {"origin": "127.0.0.1", "tls": True, "domain": "shop.example", "user": "ada"}
        assert await session.call("length", "x" * 1_000_000) == 1_000_000


def test_who_comes_past_the_proxy_is_not_believed(limen_behind: Server) -> None:
    def ask(path: str, source: str, **headers: str) -> Any:
        client = HTTPConnection("127.0.0.1", limen_behind.port, source_address=(source, 0))
        client.request("GET", path, headers={"Host": "shop.example"} | headers)
        answer = json.load(client.getresponse())
        client.close()
        return answer

    lies = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
    assert ask("/anyhow", STRANGER, **lies) == TRUTH | {"tls": False}
    assert ask("/who", STRANGER, **lies)["exc"] == "RequireSSL"
    assert ask("/who", STRANGER, Forwarded="for=6.6.6.6;proto=https")["exc"] == "RequireSSL"
    # At the proxy's own address one may say anything, but for what can't be understood.
    assert ask("/who", "127.0.0.1", Forwarded="for=6.6.6.6;proto=https")["origin"] == "6.6.6.6"
    both = {"Forwarded": "for=6.6.6.6;proto=https", "X-Forwarded-For": "7.7.7.7", "X-Forwarded-Proto": "https"}
    refused = ask("/who", "127.0.0.1", **both)
    assert refused["exc"] == "InvalidCall"
    assert "must set one kind" in refused["err"][0]


async def test_the_websocket_reads_the_same_headers(limen_behind: Server) -> None:
    async def opens(origin: str | None = None, **headers: str) -> int:
        lines = {"Host": "shop.example"} | {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            client = await SocketClient.connect(
                limen_behind.port, subprotocols=["limen.1.msgpack"], origin=origin, headers=lines.items()
            )
        except RefusedError as refused:
            return refused.status
        client.writer.close()
        return 101

    own = "https://shop.example"
    assert await opens(own, X_Forwarded_Proto="https", X_Forwarded_Host="shop.example") == 101
    assert await opens(own, X_Forwarded_Proto="https", X_Forwarded_Host="evil.example") == 421
    assert await opens("http://shop.example", X_Forwarded_Proto="https") == 403
    assert await opens(X_Forwarded_For="no address") == 400


def test_a_proxy_that_nobody_named_is_noticed_once(caplog: pytest.LogCaptureFixture) -> None:
    proxies._say.cache_clear()
    for _ in range(3):
        assert proxies.look((), "127.0.0.1", False, {"x-forwarded-for": "6.6.6.6"}).client == "127.0.0.1"
        assert proxies.look((), "192.0.2.1", False, {"x-forwarded-for": "6.6.6.6"}).client == "192.0.2.1"
    assert len(caplog.records) == 1
    assert "--proxy 127.0.0.1" in caplog.text
