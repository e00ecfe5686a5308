"""What is registered: by whom, how it matches, and which of its callees a call goes to.

A registration is a URI together with the way it matches; the same URI as "exact" and as "prefix" are two. All of its
callees share its id (section "Shared Registration").

    >>> from limen.core.wamp.session import Session
    >>> registrations = Registrations()
    >>> shared = registrations.new("todo", "prefix", "roundrobin", created=0.0)
    >>> shared.endpoints += [Endpoint(Session(1)), Endpoint(Session(2))]
    >>> [shared.pick(False, lambda n: 0, 9).session.id for _ in range(3)]
    [1, 2, 1]
    >>> registrations.best("todo.add") is shared, registrations.best("wamp.todo")
    (True, None)
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any, Final

from limen.core.wamp.patterns import Patterns
from limen.core.wamp.session import Session
from limen.core.wamp.times import iso
from limen.core.wamp.uris import EXACT, is_reserved, is_uri

SINGLE: Final = "single"
FIRST: Final = "first"
LAST: Final = "last"
ROUNDROBIN: Final = "roundrobin"
RANDOM: Final = "random"
INVOKES: Final = frozenset({SINGLE, FIRST, LAST, ROUNDROBIN, RANDOM})
"""Which callee a call goes to: REGISTER.Options.invoke."""


class Endpoint:
    """A callee of a registration, and what it asked for when it registered.

    *forward_timeout*: it keeps the time of calls itself. *disclose*: it wants to know who calls. *concurrency*: how
    many calls it answers at a time, 0: as many as come; *running*: how many it does, counted only where there is a
    bound. *callee*: the id of its session. *hosted*: that is at another process; the session here stands for it.
    *number*: by which several processes know it, and its place among others; 0 where there is but one.
    """

    __slots__ = ("callee", "concurrency", "disclose", "forward_timeout", "hosted", "number", "running", "session")

    def __init__(
        self,
        session: Session,
        *,
        forward_timeout: bool = False,
        disclose: bool = False,
        concurrency: int = 0,
        number: int = 0,
        callee: int = 0,
    ) -> None:
        self.session = session
        self.callee = callee or session.id
        self.number = number
        self.hosted = callee > 0
        self.forward_timeout = forward_timeout
        self.disclose = disclose
        self.concurrency = concurrency
        self.running = 0

    def why_full(self, most: int) -> str:
        """Why it can take no further call, "" if it can. *most*: calls that a callee may have to answer."""
        session = self.session
        if session.busy:
            return "The callee does not read what it is sent as fast as it comes: call again later."
        if len(session.invocations) >= most:
            return f"The callee has {most} calls to answer already: call again later."
        if self.concurrency and self.running >= self.concurrency:
            return f"The callee answers {self.concurrency} calls at a time, and does so already: call again later."
        return ""


class Registration:
    """*endpoints*: its callees in the order in which they came, at least one. *pattern*: it is not exact, so that a
    callee must be told what was called. *created*: seconds since 1970."""

    __slots__ = ("_next", "created", "endpoints", "id", "invoke", "match", "pattern", "uri")

    def __init__(self, id: int, uri: str, match: str, invoke: str, created: float) -> None:
        self.id = id
        self.uri = uri
        self.match = match
        self.pattern = match != EXACT
        self.invoke = invoke
        self.created = created
        self.endpoints: list[Endpoint] = []
        self._next = 0

    def pick(self, sealed: bool, chance: Callable[[int], int], most: int) -> Endpoint | None:
        """The callee that a call goes to. None: there is none that a *sealed* caller may have, for what it says is not
        handed on in clear.

        Where calls are spread over all callees, those that are full are passed over; if all are, one of them is given.
        """
        fit = self.endpoints
        if sealed:
            fit = [endpoint for endpoint in fit if endpoint.session.sealed]
            if not fit:
                return None
        if self.invoke == LAST:
            return fit[-1]
        if len(fit) == 1 or self.invoke in (FIRST, SINGLE):
            return fit[0]
        if self.invoke == RANDOM:
            chosen = fit[chance(len(fit))]
            if chosen.why_full(most):
                free = [endpoint for endpoint in fit if not endpoint.why_full(most)]
                return free[chance(len(free))] if free else chosen
            return chosen
        return self._in_turn(sealed, most) or fit[0]

    def _in_turn(self, sealed: bool, most: int) -> Endpoint | None:
        count = len(self.endpoints)
        for i in range(self._next, self._next + count):
            endpoint = self.endpoints[i % count]
            if (endpoint.session.sealed or not sealed) and not endpoint.why_full(most):
                self._next = (i + 1) % count
                return endpoint
        return None

    def add(self, endpoint: Endpoint) -> None:
        """One more callee, at the place that its number gives it: in all processes the same."""
        at = len(self.endpoints)
        while at and self.endpoints[at - 1].number > endpoint.number:
            at -= 1
        self.endpoints.insert(at, endpoint)

    def numbered(self, number: int) -> Endpoint | None:
        """The callee that several processes know by that number."""
        return next((endpoint for endpoint in self.endpoints if endpoint.number == number), None)

    def remove(self, session: Session) -> Endpoint:
        """*session* answers it no longer. Raises StopIteration where it did not."""
        at = next(i for i, endpoint in enumerate(self.endpoints) if endpoint.session is session)
        if at < self._next:
            self._next -= 1
        return self.endpoints.pop(at)

    @property
    def hosted(self) -> bool:
        """All of its callees are at other processes."""
        return all(endpoint.hosted for endpoint in self.endpoints)

    def details(self) -> dict[str, Any]:
        """RegistrationDetails (section "Registration Meta API")."""
        created = iso(self.created)
        return {"id": self.id, "created": created, "uri": self.uri, "match": self.match, "invoke": self.invoke}


class Registrations:
    """All of one realm. *exact*: what most calls need alone. *id_of*: gives the ids; None: they are counted."""

    __slots__ = ("_id_of", "_last", "_patterns", "by_id", "exact")

    def __init__(self, id_of: Callable[[str, str, Container[int]], int] | None = None) -> None:
        self._id_of = id_of
        self._patterns: Patterns[Registration] = Patterns()
        self.exact = self._patterns.exact
        self.by_id: dict[int, Registration] = {}
        self._last = 0

    def get(self, match: str, uri: str) -> Registration | None:
        return self._patterns.get(match, uri)

    def ids(self, match: str) -> list[int]:
        return [registration.id for registration in self._patterns.values(match)]

    def best(self, uri: str) -> Registration | None:
        """What a call of *uri* goes to: exact before the longest prefix before wildcards. What is reserved, or is no
        URI, no pattern gets."""
        if (exact := self.exact.get(uri)) is not None:
            return exact
        if len(self.by_id) == len(self.exact) or is_reserved(uri) or not is_uri(uri):
            return None
        return self._patterns.best(uri)

    def new(self, uri: str, match: str, invoke: str, created: float) -> Registration:
        if self._id_of is None:
            self._last = id = self._last + 1
        else:
            id = self._id_of(match, uri, self.by_id)
        registration = self.by_id[id] = Registration(id, uri, match, invoke, created)
        self._patterns.put(match, uri, registration)
        return registration

    def delete(self, registration: Registration) -> None:
        del self.by_id[registration.id]
        self._patterns.drop(registration.match, registration.uri)
