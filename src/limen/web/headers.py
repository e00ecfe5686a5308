"""The strict header sets, each encoded once.

What they hold against, and where it is said:

- `X-Content-Type-Options: nosniff`: a browser takes the answer for what it says it is, so JSON is never run as a
  script (WHATWG Fetch, "nosniff").
- `Content-Security-Policy` of data, `default-src 'none'; frame-ancestors 'none'`: shown on its own, the answer can load
  and run nothing, and nobody can frame it (CSP Level 3).
- `Cross-Origin-Resource-Policy: same-origin`: another site's page can't even load it as an image or script, which also
  keeps it out of that page's process (WHATWG Fetch, "CORP").
- `Referrer-Policy`: addresses, which may hold arguments, don't leak to other sites.
- `Cache-Control: no-store` unless something else was asked for.
- Pages besides: `Cross-Origin-Opener-Policy: same-origin` (no window of another site holds this one),
  `Origin-Agent-Cluster: ?1` (no sibling subdomain shares its process), `Permissions-Policy` (no camera, microphone, …).
- `Strict-Transport-Security` over TLS: a browser does not try without again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Mapping
from email.utils import formatdate
from typing import Final

Pair = tuple[bytes, bytes]

DATA_CSP: Final = "default-src 'none'; frame-ancestors 'none'"
"""Of every answer that is data: nothing may load, nothing may run, nobody may frame it."""

PAGE_CSP: Final = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'none'"
)
"""Of static files unless `csp=` says otherwise: scripts, styles, workers and connections of the own origin only,
nothing inline. WebSockets are included: CSP Level 3, 6.7.2.8, lets 'self' stand for ws and wss as well."""

NOSNIFF: Final = (b"x-content-type-options", b"nosniff")
SAME_ORIGIN: Final = (b"cross-origin-resource-policy", b"same-origin")
NO_REFERRER: Final = (b"referrer-policy", b"no-referrer")
OWN_REFERRER: Final = (b"referrer-policy", b"same-origin")
OWN_WINDOW: Final = (b"cross-origin-opener-policy", b"same-origin")
OWN_CLUSTER: Final = (b"origin-agent-cluster", b"?1")
NO_POWERS: Final = (
    b"permissions-policy",
    b", ".join(
        name + b"=()"
        for name in (
            b"accelerometer", b"browsing-topics", b"camera", b"display-capture", b"geolocation", b"gyroscope", b"hid",
            b"magnetometer", b"microphone", b"midi", b"payment", b"serial", b"usb", b"xr-spatial-tracking",
        )
    ),
)  # fmt: skip
"""What asks the visitor for more than a page usually needs; a program that does need it says so (`config.HEADERS`)."""
NO_STORE: Final = (b"cache-control", b"no-store")
REVALIDATE: Final = (b"cache-control", b"no-cache")
DATA_CSP_PAIR: Final = (b"content-security-policy", DATA_CSP.encode())

JSON: Final = b"application/json"
TAGGED: Final = b"application/limen+json"


def header_text(text: str) -> bytes:
    """*text* as the value of a header. Raises ValueError for what that can't hold (control characters, non-ASCII)."""
    if not text.isascii() or not text.isprintable():
        raise ValueError(f"a header can't hold {text!r}")
    return text.encode()


def data_headers(content_type: bytes, csp: str | None = None, *, disposition: str | None = None) -> tuple[Pair, ...]:
    """The fixed headers of an answer that is data, without those about caching and length.

    *csp*: in place of `DATA_CSP`. *disposition*: a Content-Disposition.

    >>> dict(data_headers(JSON))[b"content-security-policy"]
    b"default-src 'none'; frame-ancestors 'none'"
    """
    policy = DATA_CSP_PAIR if csp is None else (b"content-security-policy", header_text(csp))
    pairs: tuple[Pair, ...] = ((b"content-type", content_type), NOSNIFF, policy, NO_REFERRER, SAME_ORIGIN)
    if disposition is not None:
        pairs += ((b"content-disposition", header_text(disposition)),)
    return pairs


def page_headers(csp: str | None = PAGE_CSP) -> tuple[Pair, ...]:
    """The fixed headers of a static file, without type, length and caching. *csp* None: without a policy."""
    pairs: tuple[Pair, ...] = (NOSNIFF, OWN_REFERRER, SAME_ORIGIN, OWN_WINDOW, OWN_CLUSTER, NO_POWERS)
    if csp is not None:
        pairs += ((b"content-security-policy", header_text(csp)),)
    return pairs


def header_lines(pairs: Collection[Pair]) -> bytes:
    """*pairs* as the lines of a head. Raises ValueError for what a header can't hold.

    >>> header_lines([NOSNIFF])
    b'x-content-type-options: nosniff\\r\\n'
    """
    for _, value in pairs:
        header_text(value.decode("latin-1"))
    return b"".join(b"%s: %s\r\n" % pair for pair in pairs)


def chosen(headers: Mapping[str, str | None]) -> dict[bytes, bytes | None]:
    """*headers* as they are sent: names in lower case; None for one that is not to be sent. Raises ValueError.

    >>> chosen({"Cross-Origin-Embedder-Policy": "require-corp", "Permissions-Policy": None})
    {b'cross-origin-embedder-policy': b'require-corp', b'permissions-policy': None}
    """
    made: dict[bytes, bytes | None] = {}
    for name, value in headers.items():
        if not re.fullmatch(r"[A-Za-z0-9-]+", name) or name.lower() in _FRAMING:
            raise ValueError(f"{name!r} is no header that can be chosen")
        made[name.lower().encode()] = None if value is None else header_text(value)
    return made


def replaced(pairs: Iterable[Pair], by: Mapping[bytes, bytes | None]) -> tuple[Pair, ...]:
    """*pairs* with those of *by* in the place of what has the same name.

    >>> replaced((NOSNIFF, OWN_WINDOW), {b"cross-origin-opener-policy": None, b"x-a": b"1"})
    ((b'x-content-type-options', b'nosniff'), (b'x-a', b'1'))
    """
    more = tuple((name, value) for name, value in by.items() if value is not None)
    return (*(pair for pair in pairs if pair[0] not in by), *more)


_FRAMING: Final = frozenset({"content-length", "transfer-encoding", "connection", "content-type", "date"})


class Caching:
    """The headers of `cache=`: Cache-Control, Pragma, Expires for *seconds*; `no-store` without.

    >>> Caching(0).pairs(now=0)
    ((b'cache-control', b'no-store'),)
    >>> Caching(60).pairs(now=0)[0], Caching(60).pairs(now=0)[2]
    ((b'cache-control', b'public, max-age=60'), (b'expires', b'Thu, 01 Jan 1970 00:01:00 GMT'))
    """

    __slots__ = ("_made", "_pairs", "seconds")

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        self._made = -1
        self._pairs: tuple[Pair, ...] = (NO_STORE,)

    def pairs(self, now: float | None = None) -> tuple[Pair, ...]:
        """*now*: Unix time; the moment it is called if None. Made anew at most once a second."""
        if not self.seconds:
            return self._pairs
        moment = int(time.time() if now is None else now)
        if moment != self._made:
            self._made = moment
            self._pairs = (
                (b"cache-control", b"public, max-age=%d" % self.seconds),
                (b"pragma", b"public"),
                (b"expires", http_date(moment + self.seconds)),
            )
        return self._pairs


def http_date(moment: float) -> bytes:
    """Unix time as an HTTP date (RFC 9110, 5.6.7).

    >>> http_date(784111777)
    b'Sun, 06 Nov 1994 08:49:37 GMT'
    """
    return formatdate(moment, usegmt=True).encode()
