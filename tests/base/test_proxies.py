"""What is read of forwarded headers, and what is refused; what follows in a whole server is in tests/fronts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen import exc
from limen.base.proxies import HEADERS, Proxies, Seen

PROXIES = Proxies(["127.0.0.1", "10.0.0.0/8", "fd00::/8"])


def seen(client: str = "127.0.0.1", tls: bool = False, **headers: str) -> Seen:
    return PROXIES.seen(client, tls, {name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:DB8::1]:4711", "2001:db8::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9", "203.0.113.9"),
        ("nonsense, 203.0.113.9", "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9, 10.0.0.2, fd00::7", "203.0.113.9"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("6.6.6.6, unknown", "127.0.0.1"),
        ("6.6.6.6, _gazonk, 10.0.0.2", "10.0.0.2"),
    ],
)
def test_the_client_is_the_last_that_a_proxy_vouches_for(value: str, client: str) -> None:
    assert seen(x_forwarded_for=value).client == client
    nodes = (f'for="{node.strip()}"' for node in value.split(","))
    if "nonsense" not in value and value != "2001:db8::1" and "fd00::7" not in value and "::ffff" not in value:
        assert seen(forwarded=", ".join(nodes)).client == client


@pytest.mark.parametrize(
    "headers",
    [
        {"x_forwarded_for": ""},
        {"x_forwarded_for": "203.0.113.9,"},
        {"x_forwarded_for": "localhost"},
        {"x_forwarded_for": "1.2.3"},
        {"x_forwarded_for": "1.2.3.4:port"},
        {"x_forwarded_for": "[1.2.3.4]"},
        {"x_forwarded_for": "[2001:db8::1"},
        {"x_forwarded_for": '"1.2.3.4"'},
        {"x_forwarded_for": ", ".join(["10.0.0.1"] * 100)},
        {"x_forwarded_for": "1.2.3.4", "x_forwarded_proto": "gopher"},
        {"x_forwarded_for": "1.2.3.4", "x_forwarded_host": "a b"},
        {"x_forwarded_for": "1.2.3.4", "x_forwarded_host": "a/b"},
        {"x_forwarded_for": "1.2.3.4", "x_forwarded_host": "user@a"},
        {"forwarded": "for=1.2.3.4:80"},
        {"forwarded": "for=1.2.3.4;for=5.6.7.8"},
        {"forwarded": "for"},
        {"forwarded": "for= 1.2.3.4"},
        {"forwarded": "for=1.2.3.4 proto=https"},
        {"forwarded": 'for="1.2.3.4'},
        {"forwarded": 'for="a, for="[2001:db8::1]"'},
        {"forwarded": "for=1.2.3.4;proto=ftp"},
        {"forwarded": "for=1.2.3.4;proto=https", "x_forwarded_for": "1.2.3.4"},
        {"forwarded": "for=1.2.3.4", "x_forwarded_for": "5.6.7.8"},
    ],
    ids=str,
)
def test_what_can_not_be_understood_is_refused_and_not_guessed(headers: dict[str, str]) -> None:
    with pytest.raises(exc.InvalidCall):
        seen(**headers)
    assert seen("192.0.2.1", **headers) == Seen("192.0.2.1", False)  # a stranger's words are not even read


def test_scheme_and_host_are_those_that_the_outermost_believed_hop_said() -> None:
    assert seen(x_forwarded_for="203.0.113.9", x_forwarded_proto="https, http") == Seen("203.0.113.9", False)
    chain = "203.0.113.9, 10.0.0.2"
    assert seen(x_forwarded_for=chain, x_forwarded_proto="http, https, http").tls
    assert seen(x_forwarded_for=chain, x_forwarded_proto="https").tls
    assert seen(x_forwarded_for=chain, x_forwarded_host="evil, a.example, inner").host == "a.example"
    said = (
        'for=6.6.6.6;host=evil, for=203.0.113.9;proto=https;host="a.example:8443", for=10.0.0.2;proto=http;host=inner'
    )
    assert seen(forwarded=said) == Seen("203.0.113.9", True, "a.example:8443")
    assert seen(tls=True, x_forwarded_for="203.0.113.9").tls  # nobody says: the transport decides
    assert not seen(tls=True, x_forwarded_for="203.0.113.9", x_forwarded_proto="http").tls


def test_a_unix_socket_is_a_proxy_when_it_is_named() -> None:
    headers = {"x-forwarded-for": "203.0.113.9"}
    assert Proxies(["unix"]).seen("", False, headers).client == "203.0.113.9"
    assert Proxies(["127.0.0.1"]).seen("", False, headers).client == ""


@pytest.mark.parametrize("name", ["", "localhost", "10.0.0.1/8", "10.0.0.0/33", "0.0.0.0/0", "::/0", "*"])
def test_what_is_no_address_or_everybody_is_refused_at_once(name: str) -> None:
    with pytest.raises(exc.InvalidAddress, match="PROXIES"):
        Proxies([name])


@given(st.text(max_size=40), st.sampled_from(HEADERS[:2]))
def test_a_stranger_can_not_change_what_the_proxy_appends(lie: str, header: str) -> None:
    """Whatever a client sends first: it is seen as what the proxy saw, or its request is refused."""
    said = {"x-forwarded-for": "203.0.113.9", "forwarded": 'for="203.0.113.9:80";proto=https;host="a.example"'}[header]
    try:
        assert PROXIES.seen("127.0.0.1", False, {header: f"{lie}, {said}"}).client == "203.0.113.9"
    except exc.InvalidCall:
        pass
