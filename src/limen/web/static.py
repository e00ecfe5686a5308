"""Trees of files. What stands here must hold whatever the request says:

- **No way out of the root** (`web/opened.py`).
- **Nothing hidden.** Names that begin with a dot are not there; neither is what is no regular file (FIFOs, devices).
- **No open redirect.** A folder without its slash is redirected to the same path with one, on this site.
- **The loop never waits for a disk** (`web/sending.py`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

from limen import exc
from limen.base.files import ordinary
from limen.base.media import content_type

from .headers import NO_STORE, PAGE_CSP, REVALIDATE, Caching, chosen, page_headers, replaced
from .inline import MOST, Policy, fresh_nonce, with_nonce
from .opened import Found, open_below
from .response import Response
from .sending import send

_AS_THEY_ARE: Final[Mapping[str, str | None]] = MappingProxyType({})
HOUR: Final = 3600
"""Seconds that `cache=True` means, as it does for services."""


class StaticTree:
    """The files under *root*, served at *urlpath*.

    *urlpath*: begins with a slash. *root*: a folder; it need not exist yet. *index*: the file that stands for a folder,
    None for none. *cache*: False (kept by browsers, but asked for anew each time), seconds, or True (an hour). *csp*:
    the Content-Security-Policy of every file, None for none; with holes for hashes or a nonce see `web/inline.py`.
    *headers*: in place of those of the same name, None: not sent. *only*: if given, nothing but these names is served.

    Source: RFC 9110, sections 8.8, 13 and 14.

    >>> StaticTree("/docs/", "/tmp").urlpath
    '/docs'
    >>> StaticTree("docs", "/tmp")
    Traceback (most recent call last):
    limen.exc.InvalidAddress: A urlpath begins with a slash: 'docs'.
    """

    def __init__(
        self,
        urlpath: str,
        root: str | os.PathLike[str],
        index: str | None = "index.html",
        *,
        cache: bool | float = False,
        csp: str | None = PAGE_CSP,
        headers: Mapping[str, str | None] = _AS_THEY_ARE,
        only: frozenset[str] | None = None,
    ) -> None:
        if not urlpath.startswith("/"):
            raise exc.InvalidAddress(f"A urlpath begins with a slash: {urlpath!r}.")
        self.urlpath = "/" + urlpath.strip("/") if urlpath.strip("/") else ""
        self.segments = tuple(self.urlpath.split("/")[1:])
        self.root = Path(root).absolute()
        self.index = index or None
        self._only = only
        self._chosen = chosen(headers)
        policy = Policy(csp) if csp is not None and "{" in csp else None
        self._policy = policy
        self._fixed = replaced(page_headers(csp if policy is None else policy.without()), self._chosen)
        seconds = HOUR if cache is True else int(cache)
        self._caching = Caching(seconds) if seconds else None

    def __repr__(self) -> str:
        return f"StaticTree({self.urlpath or '/'!r}, {str(self.root)!r})"

    async def answer(
        self,
        method: str,
        segments: Sequence[str],
        headers: Mapping[bytes, bytes],
        *,
        query: bytes = b"",
        executor: Executor | None = None,
    ) -> Response:
        """The answer to GET or HEAD of the file at *segments* below the root; a last segment '' is a folder's index.

        *segments*: decoded once. *headers*: of the request, names in lower case. *query*: kept by a redirect.
        *executor*: where files are read; the loop's own if None.
        Raises `exc.NotFound`, `exc.MethodNotAllowed`.
        """
        if method not in ("GET", "HEAD"):
            raise exc.MethodNotAllowed(allow="GET, HEAD")
        opening = asyncio.get_running_loop().run_in_executor(executor, self._open, segments)
        try:
            found = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unwanted)
            raise
        try:
            if found is None:
                raise exc.NotFound()
            if found.folder:
                return self._to_slash(segments, query)
            kind, fixed = content_type(found.name), self._fixed
            kept = (REVALIDATE,) if self._caching is None else self._caching.pairs()
            if self._policy is not None and kind.startswith(b"text/html") and found.size <= MOST:
                page = await asyncio.get_running_loop().run_in_executor(executor, found.read)
                nonce = fresh_nonce() if self._policy.nonce else ""
                fixed = replaced(page_headers(self._policy.of(page, nonce)), self._chosen)
                if nonce:
                    found.close()
                    return Response(200, (*fixed, NO_STORE, (b"content-type", kind)), with_nonce(page, nonce))
            return send(method, headers, found, (*fixed, *kept), fixed, kind, executor)
        except BaseException:
            if found is not None:
                found.close()
            raise

    # -- answering ----------------------------------------------------------------------------------------------
    def _to_slash(self, segments: Sequence[str], query: bytes) -> Response:
        # Relative, since all of Limen may stand below a prefix; with the dot a colon in the name makes no scheme of it.
        path = f"./{quote((*self.segments, *segments)[-1], safe='')}/"
        location = path.encode() + (b"?" + query if query else b"")
        return Response(307, (*self._fixed, NO_STORE, (b"location", location)))

    # -- opening (on a worker thread) ---------------------------------------------------------------------------
    def _open(self, segments: Sequence[str]) -> Found | None:
        """The file or folder at *segments*, opened; None if it is not to be had."""
        names = list(segments)
        if not names or not names[-1]:
            if self.index is None:
                return None
            names = [*names[:-1], self.index]
        if not all(ordinary(name) for name in names):
            return None
        if self._only is not None and "/".join(names) not in self._only:
            return None
        found = open_below(self.root, names)
        return None if found is None or (found.folder and self.index is None) else found


def _close_unwanted(opening: asyncio.Future[Found | None]) -> None:
    if not opening.cancelled() and opening.exception() is None and (found := opening.result()) is not None:
        found.close()
