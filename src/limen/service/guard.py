"""Who may: one rule for services and topics."""

from __future__ import annotations

from collections.abc import Callable

from limen import exc
from limen.base.principal import State


def permit(state: State, roles: tuple[str, ...], check_perm: Callable[[State], object] | None) -> None:
    """Raises Forbidden unless the caller has one of the *roles* (if there are any) and *check_perm* (if there is one)
    says so. What *check_perm* raises itself is raised.

    >>> from limen.base.principal import Principal
    >>> permit(State(Principal("localhost", user="ada", roles=("user",))), ("admin", "user"), lambda state: state.user)
    >>> permit(State(Principal("localhost", user="eve", roles=("user",))), ("admin",), None)
    Traceback (most recent call last):
    limen.exc.Forbidden: Your role does not allow this.
    """
    if roles and not any(role in roles for role in state.roles):
        raise exc.Forbidden("Your role does not allow this.")
    if check_perm is not None and not check_perm(state):
        raise exc.Forbidden("You may not do this.")
