"""Wiring: what the router was told of a root and all below it, and how that is taken back.

    REGISTER  "test.first."  prefix      once a node of it offers a call: for all of them, those added later, too
    SUBSCRIBE "test.first."  prefix      once a node of it has a signal that travels

A router that matches no patterns (WAMP advanced profile, pattern-based registration and subscription) is told each call
and each signal, all under way at once. Of a node that offers nothing nothing is said: its session need not have the
right to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from limen import exc
from limen.client.standing import TAKEN, Kind

from .declared import declared, travels

if TYPE_CHECKING:
    from limen.client.callee import Endpoint

    from .node import Node
    from .port import Session, Undo

Asked: TypeAlias = "asyncio.Task[Undo | None]"
"""Something that the router is asked to keep; what undoes it, where that is needed."""

SELF: Final = "."
"""The name of a call that is its node itself."""


class Wiring:
    """Of *root*. *invoked* gets the calls of any node of it, *said* what others say in their names."""

    __slots__ = ("_by_prefix", "_invoked", "_root", "_said", "_session")

    def __init__(self, root: Node, session: Session, invoked: Endpoint, said: Callable[..., None]) -> None:
        self._root, self._session, self._invoked, self._said = root, session, invoked, said
        self._by_prefix: dict[Kind, Asked] = {}
        """What is asked for all of it."""

    def tell(self, nodes: Iterable[Node]) -> list[tuple[Node, Asked]]:
        """Tells the router what it does not know yet of *nodes*; gives what each of them asked."""
        told: list[tuple[Node, Asked]] = []
        calls_at_once = matches(self._session, "dealer", "pattern_based_registration")
        signals_at_once = matches(self._session, "broker", "pattern_based_subscription")
        for node in nodes:
            calls, signals = node._offers(), _signals(node)
            if calls and calls_at_once:
                told.append((node, self._at_once("registration")))
                calls = (SELF,) if node is self._root and SELF in calls else ()
            if signals and signals_at_once:
                told.append((node, self._at_once("subscription")))
                signals = ()
            told += [(node, ask(node, self._register(uri))) for uri in _uris(node, calls)]
            told += [(node, ask(node, self._subscribe(uri))) for uri in _uris(node, signals)]
        return told

    def offer(self, node: Node, name: str) -> Asked:
        """Tells it that *node*, which stands, offers the call *name*, too."""
        if matches(self._session, "dealer", "pattern_based_registration"):
            return self._at_once("registration")
        return ask(node, self._register(f"{node._path}.{name}"))

    def revoked(self, kind: Kind) -> None:
        """The router keeps it for all of them no more: it is asked for again with the next node that needs it."""
        self._by_prefix.pop(kind, None)

    def _at_once(self, kind: Kind) -> Asked:
        asked = self._by_prefix.get(kind)
        if asked is None or (asked.done() and failed(asked)):
            work = self._register if kind == "registration" else self._subscribe
            asked = self._by_prefix[kind] = ask(self._root, work(f"{self._root._path}.", "prefix"))
        return asked

    async def _register(self, uri: str, match: str = "exact") -> Undo:
        try:
            return await self._session.register(uri, self._invoked, match=match)
        except exc.Unauthorized as error:
            raise refused(error, "register", uri, match) from None
        except exc.RemoteError as error:
            if error.remote_uri != TAKEN:
                raise
            raise exc.RemoteError(
                f"Somebody else stands at {uri.rstrip('.')!r} already: {error}", uri=TAKEN, **error.facts
            ) from None

    async def _subscribe(self, uri: str, match: str = "exact") -> Undo:
        try:
            return await self._session.subscribe(uri, self._said, match=match, topic=True)
        except exc.Unauthorized as error:
            raise refused(error, "subscribe", uri, match) from None


def _uris(node: Node, names: Iterable[str]) -> Iterator[str]:
    """The addresses of what *node* calls *names*."""
    for name in names:
        yield str(node._path) if name == SELF else f"{node._path}.{name}"


def _signals(node: Node) -> Sequence[str]:
    """The signals of *node* that travel."""
    return tuple(name for name in declared(type(node)).signals if travels(name))


# -- asking, and taking back ------------------------------------------------------------------------------------
def ask(node: Node, work: Awaitable[Undo | None]) -> Asked:
    """*work* under way, which *node* takes back when it leaves."""
    asked: Asked = asyncio.ensure_future(work)
    object.__setattr__(node, "_wired", (*node._wired, asked))
    return asked


def failed(asked: Asked) -> bool:
    """Whether the router has not taken it."""
    return asked.cancelled() or asked.exception() is not None


def taken_back(asked: Iterable[Asked]) -> Iterator[Awaitable[object]]:
    """Undoes what was asked of the router; gives what is done when it knows. What it has not answered yet is undone
    when it does."""
    for one in asked:
        if not one.done():
            one.cancel()
        elif not failed(one):
            undo = one.result()
            if undo is not None:
                yield undo()


def refused(error: exc.Unauthorized, action: str, uri: str, match: str) -> exc.Unauthorized:
    """*error*, with what was refused and what lets it."""
    matching = "" if match == "exact" else f", match={match!r}"
    return type(error)(
        f"The router does not let this session {action} {uri!r}: {error} A Limen server lets it by a rule: "
        f"limen.realm_rule({action!r}, {uri!r}{matching}, roles=[…]).",
        **error.facts,
    )


def matches(session: Session, role: str, feature: str) -> bool:
    """Whether the router of *session* announces *feature* in *role*."""
    said = session.features.get(role)
    features = said.get("features") if isinstance(said, dict) else None
    return isinstance(features, dict) and features.get(feature) is True
