"""Another configuration for a router that runs. Sessions stay; who must go is told why, and goes.

    a realm has gone                                       all its sessions
    a user has gone, or is another (roles, secrets)        that user's
    a role has gone; nobody comes in anonymously now       who has it, or came in so
    the rules no longer allow what a session has
    subscribed or registered                               that session; it may come back at once

What can fail is done first: then nothing has changed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from limen.base.principal import ANONYMOUS
from limen.door.hub.hub import does
from limen.door.hub.seat import CHANGED
from limen.door.router.policy import Policy

from .listeners import Standing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from limen.core.wamp.realm import Realm
    from limen.core.wamp.session import Session
    from limen.door.router.config import Listener, RealmSettings, Settings

    from .router import Router

LOGOUT = "wamp.close.logout"


async def renew(router: Router, settings: Settings) -> list[str]:
    """See `Router.take`."""
    before = router.settings
    users = await asyncio.to_thread(router.entrance.prepare, settings)  # it may have passwords to derive
    opening, changes, ending = _listeners(router, settings)
    router.adopt(settings)
    for realm in settings.realms:
        if realm.name in router.policies:
            router.policies[realm.name].take(settings)
        else:
            router.policies[realm.name] = Policy(router.hub, router.call, settings, realm.name)
    users()
    closing = [was.name for was in before.realms if settings.realm(was.name) is None]
    for was in before.realms:  # at once: nobody goes on by rules that are past
        now, there = settings.realm(was.name), router.hub.known_realm(was.name)
        if now is not None and there is not None:
            guarded = before.authorities(was.name) != settings.authorities(was.name)
            _review(router, there, was, now, guarded=guarded)
    for name in closing:
        await _close(router, name)
    for listener in ending:
        router.listening.remove(listener)
        router.leaving.append(listener)
        listener.stop()
    for change in changes:
        await change()
    for listener in opening:
        await listener.open()
    router.listening += opening
    return list(_later(before, settings))


def _listeners(
    router: Router, settings: Settings
) -> tuple[list[Standing], list[Callable[[], Awaitable[None]]], list[Standing]]:
    """What opens, what changes those that stay, and what ends. Raises `exc.InvalidAddress`."""
    standing = {_address(one.settings): one for one in router.listening}
    opening: list[Standing] = []
    changes = []
    try:
        for one in settings.listeners:
            there = standing.pop(_address(one), None)
            if there is None:
                opening.append(Standing(router, one))
            else:
                changes.append(there.prepare(one))
    except BaseException:
        for listener in opening:
            listener.stop()
        raise
    return opening, changes, [*standing.values()]


def _address(listener: Listener) -> tuple[str, int | None]:
    return (listener.unix or listener.host), listener.port


async def _close(router: Router, name: str) -> None:
    """The realm *name* is no more."""
    await router.policies.pop(name).close()
    realm = router.hub.drop(name)
    for session in tuple(realm.sessions.values()) if realm is not None else ():
        session.peer.goodbye(LOGOUT, {"message": "This realm is no more."})


def _review(router: Router, realm: Realm, was: RealmSettings, now: RealmSettings, *, guarded: bool) -> None:
    """Ends the sessions that may not be here any more, or not as they are. *guarded*: other procedures decide."""
    policy = router.policies[realm.name]
    ruled = was.roles != now.roles or guarded
    for session in tuple(realm.sessions.values()):
        if session.principal is None:
            continue  # the router's own
        if gone := _gone(session, was, now):
            session.peer.goodbye(LOGOUT, {"message": gone})
        elif ruled:
            policy.review(session, does(session), lambda session: session.peer.goodbye(CHANGED, {}))


def _gone(session: Session, was: RealmSettings, now: RealmSettings) -> str:
    """Why *session* can't be here any more, "" if it can."""
    provider = session.details.get("authprovider")
    if session.details.get("authmethod") == ANONYMOUS:
        return "" if now.anonymous in session.authroles else "Nobody comes in without a name any more."
    if provider == "static" and was.user(session.authid) != now.user(session.authid):
        return "This user is no more, or is another now."
    if provider == "dynamic" and not session.authroles <= {role.name for role in now.roles}:
        return "This role is no more."
    return ""


def _later(before: Settings, settings: Settings) -> Iterator[str]:
    """What takes a restart."""
    for was in before.realms:
        now = settings.realm(was.name)
        if now is not None and (was.limits != now.limits or was.history != now.history):
            yield f"limits and history of the realm {was.name}, which stay as they were"
    for name in ("metrics", "traces", "control", "store", "secret"):
        if getattr(before, name) != getattr(settings, name):
            yield f"{name}, which stays as it was"
