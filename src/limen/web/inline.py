"""Content-Security-Policy of pages that hold scripts and styles of their own: by hash, or by nonce.

    csp="script-src 'self' {script-hashes}; style-src 'self' {style-hashes}"     a static page, which may be kept
    csp="script-src 'nonce-{nonce}' 'strict-dynamic'"                             a page that is made anew each time

Hashes are of what stands in the file: nothing has to be changed in it, and a browser may keep it. A nonce takes the
place of `nonce="{nonce}"` in the file, another one in every answer; such an answer is not to be kept.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from html.parser import HTMLParser
from typing import Final

MOST: Final = 4 * 2**20
"""Bytes of a page that is looked into; a larger one is sent with no nonce and no hashes."""
PLACE: Final = b'nonce="{nonce}"'

_HOLES: Final = re.compile(r"\s*('nonce-\{nonce\}'|\{script-hashes\}|\{style-hashes\})")


class Policy:
    """A policy with holes. *text*: as above.

    >>> policy = Policy("script-src 'self' {script-hashes}; style-src 'nonce-{nonce}'")
    >>> policy.without()
    "script-src 'self'; style-src 'none'"
    >>> policy.of(b"<script>1</script>", "abc").partition("; ")[2]
    "style-src 'nonce-abc'"
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.hashes = "-hashes}" in text
        self.nonce = "{nonce}" in text

    def without(self) -> str:
        """For what is no page."""
        text = _HOLES.sub("", self.text)
        return re.sub(r"([a-z]+-src(?:-elem|-attr)?)\s*(?=;|$)", r"\1 'none'", text)

    def of(self, page: bytes, nonce: str) -> str:
        """For *page*."""
        scripts, styles = inline_hashes(page) if self.hashes else ("", "")
        text = self.text.replace("{script-hashes}", scripts).replace("{style-hashes}", styles)
        return re.sub(r" +(?=;|$)", "", text.replace("{nonce}", nonce))


def fresh_nonce() -> str:
    """128 random bits."""
    return base64.b64encode(secrets.token_bytes(16)).decode()


def with_nonce(page: bytes, nonce: str) -> bytes:
    """*page* with *nonce* where it asks for one."""
    return page.replace(PLACE, f'nonce="{nonce}"'.encode())


def inline_hashes(page: bytes) -> tuple[str, str]:
    """Sources of the scripts and of the styles that stand in *page*, for a policy (CSP Level 3, 2.3.1).

    >>> inline_hashes(b"<script>alert(1)</script><script src='x'></script>")
    ("'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='", '')
    """
    key = hashlib.sha256(page).digest()
    known = _known.get(key)
    if known is not None:
        return known
    found = _Inline()
    # A browser reads CR and CRLF as LF before anything else (WHATWG HTML, 13.2.3.5).
    found.feed(page.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n"))
    found.close()
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    sources = _known[key] = " ".join(map(_source, found.scripts)), " ".join(map(_source, found.styles))
    return sources


_MOST_KNOWN: Final = 1024
_known: dict[bytes, tuple[str, str]] = {}
"""What was found in pages, by their own hashes: to parse a page takes longer."""


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


class _Inline(HTMLParser):
    """The texts of scripts without a source, and of styles."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self._into: list[str] | None = None
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "style" or (tag == "script" and not any(name == "src" for name, _ in attrs)):
            self._into, self._text = (self.styles if tag == "style" else self.scripts), []

    def handle_data(self, data: str) -> None:
        if self._into is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if self._into is not None and tag in ("script", "style"):
            self._into.append("".join(self._text))
            self._into = None
