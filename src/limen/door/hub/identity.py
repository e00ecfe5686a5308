"""Who stands behind a slot, or behind a machine's key.

A slot's session goes on as its user, or as the one as whom they act: read afresh at each resume, and by each request of
the HTTP lane.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from limen.service.guard import has_role

if TYPE_CHECKING:
    from limen.base.config import Config
    from limen.core.guard.accounts import Account, MachineKey, Slot

    from .gate import Gate
    from .hub import Hub


def living(hub: Hub, domain: str, handle: bytes) -> tuple[Slot, Account, str | None] | None:
    """The slot, the account whose roles and profile hold, and who acts as it, where a session may go on under it now;
    None: it may not, or there is none. On a worker thread: the store is asked."""
    gate, config = hub.gate, hub.config.domain(domain)
    slot = gate.slots.get(domain, handle)
    if slot is None or handle in gate.ended or slot.epoch != gate.epoch or slot.key_number not in gate.keys:
        return None
    now, tab = time.time(), hub.tabs.get(handle)
    used = slot.used if tab is None else max(slot.used, tab.used)  # the store hears of it a little later
    if now - used > config.SESSION_TIMEOUT or now - slot.login > config.SESSION_MAX_AGE:
        return None
    if slot.key and gate.machines.get(domain, slot.key) is None:
        return None
    found = identity(gate, config, slot)
    return None if found is None else (slot, *found)


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


def may_act(account: Account, config: Config) -> bool:
    """Whether the roles of this account let it act as others."""
    return bool(config.IMPERSONATOR_ROLES) and has_role(account.roles, tuple(config.IMPERSONATOR_ROLES))


def may_be_acted_as(account: Account, config: Config) -> bool:
    """Whether others may act as this one."""
    return config.IMPERSONATE_IMPERSONATORS or not may_act(account, config)


def machine(gate: Gate, domain: str, id: bytes, kind: str = "x25519") -> tuple[MachineKey, Account] | None:
    """The key and its account, if one may come in with it now. On a worker thread: the store is asked."""
    found = gate.machines.get(domain, id)
    account = gate.accounts.get(domain, found.user if found is not None else "")  # asked of unknown keys, too
    if found is None or account is None or account.disabled:
        return None
    return (found, account) if found.kind == kind and found.key_number in gate.keys else None
