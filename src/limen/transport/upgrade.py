"""The opening handshake of a WebSocket (RFC 6455, section 4.2): a request's head to a `Handshake`; its answers."""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from http import HTTPStatus

from limen import exc
from limen.base.config import Config
from limen.base.proxies import HEADERS, look
from limen.transport.wire import Handshake, Refusal

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")
"""16 bytes in base64, with no stray bits."""
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ONCE = ("host", "origin", "sec-websocket-key", "sec-websocket-version", "content-length")


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A handshake that keeps to the RFC, and the key that its answer is made of."""

    handshake: Handshake
    key: str


def read_upgrade(head: bytes, client: str = "", tls: bool = False) -> Upgrade | Refusal:
    """Reads the head of an upgrade request: request line and headers, up to and with the empty line.

    *head* comes from an HTTP parser that has already refused malformed lines. What RFC 6455 demands of the request is
    checked here; Origin, Host and subprotocol are the door's to judge.

    >>> head = (b"GET /ws?a=1 HTTP/1.1\\r\\nHost: localhost\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
    ...         b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\nSec-WebSocket-Version: %d\\r\\n\\r\\n")
    >>> upgrade = read_upgrade(head % 13)
    >>> upgrade.handshake.path, upgrade.handshake.query, upgrade.key
    ('/ws', 'a=1', 'dGhlIHNhbXBsZSBub25jZQ==')
    >>> read_upgrade(head % 12).status
    426
    """
    lines = head.decode("latin-1").split("\r\n")
    method, _, rest = lines[0].partition(" ")
    target = rest.rpartition(" ")[0]
    headers: dict[str, str] = {}
    protocols: list[str] = []
    for line in lines[1:]:
        if not line:
            continue
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip(" \t")
        if name in headers and name in _ONCE:
            return refuse(400, f"{name} is given twice")
        if name == "sec-websocket-protocol":
            protocols += [token.strip(" \t") for token in value.split(",")]
        headers[name] = f"{headers[name]}, {value}" if name in headers and name in HEADERS else value

    if method != "GET":
        return refuse(400, "a WebSocket is opened with GET")
    if "host" not in headers:
        return refuse(400, "Host is missing")
    if not (_names(headers, "upgrade", "websocket") and _names(headers, "connection", "upgrade")):
        return refuse(400, "not an upgrade to websocket")
    if headers.get("sec-websocket-version") != "13":
        return refuse(426, "version 13 is spoken here", (("sec-websocket-version", "13"), ("upgrade", "websocket")))
    key = headers.get("sec-websocket-key", "")
    if not _KEY.fullmatch(key):
        return refuse(400, "Sec-WebSocket-Key is not 16 bytes in base64")
    if "transfer-encoding" in headers or headers.get("content-length", "0") != "0":
        return refuse(400, "an upgrade has no body")
    if len(protocols) != len(set(protocols)) or not all(_TOKEN.fullmatch(token) for token in protocols):
        return refuse(400, "Sec-WebSocket-Protocol is not a list of distinct tokens")
    path, _, query = target.partition("?")
    origin = headers.get("origin")
    return Upgrade(Handshake(path, headers["host"], origin, tuple(protocols), client, tls, headers, query), key)


def _names(headers: dict[str, str], name: str, token: str) -> bool:
    return token in [part.strip(" \t").lower() for part in headers.get(name, "").split(",")]


def seen(handshake: Handshake, config: Config) -> Handshake | Refusal:
    """*handshake*, as the client made it: where a proxy of `config.PROXIES` handed it on, with the client's address,
    TLS and host; a refusal where that proxy's headers are not to be understood."""
    try:
        client, tls, host = look(config.PROXIES, handshake.client, handshake.tls, handshake.headers)
    except exc.InvalidCall as error:
        return refuse(400, str(error))
    if host is None and (client, tls) == (handshake.client, handshake.tls):
        return handshake
    return replace(handshake, client=client, tls=tls, host=handshake.host if host is None else host)


def refuse(status: int, why: str, headers: tuple[tuple[str, str], ...] = ()) -> Refusal:
    """A refusal whose body is one line of text."""
    return Refusal(status, (("content-type", "text/plain; charset=utf-8"), *headers), why.encode())


def accepted(key: str, subprotocol: str | None) -> bytes:
    """The answer that opens a WebSocket.

    >>> b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in accepted("dGhlIHNhbXBsZSBub25jZQ==", None)  # RFC 6455, section 1.3
    True
    """
    digest = hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    answer = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: "
    answer += binascii.b2a_base64(digest, newline=False)
    if subprotocol is not None:
        answer += b"\r\nsec-websocket-protocol: " + subprotocol.encode("ascii")
    return answer + b"\r\n\r\n"


def refused(refusal: Refusal, default_headers: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """The whole HTTP answer that refuses; the connection is to be closed after it.

    >>> refused(Refusal(404))
    b'HTTP/1.1 404 Not Found\\r\\ncontent-length: 0\\r\\nconnection: close\\r\\n\\r\\n'
    """
    try:
        phrase = HTTPStatus(refusal.status).phrase
    except ValueError:
        phrase = ""
    lines = [f"HTTP/1.1 {refusal.status} {phrase}".encode()]
    lines += [name + b": " + value for name, value in default_headers]
    lines += [f"{name}: {value}".encode("latin-1") for name, value in refusal.headers]
    lines += [b"content-length: %d" % len(refusal.body), b"connection: close", b"", refusal.body]
    return b"\r\n".join(lines)


def shorten(reason: str) -> bytes:
    """What fits into a close frame: 123 bytes, no half character.

    >>> len(shorten("ä" * 100))
    122
    """
    return reason.encode()[:123].decode(errors="ignore").encode()
