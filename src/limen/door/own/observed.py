"""What devtools are told: the tree with what each address costs, sessions, and the picture of the whole; by role."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from limen import exc
from limen.door.hub.watching import whole, whole_tree

if TYPE_CHECKING:
    from limen.door.hub.seat import Seat


async def observe_tree(seat: Seat) -> dict[str, Any]:
    """`limen.observe.tree()`: of the caller's domain (`door/hub/tree.py`). Times of addresses are taken from the first
    time that somebody asks, until nobody has for ten seconds.

    Raises `NotFound` where `OBSERVE_ROLES` names no role, `Forbidden` for a user with none of those it names.
    """
    _let_in(seat)
    return await whole_tree(seat.hub, seat.domain)


async def observe_picture(seat: Seat) -> dict[str, Any]:
    """`limen.observe.picture()`: of the whole server (`door/hub/counts.py`), for users of its own domain. Raises as
    `observe_tree`."""
    _let_in(seat)
    if seat.domain != seat.hub.config.DOMAIN:
        raise exc.Forbidden("What the server does for all domains is for users of its own.")
    return await whole(seat.hub)


def _let_in(seat: Seat) -> None:
    if seat.tab is None:
        raise exc.UnknownSession
    if seat.hub.config.IS_DEVELOPMENT:
        return
    roles = seat.hub.config.domain(seat.domain).OBSERVE_ROLES
    if not roles:
        raise exc.NotFound
    if {*roles}.isdisjoint(seat.principal.roles):
        raise exc.Forbidden("Your role does not allow this.")


OBSERVED = {"limen.observe.tree": observe_tree, "limen.observe.picture": observe_picture}
