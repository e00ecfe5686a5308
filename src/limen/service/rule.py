"""Rules of a realm: which sessions may register, call, publish and subscribe where no service and no topic of this
program stands. Without a rule nobody may."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from limen import exc
from limen.base.principal import Principal, State
from limen.base.uris import head_of, is_reserved

from .guard import permit

ACTIONS = ("register", "call", "publish", "subscribe", "force_reregister")
"""What rules are about. "force_reregister", beside "register": to take the place of whoever has registered there."""


class Rule:
    """Allows *actions* (some of ACTIONS) at *uri*.

    *match*: "exact", or "prefix" for whatever begins with *uri* (`sensor.` allows `sensor.1.read`, and not `sensors`).
    What is the router's own (`wamp.session.kill`) only a rule allows that itself begins so: `wamp.session.`, not "".
    Sessions may subscribe or register a pattern where one rule allows all that it stands for.
    *domain*: only there; None: in every domain. *safe*: only sealed sessions. *roles*, *check_perm*: as for services;
    with safe=False and *roles* also users who came in by a signature (cryptosign).

    >>> rule = Rule(["publish"], "sensor.", match="prefix", safe=False)
    >>> anybody = Principal("localhost")
    >>> rule.allows(anybody, "publish", "sensor.1"), rule.allows(anybody, "register", "sensor.1")
    (True, False)
    >>> Rule(["publish"], "sensor.1").allows(anybody, "publish", "sensor.1")
    False
    """

    __slots__ = ("actions", "check_perm", "domain", "match", "roles", "safe", "uri")

    def __init__(
        self,
        actions: Iterable[str],
        uri: str,
        *,
        match: str = "exact",
        domain: str | None = None,
        safe: bool = True,
        roles: Iterable[str] = (),
        check_perm: Callable[[State], object] | None = None,
    ) -> None:
        self.actions = frozenset([actions] if isinstance(actions, str) else actions)
        unknown = self.actions.difference(ACTIONS)
        if unknown or not self.actions:
            what = ", ".join(sorted(unknown)) or "nothing"
            raise ValueError(f"a rule is about {', '.join(ACTIONS)}; not about {what}")
        if match not in ("exact", "prefix"):
            raise ValueError(f"match is 'exact' or 'prefix', not {match!r}")
        self.uri, self.match, self.domain, self.safe = uri, match, domain, safe
        self.roles, self.check_perm = tuple(roles), check_perm

    def allows(self, principal: Principal, action: str, uri: str, match: str = "exact") -> bool:
        """Whether *principal* may do *action* at *uri* by this rule, or at all that *uri* stands for as a pattern."""
        if action not in self.actions or (self.domain is not None and self.domain != principal.domain):
            return False
        if match != "exact":
            if self.match == "exact" or not head_of(uri, match).startswith(self.uri):
                return False
        elif not (uri == self.uri if self.match == "exact" else uri.startswith(self.uri)):
            return False
        if is_reserved(uri) and not is_reserved(self.uri):
            return False
        if self.safe and not (principal.sealed and principal.user is not None):
            return False
        try:
            permit(State(principal, uri), self.roles, self.check_perm)
        except exc.Error:
            return False
        return True
