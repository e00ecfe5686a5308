"""As whom a slot's session goes on: its user, or the one as whom they act. Read afresh at each resume, and by each
request of the HTTP lane."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .ownsessions import may_act, may_be_acted_as

if TYPE_CHECKING:
    from limen.base.config import Config
    from limen.core.guard.accounts import Account, Slot

    from .gate import Gate


def identity(gate: Gate, config: Config, slot: Slot) -> tuple[Account, str | None] | None:
    """The account whose roles and profile hold, and who acts as it (None: its user); None: the session is over. On a
    worker thread: the store is asked."""
    account = gate.accounts.get(slot.domain, slot.user)
    if account is None or account.disabled:
        return None
    if not slot.acting:
        return account, None
    other = gate.accounts.get(slot.domain, slot.acting)
    if other is None or other.disabled or not may_act(account, config) or not may_be_acted_as(other, config):
        return None  # what let them act has ended meanwhile
    return other, slot.user
