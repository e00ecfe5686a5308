"""Who made the browser ask: the own page, a click on another site's link, or another site's page unseen.

A browser says so itself: `Sec-Fetch-Site` (W3C Fetch Metadata) and `Origin` (RFC 6454). What sends neither is no
browser of this decade, and carries nobody else's authority. Sibling subdomains and other ports ("same-site") count as
other sites: here they are other tenants.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class Caller(Enum):
    """Who made the browser ask."""

    OWN = "own"
    """The own page, the user (typed, bookmarked), or no browser at all."""
    LINK = "link"
    """Another site's link that the user sees opening: the answer becomes the page shown, nobody else can read it."""
    FOREIGN = "foreign"
    """Another site's page: fetch, form, script, image, frame."""


def who_asks(method: str, headers: Mapping[bytes, bytes], tls: bool) -> Caller:
    """*headers*: of the request, names in lower case.

    >>> who_asks("POST", {b"host": b"a.example", b"origin": b"https://a.example"}, True)
    <Caller.OWN: 'own'>
    >>> who_asks("POST", {b"host": b"a.example", b"origin": b"https://b.example"}, True)
    <Caller.FOREIGN: 'foreign'>
    >>> click = {b"sec-fetch-site": b"cross-site", b"sec-fetch-mode": b"navigate", b"sec-fetch-dest": b"document"}
    >>> who_asks("GET", click, True), who_asks("POST", click, True)
    (<Caller.LINK: 'link'>, <Caller.FOREIGN: 'foreign'>)
    """
    origin = headers.get(b"origin")
    site = headers.get(b"sec-fetch-site")
    if origin is None and site is None:
        return Caller.OWN
    if origin is not None and not is_own(origin, headers.get(b"host", b""), tls):
        return Caller.FOREIGN
    if site is None or site == b"same-origin" or site == b"none":
        return Caller.OWN
    if (
        method in ("GET", "HEAD")
        and headers.get(b"sec-fetch-mode") == b"navigate"
        and headers.get(b"sec-fetch-dest") == b"document"
    ):
        return Caller.LINK
    return Caller.FOREIGN


def is_own(origin: bytes, host: bytes, tls: bool) -> bool:
    """True if *origin* is the site that *host* names.

    Where TLS ends at a proxy the page is https and the request is not: that is the own site too. The other way round it
    is not: what came over plain HTTP may be anybody's.

    >>> is_own(b"https://a.example", b"a.example", False), is_own(b"http://a.example", b"a.example", True)
    (True, False)
    """
    origin, host = origin.lower(), host.lower()
    if origin == b"https://" + host.removesuffix(b":443"):
        return True
    return not tls and origin == b"http://" + host.removesuffix(b":80")
