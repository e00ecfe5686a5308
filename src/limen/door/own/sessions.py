"""What a sealed session may ask about sessions: its user's, and with a role for it those of others; a further tab let
in; acting as somebody else (docs/security.md, "What Limen answers itself, sealed").

Whoever begins or ends to act as somebody is told to come back at once: a resume reads everything afresh, in the one
place where that is done (`door/ws/login.py`), and nothing of what the session was before is left in it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from limen import exc
from limen.base.names import user_name
from limen.core.guard.ledger import Kind
from limen.door.hub.identity import may_be_acted_as
from limen.door.hub.seat import Own
from limen.service.guard import has_role

if TYPE_CHECKING:
    from limen.base.config import Config
    from limen.door.hub.seat import Seat
    from limen.door.hub.tabs import Tab


# -- list and end ---------------------------------------------------------------------------------------------------
async def session_list(seat: Seat, user: Any = None) -> list[dict[str, Any]]:
    """The open sessions of the caller, or of *user*, the oldest first: `limen.session.list(user = null)`."""
    whose, hub, own = _whose(seat, user), seat.hub, _tab(seat)
    slots = await hub.gate.on_thread(hub.gate.slots.list, own.domain, whose)
    rows = []
    for slot in slots:
        tab = hub.tabs.get(slot.handle)
        used = slot.used if tab is None else max(slot.used, tab.used)
        rows.append({**slot.shown(), "used": used, "this": slot.handle == own.slot})
    for tab in _without_slot(seat, whose):  # of browsers that can keep no key: known to this process only
        about = {"opened": tab.login, "used": tab.used, "login": tab.login, "origin": tab.origin, "acting": ""}
        rows.append({"id": tab.id, "parent": "", "kind": tab.kind, **about, "this": tab is own})
    return rows


async def session_end(seat: Seat, id: Any, user: Any = None) -> None:
    """Ends a session that `limen.session.list` shows: `limen.session.end(id, user = null)`."""
    whose, hub, own = _whose(seat, user), seat.hub, _tab(seat)
    gate = hub.gate
    slots = await gate.on_thread(gate.slots.list, own.domain, whose)
    for slot in slots:
        if slot.id == id:
            gone = await gate.on_thread(gate.slots.remove, slot.domain, slot.handle)
            hub.loop.call_soon(hub.logins.slots_over, gone, "ended")  # after the answer: it may be the caller's own
            return
    for tab in _without_slot(seat, whose):
        if tab.id == id:
            hub.loop.call_soon(hub.logins.end, tab, "wamp.close.logout", {"message": "This session was ended."})
            return
    raise exc.RecordNotFound("There is no such session.")


def _without_slot(seat: Seat, user: str) -> list[Tab]:
    tabs = seat.hub.tabs.of_user(seat.domain, user)
    return [tab for tab in tabs if tab.slot is None and tab.user == user]


def _whose(seat: Seat, user: Any) -> str:
    """The user who is meant. Raises `Forbidden` for another than the caller, who has no role for it."""
    own = seat.principal.user or ""
    if user is None:
        return own
    if not isinstance(user, str):
        raise exc.InvalidCall("user is a name.")
    whose = user_name(user)
    if whose != own:
        _must_have(seat, _config(seat).SESSION_ADMIN_ROLES)
    return whose


# -- a further tab --------------------------------------------------------------------------------------------------
async def child(seat: Seat, public: Any) -> dict[str, Any]:
    """Lets in a further tab, which has made its own key: `limen.session.child(public: bytes 32)`. It ends with the
    login that lets it in, and comes back only from the address that this one is at."""
    tab, gate, config = _tab(seat), seat.hub.gate, _config(seat)
    if not isinstance(public, bytes) or len(public) != 32:
        raise exc.InvalidCall("limen.session.child takes the 32 bytes of an X25519 public key.")
    if not config.CHILD_SESSIONS or tab.slot is None or tab.acting:
        raise exc.Forbidden("This session lets in no further tab.")
    slot = gate.new_slot(
        tab.domain,
        tab.user,
        origin=seat.origin,
        public=public,
        login=tab.login,
        kind="child",
        parent=tab.parent or tab.slot,  # never a child's child: all hang on the login itself
        key=tab.key,
    )
    await gate.open_slot(slot, config.MAX_USER_SESSIONS)
    seat.hub.logins.begun(seat.principal, slot.id, "child")
    left = max(0.0, tab.login + config.SESSION_MAX_AGE - time.time())
    return {**gate.shown(slot), "id": slot.id, "user": tab.user, "max_age": left}


# -- acting as somebody else ----------------------------------------------------------------------------------------
async def impersonate(seat: Seat, user: Any) -> str:
    """From now on the session acts as *user*: `limen.session.impersonate(user)`. The answer, then GOODBYE
    `limen.close.changed`: it comes back as that user."""
    tab, hub, config = _tab(seat), seat.hub, _config(seat)
    if tab.acting:
        raise exc.InvalidCall(f"This session acts as {tab.acting} already: relinquish first.")
    _must_have(seat, config.IMPERSONATOR_ROLES)
    if tab.slot is None:
        raise exc.Unauthorized("This session has no key to come back with, so it can't become another.")
    if not isinstance(user, str) or user_name(user) == tab.user:
        raise exc.InvalidCall("Name the user to act as: another than yourself.")
    name = user_name(user)
    account = await hub.gate.on_thread(hub.gate.accounts.get, tab.domain, name)
    if account is None or account.disabled:
        raise exc.RecordNotFound(f"There is no user {name!r} who could log in.")
    if not may_be_acted_as(account, config):
        raise exc.Forbidden("Nobody acts as a user who may act as others.")
    hub.gate.note("acts as", domain=tab.domain, user=name, by=tab.user, origin=seat.origin)
    await _act(seat, tab, name)
    return name


async def relinquish(seat: Seat) -> str:
    """The session is its user's own again: `limen.session.relinquish()`; as `impersonate`."""
    tab = _tab(seat)
    if not tab.acting or tab.slot is None:
        raise exc.InvalidCall("This session acts as nobody else.")
    await _act(seat, tab, "")
    return tab.user


async def _act(seat: Seat, tab: Tab, name: str) -> None:
    hub = seat.hub
    if not await hub.gate.on_thread(hub.gate.slots.act, tab.domain, tab.slot, name):
        raise exc.UnknownSession
    hub.loop.call_soon(hub.logins.refresh, tab)


# -- all of them ----------------------------------------------------------------------------------------------------
def _tab(seat: Seat) -> Tab:
    if seat.tab is None:
        raise exc.UnknownSession
    return seat.tab


def _config(seat: Seat) -> Config:
    return seat.hub.config.domain(seat.domain)


def _must_have(seat: Seat, roles: Iterable[str]) -> None:
    """Raises `Forbidden`, and counts it, unless the caller has one of *roles*; without any nobody has."""
    asked = (roles,) if isinstance(roles, str) else tuple(roles)
    if not asked or not has_role(seat.principal.roles, asked):
        seat.hub.gate.charge(seat.domain, seat.origin, Kind.DENIED)
        raise exc.Forbidden("Your role does not allow this.")


SESSIONS = {
    "limen.session.list": Own(session_list),
    "limen.session.end": Own(session_end),
    "limen.session.child": Own(child),
    "limen.session.impersonate": Own(impersonate),
    "limen.session.relinquish": Own(relinquish),
}
