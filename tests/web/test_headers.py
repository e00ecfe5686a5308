"""The strict header sets."""

from __future__ import annotations

import pytest

from limen.base.media import content_type
from limen.web.headers import JSON, PAGE_CSP, Caching, data_headers, header_text


def test_data_can_load_nothing_and_be_framed_by_nobody() -> None:
    headers = dict(data_headers(JSON))
    assert headers[b"content-security-policy"] == b"default-src 'none'; frame-ancestors 'none'"
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"referrer-policy"] == b"no-referrer"


def test_pages_run_nothing_inline() -> None:
    assert "unsafe" not in PAGE_CSP
    assert PAGE_CSP.startswith("default-src 'self'")


def test_a_header_holds_no_line_break() -> None:
    for text in ("a\r\nb: c", "a\nb", "\0", "ü"):
        with pytest.raises(ValueError, match="header"):
            header_text(text)


def test_expires_is_made_anew_each_second() -> None:
    caching = Caching(10)
    first, same, later = caching.pairs(now=100.1), caching.pairs(now=100.9), caching.pairs(now=101)
    assert first is same
    assert dict(later)[b"expires"] == b"Thu, 01 Jan 1970 00:01:51 GMT"


def test_types_are_those_of_the_table_whatever_the_machine_says() -> None:
    assert content_type("x.js") == b"text/javascript; charset=utf-8"
    assert content_type("x.svg") == b"image/svg+xml"
    assert content_type("archive.tar.gz") == b"application/gzip"
    assert content_type("x.") == content_type("x") == b"application/octet-stream"
