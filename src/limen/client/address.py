"""What a client is told as text: the server's URL, and the address of what is called."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from limen import exc
from limen.base.names import domain_name

_SCHEMES = {"http": "ws", "ws": "ws", "https": "wss", "wss": "wss"}
_EXTENSION = re.compile(r"\.[A-Za-z0-9]+\Z")


class Endpoint(NamedTuple):
    """Where a server is. *url*: of its WebSocket. *domain*: the tenant, from the URL's host and from nowhere else."""

    url: str
    domain: str


def endpoint(url: str) -> Endpoint:
    """The WebSocket of the server at *url*: `/ws` there, below the path that an http URL has; the path itself of a ws
    URL that has one. exc.InvalidAddress when it is no such URL.

    >>> endpoint("http://Localhost:9000")
    Endpoint(url='ws://localhost:9000/ws', domain='localhost')
    >>> endpoint("https://shop.example/live").url
    'wss://shop.example/live/ws'
    >>> endpoint("wss://router.example/wamp").url
    'wss://router.example/wamp'
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise exc.InvalidAddress(f"{url[:200]!r} is not a URL.") from None
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None:
        raise exc.InvalidAddress(f"{url[:200]!r} is not a URL of http, https, ws or wss.")
    if parts.username is not None or parts.fragment:
        raise exc.InvalidAddress("A server's URL holds no user, password or fragment; say user= and password=.")
    domain = domain_name(host)
    netloc = (f"[{domain}]" if ":" in domain else domain) + (f":{port}" if port is not None else "")
    path = parts.path.rstrip("/")
    if not path or (parts.scheme.startswith("http") and not path.endswith("/ws")):
        path += "/ws"
    query = f"?{parts.query}" if parts.query else ""
    return Endpoint(f"{scheme}://{netloc}{path}{query}", domain)


def uri(name: str) -> str:
    """The WAMP URI that *name* stands for: dotted already, or the path of a URL.

    >>> uri("todo.add"), uri("/todo/add.json"), uri("/get_all")
    ('todo.add', 'todo.add', 'get_all')
    """
    if "/" not in name:
        return name
    return _EXTENSION.sub("", name.strip("/")).replace("/", ".")


class Site(NamedTuple):
    """Where a server answers HTTP. *host*: to connect to. *authority*: what its Host header says. *origin*: as people
    read it. *prefix*: path before every address, "" or "/x". *domain*: the tenant."""

    tls: bool
    host: str
    port: int
    authority: str
    origin: str
    prefix: str
    domain: str


def site(url: str) -> Site:
    """The HTTP server at *url*. exc.InvalidAddress when it is no such URL.

    >>> site("https://Clinic.example/app/")[2:]
    (443, 'clinic.example', 'https://clinic.example', '/app', 'clinic.example')
    """
    at, domain = endpoint(url)
    parts = urlsplit(at)
    if parts.query:
        raise exc.InvalidAddress("A server's URL holds no query here.")
    tls = parts.scheme == "wss"
    prefix = quote(unquote(urlsplit(url).path.rstrip("/")), safe="/")
    origin = f"{'https' if tls else 'http'}://{parts.netloc}"
    return Site(tls, domain, parts.port or (443 if tls else 80), parts.netloc, origin, prefix, domain)


def path(name: str) -> str:
    """The path of the address that *name* stands for, with whatever must be escaped.

    >>> path("todo.add"), path("/todo/add.json"), path("grüßen")
    ('/todo/add', '/todo/add', '/gr%C3%BC%C3%9Fen')
    """
    return "/" + quote(uri(name).replace(".", "/"), safe="/")
