"""What Limen answers itself in a sealed session (docs/security.md, "What Limen answers itself, sealed")."""

from __future__ import annotations

import time
from contextvars import copy_context
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from limen import exc
from limen.base.principal import State, current
from limen.core.guard.accounts import Slot
from limen.core.guard.ledger import account_key
from limen.core.seal.login import is_record, registration_response
from limen.door.hub.ends import end_user
from limen.door.hub.seat import Own

from .files import PROCEDURES
from .observed import OBSERVED
from .services import services_for
from .sessions import SESSIONS

if TYPE_CHECKING:
    from limen.door.hub.gate import Gate
    from limen.door.hub.seat import Seat
    from limen.door.hub.tabs import Tab


async def slot_open(seat: Seat, public: Any) -> dict[str, Any]:
    """Registers the resume key of this tab: `limen.slot.open(public: bytes 32)`."""
    tab, gate = seat.tab, seat.hub.gate
    if tab is None:
        raise exc.UnknownSession
    if not isinstance(public, bytes) or len(public) != 32:
        raise exc.InvalidCall("limen.slot.open takes the 32 bytes of an X25519 public key.")
    if tab.slot is not None:
        slot = await gate.on_thread(_give_key, gate, tab.domain, tab.slot, public)
        return gate.shown(slot)
    if not tab.handle:  # two at once: the tab would know of one only, and the other outlive its logout
        raise exc.InvalidCall("A session opens one slot at a time, and after a failure none: log in again.")
    handle, tab.handle = tab.handle, b""
    slot = gate.new_slot(
        tab.domain, tab.user, origin=seat.origin, public=public, login=tab.login, handle=handle, key=tab.key
    )
    try:
        at_most = seat.hub.config.domain(tab.domain).MAX_USER_SESSIONS
        await gate.open_slot(slot, at_most, force=tab.force)
        if tab.over:
            raise exc.UnknownSession
    except exc.MaxActiveSessions:
        tab.handle = handle
        raise
    except BaseException:  # nobody would know of this slot
        gate.ended[slot.handle], gate.reasons[slot.handle] = slot.domain, ""
        raise
    seat.hub.tabs.bind(tab, slot.handle)
    return gate.shown(slot)


def _give_key(gate: Gate, domain: str, handle: bytes, public: bytes) -> Slot:
    """The resume key of a slot that the HTTP lane has opened already. On a thread."""
    slot = gate.slots.get(domain, handle)
    if slot is None:
        raise exc.UnknownSession
    if slot.kind != "lane" or slot.public:
        # Else a script in the page could put its own key in the place of the page's, and come back with it elsewhere.
        raise exc.InvalidCall("This session has its slot; there is one for each login.")
    gate.slots.put(replace(slot, public=public))
    return slot


async def logout(seat: Seat) -> None:
    """Ends the slot and the session: `limen.session.logout()`. The answer, then GOODBYE."""
    tab, hub = seat.tab, seat.hub
    if tab is None:
        raise exc.UnknownSession
    if tab.slot is not None:
        gone = await hub.gate.on_thread(hub.gate.slots.remove, tab.domain, tab.slot)
        hub.loop.call_soon(hub.logins.slots_over, gone, "logout")  # after the answer
    hub.loop.call_soon(hub.logins.end, tab, "wamp.close.logout", None, "logout")


def _just_logged_in(seat: Seat, tab: Tab) -> None:
    """A new password is taken only from who has just given the old one: a thief of the session must not become its
    owner.

    Raises `Unauthorized`.
    """
    fresh = seat.hub.config.domain(tab.domain).PASSWORD_CHANGE_WINDOW
    if not tab.by_password or time.time() - tab.login > fresh:
        raise exc.Unauthorized(
            f"Log in again first: a new password is taken within {fresh / 60:g} minutes of a login with the old one."
        )


async def password_begin(seat: Seat, request: Any) -> bytes:
    """OPAQUE registration for the session's own user: `limen.password.begin(request: bytes 32)` gives the response."""
    tab, gate = seat.tab, seat.hub.gate
    if tab is None:
        raise exc.UnknownSession
    if not isinstance(request, bytes) or len(request) != 32:
        raise exc.InvalidCall("limen.password.begin takes OPAQUE's registration request, 32 bytes.")
    _just_logged_in(seat, tab)
    # What is evaluated here could try a guess on an envelope that a login showed: it counts like a login.
    now, key = time.time(), account_key(gate.account_secret(seat.domain), tab.domain, tab.user)
    wait = gate.ledger.account_wait(seat.domain, key, seat.origin, now)
    if wait > 0:
        raise exc.Abusive(retry_after=round(wait) or 1)
    gate.ledger.account_failed(seat.domain, key, seat.origin, now)
    return registration_response(gate.keys.domain(tab.domain), tab.user, request)


async def password_finish(seat: Seat, record: Any) -> None:
    """Keeps the new record; all other sessions of that user end: `limen.password.finish(record: bytes 192)`."""
    tab, gate = seat.tab, seat.hub.gate
    if tab is None:
        raise exc.UnknownSession
    if not isinstance(record, bytes) or len(record) != 192:
        raise exc.InvalidCall("limen.password.finish takes OPAQUE's registration record, 192 bytes.")
    _just_logged_in(seat, tab)
    if not is_record(record):
        raise exc.InvalidCall("This is not an OPAQUE registration record: nobody could log in with it.")
    account = await gate.on_thread(gate.accounts.get, tab.domain, tab.user)
    if account is None or account.disabled:
        raise exc.UnknownSession
    # The slots end first: should the machine stop in between, no old tab outlives the old password.
    gone = await gate.on_thread(gate.slots.remove_user, tab.domain, tab.user, keep=tab.slot)
    caller = copy_context()
    caller.run(current.set, State(seat.principal, service="limen.password.finish"))  # for the account's history
    fresh = {"reason": "password", "record": record, "key_number": gate.keys.current}
    if await gate.on_thread(caller.run, gate.accounts.update, tab.domain, tab.user, **fresh) is None:
        raise exc.UnknownSession
    tab.record = record
    gate.note("account", did="password", domain=tab.domain, user=tab.user, by=tab.user, origin=seat.origin)
    gate.endings += 1
    key = account_key(gate.account_secret(seat.domain), tab.domain, tab.user)
    gate.ledger.account_succeeded(seat.domain, key, seat.origin, time.time())
    # One that began with the old password after that has no place here, either: it logged in while this was under way.
    gone += await gate.on_thread(gate.slots.remove_user, tab.domain, tab.user, keep=tab.slot)
    seat.hub.logins.slots_over(gone, "password")
    words = "The password was changed."
    end_user(seat.hub, tab.domain, tab.user, keep=tab.slot, but=tab, words=words, why="password")


OWN = {
    "limen.slot.open": Own(slot_open),
    "limen.session.logout": Own(logout),
    "limen.password.begin": Own(password_begin),
    "limen.password.finish": Own(password_finish),
    **SESSIONS,
    "limen.services": Own(services_for),
    **{uri: Own(run) for uri, run in (OBSERVED | PROCEDURES).items()},
}
"""URI to what answers it; nobody else can register them."""
