"""Values and errors as the bodies of HTTP responses.

In JSON `<`, `>`, `&`, U+2028 and U+2029 are written as escapes. A browser that heeds the headers never takes the answer
for a page or a script; whoever pastes it into one anyway is safe as well. (Go's encoding/json does the same.)
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from limen import exc
from limen.base.values import blame_text, natural, tag
from limen.web.headers import JSON, NO_STORE, TAGGED, Pair, data_headers, page_headers
from limen.web.response import Response

_encode = msgspec.json.Encoder().encode
_JSON_HEADERS: Final = (*data_headers(JSON), NO_STORE)
_TAGGED_HEADERS: Final = (*data_headers(TAGGED), NO_STORE)
_CHALLENGE: Final = (b"www-authenticate", b"Limen")  # RFC 9110, 15.5.2, wants one; no browser asks for a password


def to_json(value: Any, *, tagged: bool = False) -> bytes:
    """*value* as JSON text, natural or tagged. Raises `exc.InvalidValue` with the path of what can't travel.

    >>> to_json({"a": "</script>"})
    b'{"a":"\\\\u003c/script\\\\u003e"}'
    """
    tree = tag(value, "json") if tagged else natural(value, "json")
    try:
        data: bytes = _encode(tree)
    except UnicodeEncodeError:  # a lone surrogate
        blame_text(tree)
    # Outside of strings none of these can stand in JSON, so they may be replaced wherever they are.
    if b"<" in data:
        data = data.replace(b"<", b"\\u003c")
    if b">" in data:
        data = data.replace(b">", b"\\u003e")
    if b"&" in data:
        data = data.replace(b"&", b"\\u0026")
    if b"\xe2\x80" in data:
        data = data.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    return data


def data_response(value: Any) -> Response:
    """Plain data of the server's own."""
    return Response(200, _JSON_HEADERS, to_json(value))


def failure_page(error: exc.Error) -> Response:
    """An `InternalError` of a server in development as a page, for whoever has followed a link to a service that fails:
    the traceback, over which `js/src/dev.js` lays source and variables."""
    trace = html.escape(str(error.facts.get("traceback", "")))
    page = (
        '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>The service failed</title>'
        f'<pre>{trace}</pre><script type="application/json" id="limen-failure">'
    ).encode()
    page += to_json(error.to_wire()) + b'</script><script type="module" src="/limen/dev.mjs"></script>'
    headers = ((b"content-type", b"text/html; charset=utf-8"), *page_headers(), NO_STORE)
    return Response(error.status, headers, page)


def error_response(
    error: exc.Error, status: int | None = None, headers: Sequence[Pair] = (), *, tagged: bool = False
) -> Response:
    """An error as `{exc, err, …}`, with the status of its class unless *status* says otherwise."""
    try:
        body = to_json(error.to_wire(), tagged=tagged)
    except exc.InvalidValue:  # a fact that can't travel must not hide the error
        body = to_json({"exc": error.exc, "err": error.err}, tagged=tagged)
    more = [*headers]
    number = error.status if status is None else status
    if number == 401:
        more.append(_CHALLENGE)
    elif number == 405 and "allow" in error.facts:
        more.append((b"allow", str(error.facts["allow"]).encode()))
    if (wait := error.facts.get("retry_after")) is not None:
        more.append((b"retry-after", b"%d" % math.ceil(wait)))
    elif number == 503:
        more.append((b"retry-after", b"1"))
    return Response(number, (*(_TAGGED_HEADERS if tagged else _JSON_HEADERS), *more), body)
