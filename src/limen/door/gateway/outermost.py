"""Limen before another ASGI application: what is not Limen's own goes on to that one as it came.

Unlike what is mounted (`mount.py`), the other application has no guard of Limen's before it, and costs nothing but the
look at the path: the server asks it, and it answers the server.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from limen.transport.prefix import raw_path

from .asgi import Handler, Receive, Scope, Send


class Outermost:
    """*limen* answers at the paths that it *owns*, at `/ws`, and begins and ends both; *inner* all else.

    *state*: what the inner application's lifespan has put there, for its requests.
    """

    def __init__(self, limen: Handler, owns: Callable[[bytes], bool], inner: Handler, state: dict[str, Any]) -> None:
        self._limen, self._owns, self._inner, self._state = limen, owns, inner, state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._is_own(scope):
            await self._limen(scope, receive, send)
            return
        if self._state:
            scope.setdefault("state", {}).update(self._state)
        await self._inner(scope, receive, send)

    def _is_own(self, scope: Scope) -> bool:
        if scope["type"] == "http":
            return self._owns(raw_path(scope))
        return scope["type"] != "websocket" or raw_path(scope) == b"/ws"
