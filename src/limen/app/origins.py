"""Hosts and origins: what a Host header and an IP address mean."""

from __future__ import annotations

import ipaddress

from limen.base.config import UNIX


def host_name(host: str) -> str:
    """The name in a Host header, without port, in lower case.

    >>> host_name("Localhost:9000"), host_name("[::1]:9000")
    ('localhost', '::1')
    """
    if host.startswith("["):
        name, _, port = host[1:].partition("]")
        if ":" not in name or (port and port[0] != ":"):
            name = host  # "[localhost]", "[::1].example": brackets hold an IPv6 address and end the name
    else:
        name = host.rsplit(":", 1)[0] if host.count(":") == 1 else host
    return name.lower()


def is_loopback(name: str) -> bool:
    """A name that can only mean this machine (it can't be rebound by DNS).

    >>> is_loopback("localhost"), is_loopback("127.0.0.1"), is_loopback("127.0.0.1.evil.example")
    (True, True, False)
    """
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def origin_of(client: str) -> str:
    """What the ledger counts by: an IPv4 address, an IPv6 /64.

    >>> origin_of("192.0.2.7"), origin_of("2001:db8::1"), origin_of("::ffff:192.0.2.7")
    ('192.0.2.7', '2001:db8::/64', '192.0.2.7')
    >>> origin_of("")  # a Unix socket: not '', which is a call in process
    'unix'
    """
    if not client:
        return UNIX
    if ":" not in client:
        return client
    try:
        address = ipaddress.IPv6Address(client.partition("%")[0])
    except ValueError:
        return client
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, 64), strict=False))
