"""The end of all that a user has open, in all processes of a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .hub import Hub
    from .tabs import Tab


def end_user(
    hub: Hub,
    domain: str,
    user: str,
    *,
    keep: bytes | None = None,
    but: Tab | None = None,
    key: bytes | None = None,
    words: str,
    why: str,
) -> None:
    """Ends all sessions of a user but that of the slot *keep* and the tab *but*; with *key* those that came in with
    that machine key only. *words*, *why*: as the sessions and the program are told. The store knows of it already. On
    the loop."""
    end_here(hub, domain, user, keep, key, words, why, but)
    if hub.across is not None:
        hub.across.user_over(domain, user, keep, key, words, why)


def end_here(
    hub: Hub,
    domain: str,
    user: str,
    keep: bytes | None,
    key: bytes | None,
    words: str,
    why: str,
    but: Tab | None = None,
) -> None:
    """`end_user`, in this process."""
    hub.gate.endings += 1
    for tab in hub.tabs.of_user(domain, user):
        if tab is not but and (keep is None or tab.slot != keep) and key in (None, tab.key):
            hub.logins.end(tab, "wamp.close.logout", {"message": words}, why)
    if why != "password":
        hub.logins.end_signed(domain, user, key)
