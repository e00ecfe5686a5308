"""Who is really asking, where a proxy stands between: the one place that reads forwarded headers.

    Forwarded (RFC 7239) · X-Forwarded-For · X-Forwarded-Proto · X-Forwarded-Host

Each hop appends what it saw, so the headers are read from right to left, and only while the hop that said so is one of
`config.PROXIES`. What stands further left was written by a stranger, and is not even parsed. What a trusted proxy hands
on and is malformed, or says two different things, is refused: whichever was taken would be a guess.

    >>> proxies = Proxies(["192.0.2.1", "10.0.0.0/8"])
    >>> proxies.seen("192.0.2.1", False, {"x-forwarded-for": "6.6.6.6, 203.0.113.9", "x-forwarded-proto": "https"})
    Seen(client='203.0.113.9', tls=True, host=None)
    >>> proxies.seen("198.51.100.7", False, {"x-forwarded-for": "6.6.6.6", "x-forwarded-proto": "https"})
    Seen(client='198.51.100.7', tls=False, host=None)
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from limen import exc
from limen.base.config import UNIX

HEADERS: Final = ("forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host")
"""The headers that are read; others (X-Real-IP, X-Forwarded-Port, …) say nothing here."""
MAX_HOPS: Final = 32
"""Most proxies in a row."""

_LOG: Final = logging.getLogger("limen")
_TLS: Final = {"https": True, "wss": True, "http": False, "ws": False}
_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PAIR: Final = re.compile(rf'({_WORD})=(?:({_WORD})|"((?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[^\x00-\x08\x0a-\x1f\x7f])*)")')
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_NODE: Final = re.compile(
    r"(?:\[(?P<six>[^\]]*)\]|(?P<four>[0-9.]+)|(?P<hidden>unknown|_[A-Za-z0-9._-]+))(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]+))?",
    re.IGNORECASE,
)

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Seen(NamedTuple):
    """Who is asking. *client*: IP address, '' over a Unix socket. *tls*: the client's own connection is encrypted.
    *host*: what the client asked for; None: what the Host header says."""

    client: str
    tls: bool
    host: str | None = None


class Proxies:
    """The proxies that are believed. *names*: IP addresses, networks (`10.0.0.0/8`), and "unix".

    Raises `exc.InvalidAddress` for anything else, and for a network of all addresses: whoever is believed may say that
    they are anybody.

    >>> Proxies(["10.0.0.1/8"])
    Traceback (most recent call last):
    limen.exc.InvalidAddress: PROXIES, --proxy: '10.0.0.1/8' is neither an IP address nor a network: write '10.0.0.0/8'.
    """

    def __init__(self, names: Iterable[str]) -> None:
        names = (names,) if isinstance(names, str) else tuple(names)
        self._unix = UNIX in names
        self._networks = tuple(_network(name) for name in names if name != UNIX)

    def __bool__(self) -> bool:
        return self._unix or bool(self._networks)

    def trusts(self, client: str) -> bool:
        """Whether *client* (an IP address, '' over a Unix socket) is one of these.

        >>> Proxies(["::1", "unix"]).trusts("::1"), Proxies(["127.0.0.1"]).trusts("::ffff:127.0.0.1")
        (True, True)
        """
        if not client:
            return self._unix
        address = _address(client)
        return address is not None and any(address in network for network in self._networks)

    def seen(self, client: str, tls: bool, headers: Mapping[str, str]) -> Seen:
        """Who asks, by what *headers* say (`HEADERS`, in lower case; repeated ones joined with a comma).

        *client*, *tls*: of the transport. Raises `exc.InvalidCall` for headers that a trusted proxy should not have
        handed on.
        """
        if not self.trusts(client):
            return Seen(client, tls)
        said = [
            read(self, client, tls, headers)
            for names, read in ((HEADERS[:1], _forwarded), (HEADERS[1:], _x_forwarded))
            if any(name in headers for name in names)
        ]
        if len(said) == 2 and said[0] != said[1]:
            raise exc.InvalidCall(
                "The proxy handed on Forwarded and X-Forwarded-… headers that say different things. "
                "It must set one kind and remove the other."
            )
        return said[0] if said else Seen(client, tls)


def look(names: Iterable[str], client: str, tls: bool, headers: Mapping[str, str]) -> Seen:
    """`Proxies(names).seen(…)`, as the doors ask it: *names* is the setting, and is read once.

    Where none is set, and one seems to stand on this machine, the log says once what to do.
    """
    if names:
        return _proxies((names,) if isinstance(names, str) else tuple(names)).seen(client, tls, headers)
    if any(name in headers for name in HEADERS[:2]):
        _advise(client)
    return Seen(client, tls)


@lru_cache(16)
def _proxies(names: tuple[str, ...]) -> Proxies:
    return Proxies(names)


@lru_cache(1)  # one line, however many come
def _say(client: str) -> None:
    _LOG.warning(
        "A request from %s carried X-Forwarded-For or Forwarded, which is not believed: it counts as that address, "
        "without TLS. If a proxy of yours stands there, say so: --proxy %s, or config.PROXIES = (%r,).",
        client or "a Unix socket", client or UNIX, client or UNIX,
    )  # fmt: skip


def _advise(client: str) -> None:
    address = _address(client)
    if not client or (address is not None and address.is_loopback):
        _say(client)


def _network(name: str) -> _Network:
    try:
        network = ipaddress.ip_network(name)
    except ValueError:
        hint = ""
        if isinstance(name, str) and "/" in name:
            try:
                hint = f": write {str(ipaddress.ip_network(name, strict=False))!r}"
            except ValueError:
                pass
        raise exc.InvalidAddress(f"PROXIES, --proxy: {name!r} is neither an IP address nor a network{hint}.") from None
    if network.prefixlen == 0:
        raise exc.InvalidAddress(f"PROXIES, --proxy: {name!r} is everybody; name the addresses that your proxies have.")
    return network


@lru_cache(4096)
def _address(text: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped) or address


# -- right to left ----------------------------------------------------------------------------------------------
def _walk(proxies: Proxies, client: str, nodes: list[str], name: str) -> tuple[str, int]:
    """The last address that is vouched for, and how many hops vouch: 1 for the transport's end alone."""
    hops = 1
    while nodes:
        node = nodes.pop()
        address = _node(node, name)
        if address is None:  # the proxy will not say: what it does counts as its own
            return client, hops
        client = address
        if not proxies.trusts(client):
            return client, hops
        hops += 1
        if hops > MAX_HOPS:
            raise exc.InvalidCall(f"{name} names more than {MAX_HOPS} proxies in a row.")
    return client, hops


