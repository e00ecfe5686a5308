"""What the HTTP door works out once for each service: methods, formats with their headers, sites that may call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from limen.service.formats import BUILT_IN, content_type, render
from limen.service.service import Kind, Service
from limen.web.headers import NO_STORE, TAGGED, Caching, Pair, data_headers, header_lines, header_text
from limen.web.response import Response

from .answers import to_json

PREFLIGHT_AGE: Final = 600
"""Seconds that a browser may keep the answer to a preflight."""
_BYTES: Final = "application/octet-stream"


class Format:
    """One format of one service. *headers*: but those about caching. *write*: from a result to what is sent.
    *own*: the service's own formatter writes, which may take its time."""

    __slots__ = ("head", "headers", "own", "unkept", "write")

    def __init__(self, headers: tuple[Pair, ...], write: Callable[[Any], bytes], *, own: bool = False) -> None:
        self.headers, self.write, self.own = headers, write, own
        self.unkept = (*headers, NO_STORE)
        """All headers of an answer that is not to be kept, and as lines."""
        self.head = header_lines(self.unkept)


class Plan:
    """*service*, as HTTP sees it: POST always, GET and HEAD if `methods` or `cache` says so."""

    __slots__ = ("_caching", "_formats", "allow", "at_once", "cors", "methods", "service", "streams", "vary")

    def __init__(self, service: Service) -> None:
        self.service = service
        self.methods = frozenset(service.allowed_methods)
        self.allow = ", ".join([*service.allowed_methods, "OPTIONS"])
        self.at_once = service.at_once
        """The pipeline gives the result now, not an awaitable of it."""
        self.streams = service.kind in (Kind.STREAM, Kind.ASYNC_STREAM)
        self.cors = frozenset(origin.encode() for origin in service.cors)
        self._caching = Caching(service.cache_seconds)
        self._formats: dict[tuple[str | None, bool, bool], Format] = {}
        varies = ([b"accept"] if service.cache else []) + ([b"origin"] if service.cors else [])
        self.vary: tuple[Pair, ...] = ((b"vary", b", ".join(varies)),) if varies else ()
        """One address answers in two types (by Accept), and with other headers to other sites: caches must know."""

    def format(self, extension: str | None, named: bool, tagged: bool) -> Format:
        """How a result is written for *extension* (None: json).

        *named*: the caller chose the path's end, by which a browser would name the file that it saves (reflected file
        download): then, as for bytes, the name is fixed. *tagged*: JSON is to hold Limen's own values.
        """
        key = (extension, named, tagged)
        found = self._formats.get(key)
        if found is None:
            found = self._formats[key] = self._make(extension or "json", named, tagged)
        return found

    def _make(self, extension: str, named: bool, tagged: bool) -> Format:
        service = self.service
        if tagged and extension == "json":
            return Format(data_headers(TAGGED, service.csp), _tagged)
        own = service.output.get(extension)
        formatter = own or BUILT_IN[extension]
        kind = _BYTES if service.force_download else content_type(extension, formatter)
        disposition = None
        if service.force_download or service.content_disposition is not None:
            how = "attachment" if service.force_download else service.content_disposition
            disposition = f'{how}; filename="{service.urlpath.rpartition("/")[2]}.{extension}"'
        elif kind == _BYTES:
            disposition = f'attachment; filename="answer.{extension}"'
        elif named:
            disposition = f'inline; filename="answer.{extension}"'
        headers = data_headers(header_text(kind), service.csp, disposition=disposition)
        if own is None and extension == "json":
            return Format(headers, to_json)
        return Format(headers, lambda value: render(extension, formatter, value), own=own is not None)

    def response(self, shape: Format, method: str, body: bytes, grant: tuple[Pair, ...]) -> Response:
        """A good answer in this format."""
        if self._caching.seconds and method in ("GET", "HEAD"):
            return Response(200, shape.headers + self._caching.pairs() + self.vary + grant, body)
        if grant:
            return Response(200, shape.unkept + self.vary + grant, body)
        return Response(200, shape.unkept, body, head=shape.head)

    # -- other sites --------------------------------------------------------------------------------------------
    def grant(self, origin: bytes | None) -> tuple[Pair, ...] | None:
        """The headers that let the page at *origin* read the answer; None if `cors` does not name it."""
        if origin is None or not self.cors:
            return None
        allowed = origin if origin in self.cors else b"*"
        return ((b"access-control-allow-origin", allowed),) if allowed in self.cors else None

    def preflight(self, origin: bytes | None) -> tuple[Pair, ...] | None:
        """The answer to a preflight (WHATWG Fetch, 4.8); None where the page may not. There are no cookies to allow."""
        grant = self.grant(origin)
        if grant is None:
            return None
        return (
            *grant,
            (b"access-control-allow-methods", ", ".join(sorted(self.methods)).encode()),
            (b"access-control-allow-headers", b"content-type, accept"),
            (b"access-control-max-age", b"%d" % PREFLIGHT_AGE),
            *self.vary,
        )


def _tagged(value: Any) -> bytes:
    return to_json(value, tagged=True)
