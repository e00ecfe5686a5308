"""What developers are told of the services, and who is told: not strangers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from limen import exc
from limen.service.guard import has_role

if TYPE_CHECKING:
    from limen.base.principal import Principal
    from limen.door.hub.seat import Seat
    from limen.service.registry import Registry
    from limen.service.rulebook import Rulebook
    from limen.service.service import Service


def services(
    registry: Registry, principal: Principal | None = None, rulebook: Rulebook | None = None
) -> dict[str, Any]:
    """What the page `/limen/` shows: all services, or those that *principal* may call, as far as roles say, and the
    permissions of *rulebook*."""
    from limen.service.describe import describe
    from limen.service.describe.listing import listing

    def may(service: Service) -> bool:
        if principal is None:
            return True
        return has_role(principal.roles, service.roles) and (
            rulebook is None or rulebook.allows(principal, service.uri)
        )

    told = listing(describe(registry, may))
    if principal is not None:
        told["topics"] = [uri for uri, topic in sorted(registry.topics.items()) if topic.may_subscribe(principal)]
    return told


async def services_for(seat: Seat) -> dict[str, Any]:
    """The services that the session's user may call: `limen.services()`.

    In development every user is told. Elsewhere raises `NotFound` where `DESCRIBE_ROLES` names no role, `Forbidden` for
    a user with none of those it names.
    """
    hub, principal = seat.hub, seat.principal
    if seat.tab is None:
        raise exc.UnknownSession
    roles = hub.config.domain(seat.domain).DESCRIBE_ROLES
    if not hub.config.IS_DEVELOPMENT:
        if not roles:
            raise exc.NotFound
        if {*roles}.isdisjoint(principal.roles):
            raise exc.Forbidden("Your role does not allow this.")
    told: dict[str, Any] = await hub.gate.on_thread(services, hub.registry, principal, hub.pipeline.rulebook)
    return told