def _node(node: str, name: str) -> str | None:
    """The IP address in *node*, with or without a port; None for "unknown" and hidden names (RFC 7239, 6.2, 6.3)."""
    address = _address(node)
    if address is not None:
        return str(address)
    match = _NODE.fullmatch(node)
    if match is not None and match["hidden"]:
        return None
    address = _address(match["six"] or match["four"] or "") if match is not None else None
    if match is None or address is None or (match["six"] is not None and ":" not in match["six"]):
        raise exc.InvalidCall(f"The proxy handed on a {name} header in which something is no address.")
    return str(address)


def _x_forwarded(proxies: Proxies, client: str, tls: bool, headers: Mapping[str, str]) -> Seen:
    lists = {name: [item.strip(" \t") for item in headers[name].split(",")] for name in HEADERS[1:] if name in headers}
    client, hops = _walk(proxies, client, lists.get("x-forwarded-for", []), "X-Forwarded-For")

    def told(name: str) -> str | None:
        """What the outermost of the trusted hops said: each appended one, or one of them set it for all."""
        items = lists.get(name)
        return None if items is None else items[-min(hops, len(items))]

    scheme, host = told("x-forwarded-proto"), told("x-forwarded-host")
    return Seen(client, _tls(scheme, tls, "X-Forwarded-Proto"), _host(host, "X-Forwarded-Host"))


def _forwarded(proxies: Proxies, client: str, tls: bool, headers: Mapping[str, str]) -> Seen:
    elements = _elements(headers["forwarded"])
    nodes = [element.get("for", "unknown") for element in elements]
    client, hops = _walk(proxies, client, nodes, "Forwarded")
    scheme = host = None
    for element in elements[-hops:]:  # the outermost of the trusted hops that says it
        scheme, host = scheme or element.get("proto"), host or element.get("host")
    return Seen(client, _tls(scheme, tls, "Forwarded"), _host(host, "Forwarded"))


def _elements(value: str) -> list[dict[str, str]]:
    """The elements of a Forwarded header, names in lower case (RFC 7239, section 4).

    All of it must be well formed: else a quote that a stranger opened could swallow what the proxy wrote after it.

    >>> _elements('for="[2001:db8::1]:80";proto=https, for=192.0.2.1')
    [{'for': '[2001:db8::1]:80', 'proto': 'https'}, {'for': '192.0.2.1'}]
    """
    wrong = exc.InvalidCall("The proxy handed on a Forwarded header that is not written as RFC 7239 says.")
    elements: list[dict[str, str]] = [{}]
    at, end = 0, len(value)
    while at < end:
        match = _PAIR.match(value, at)
        if match is not None:
            name, plain, quoted = match.groups()
            if name.lower() in elements[-1]:
                raise wrong
            elements[-1][name.lower()] = plain if plain is not None else re.sub(r"\\(.)", r"\1", quoted)
            at = match.end()
        while at < end and value[at] in " \t":
            at += 1
        if at < end:
            if value[at] not in ",;" or (value[at] == ";" and not elements[-1]):
                raise wrong
            if value[at] == ",":
                elements.append({})
            at += 1
        while at < end and value[at] in " \t":
            at += 1
    return [element for element in elements if element]


def _tls(scheme: str | None, tls: bool, name: str) -> bool:
    if scheme is None:
        return tls
    if scheme.lower() not in _TLS:
        raise exc.InvalidCall(f"The proxy handed on a {name} header whose scheme is neither http nor https.")
    return _TLS[scheme.lower()]


def _host(host: str | None, name: str) -> str | None:
    if host is not None and not _HOST.fullmatch(host):
        raise exc.InvalidCall(f"The proxy handed on a {name} header whose host is none.")
    return host
