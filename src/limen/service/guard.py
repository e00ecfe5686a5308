"""Who may: one rule for services and topics. `limen explain` walks through these same functions (app/explain.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from limen import exc
from limen.base.principal import State

if TYPE_CHECKING:
    from limen.service.service import Service
    from limen.service.topic import Topic


def wants_tls(service: Service, *, development: bool) -> bool:
    """Whether a caller from afar must come over TLS."""
    return service.ssl is not False and (bool(service.ssl) or not development)


def wants_user(there: Service | Topic) -> bool:
    """Whether only a user in a sealed session may."""
    return there.safe


def has_role(roles: tuple[str, ...], asked: tuple[str, ...]) -> bool:
    """One of *roles* is among those *asked* for, if any are."""
    return not asked or any(role in asked for role in roles)


def permit(state: State, roles: tuple[str, ...], check_perm: Callable[[State], object] | None) -> None:
    """Raises Unauthorized where *roles* are asked for and there is no user; Forbidden unless the caller has one of them
    (if there are any) and *check_perm* (if there is one) says so. What *check_perm* raises itself is raised.

    >>> from limen.base.principal import Principal
    >>> permit(State(Principal("localhost", user="ada", roles=("user",))), ("admin", "user"), lambda state: state.user)
    >>> permit(State(Principal("localhost", user="eve", roles=("user",))), ("admin",), None)
    Traceback (most recent call last):
    limen.exc.Forbidden: Your role does not allow this.
    >>> permit(State(Principal("localhost")), ("anonymous",), None)
    Traceback (most recent call last):
    limen.exc.Unauthorized: Log in first.
    """
    if roles and state.user is None:
        raise exc.Unauthorized("Log in first.")
    if not has_role(state.roles, roles):
        raise exc.Forbidden("Your role does not allow this.")
    if check_perm is not None and not check_perm(state):
        raise exc.Forbidden("You may not do this.")
