"""Who may open a WebSocket: `App.accept`."""

from __future__ import annotations

import pytest

from limen import App
from limen.transport.wire import Handshake, Refusal


def accepted(origin: str | None, host: str = "localhost:9000", tls: bool = False, path: str = "/ws") -> int:
    """The status of the answer to a handshake; 101 if it was taken."""
    answer = App().accept(Handshake(path, host, origin, ("limen.1.json",), "192.0.2.7", tls))
    return answer.status if isinstance(answer, Refusal) else 101


@pytest.mark.parametrize(
    ("origin", "tls"),
    [
        (None, False),  # no browser
        ("http://localhost:9000", False),
        ("https://localhost:9000", True),
        ("https://localhost:9000", False),  # TLS ends at a proxy
    ],
)
async def test_the_own_page_may(origin: str | None, tls: bool) -> None:
    assert accepted(origin, tls=tls) == 101


@pytest.mark.parametrize(
    ("origin", "tls"),
    [
        ("https://evil.example", True),
        ("http://localhost:8000", False),  # another port is another site
        ("http://localhost:9000", True),  # what came over plain HTTP may be anybody's
        ("null", False),
        ("", False),
        ("https://löcalhost:9000", True),
    ],
)
async def test_another_sites_page_may_not(origin: str, tls: bool) -> None:
    assert accepted(origin, tls=tls) == 403


async def test_a_foreign_host_name_is_refused_whoever_asks() -> None:
    assert accepted("https://evil.example", host="evil.example", tls=True) == 421


async def test_there_is_one_address_for_websockets() -> None:
    assert accepted(None, path="/wss") == 404


@pytest.mark.parametrize("host", ["[localhost]", "[localhost]evil.example", "[::1]evil.example", "[127.0.0.1]:9000"])
async def test_brackets_hold_an_ipv6_address_and_end_the_name(host: str) -> None:
    assert accepted(None, host) == 421
    assert accepted(None, "[::1]") == accepted(None, "[::1]:9000") == 101
