"""A topic: what sessions may listen to, and only this program publishes to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from limen import exc
from limen.base.principal import Principal, State, get_state
from limen.service.guard import permit, wants_user
from limen.service.service import address

Send = Callable[[str, str, list[Any], dict[str, Any]], None]
"""(domain, uri, args, kwargs): to all who subscribed."""


class Topic:
    """Declared by `App.topic`; nobody can subscribe to a topic that is not.

    *safe*: only sealed sessions may subscribe. *roles*: only users with one of these. *check_perm*: a plain function of
    the `State` that says whether.

    >>> sent = []
    >>> changed = Topic("todo.changed", send=lambda *event: sent.append(event))
    >>> changed.publish(id=7)
    >>> sent
    [('localhost', 'todo.changed', [], {'id': 7})]
    >>> changed.may_subscribe(Principal("localhost"))
    False
    """

    __slots__ = ("_send", "check_perm", "roles", "safe", "uri")

    def __init__(
        self,
        uri: str,
        *,
        safe: bool = True,
        roles: tuple[str, ...] = (),
        check_perm: Callable[[State], object] | None = None,
        send: Send | None = None,
    ) -> None:
        self.uri = address(uri).replace("/", ".")
        self.safe, self.roles, self.check_perm = safe, tuple(roles), check_perm
        self._send = send

    def publish(self, /, *args: Any, **kwargs: Any) -> None:
        """Tells all subscribers of the running call's domain. From any thread; does not wait."""
        self.publish_to(get_state().domain, *args, **kwargs)

    def publish_to(self, domain: str, /, *args: Any, **kwargs: Any) -> None:
        """Tells all subscribers in *domain*."""
        if self._send is not None:
            self._send(domain, self.uri, list(args), kwargs)

    def may_subscribe(self, principal: Principal) -> bool:
        """Whether *principal* may listen."""
        if wants_user(self) and not (principal.sealed and principal.user is not None):
            return False
        try:
            permit(State(principal, self.uri), self.roles, self.check_perm)
        except exc.Unauthorized:
            return False
        return True

    def __repr__(self) -> str:
        return f"Topic({self.uri!r})"
