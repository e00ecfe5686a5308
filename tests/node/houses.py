"""What tests of nodes need besides `limen.testing.connections`: routers of other kinds, and what is left at one."""

from __future__ import annotations

import contextlib
from typing import Any

from limen.core.wamp.verdict import ALLOWED, DENIED
from limen.door.hub.hub import Hub
from limen.node.tree import Tree
from limen.testing import MemoryConnection
from limen.testing.memory import REALM, router

NOTHING: dict[str, list[int]] = {"exact": [], "prefix": [], "wildcard": []}


class House:
    """A router and connections to it. *patterns*: it announces that it matches them. What is in `refused` (an URI,
    or what is asked for it: "subscribe test.x.") it gives to nobody."""

    def __init__(self, patterns: bool = True) -> None:
        self.patterns = patterns
        self.refused: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        """What sessions wanted to register and subscribe."""
        self._hub = router()
        self._hub.authorize = self._authorize
        if not patterns:
            self._hub.realm(REALM).roles = {"dealer": {"features": {}}, "broker": {"features": {}}}
        self._stack = contextlib.AsyncExitStack()

    def _authorize(self, session: Any, action: str, uri: str, options: Any) -> Any:
        if action in ("register", "subscribe"):
            self.asked.append((action, uri))
        return DENIED if self.refused & {uri, f"{action} {uri}"} else ALLOWED

    async def connection(self, *, opened: bool = True) -> MemoryConnection:
        """Another one, closed with the house."""
        made = MemoryConnection.to(self._hub)
        if opened:
            await self._stack.enter_async_context(made)
        else:
            self._stack.push_async_callback(made.close)
        return made

    async def left(self) -> tuple[Any, Any]:
        """What is registered and subscribed, by anybody."""
        async with MemoryConnection.to(self._hub) as asking:
            return (
                await asking.session.call("wamp.registration.list"),
                await asking.session.call("wamp.subscription.list"),
            )

    @property
    def hub(self) -> Hub:
        return self._hub

    async def __aenter__(self) -> House:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()


def is_empty(tree: Tree) -> bool:
    """Whether nothing is bound in *tree*, and nothing listens."""
    return not any(tree.size.values())
