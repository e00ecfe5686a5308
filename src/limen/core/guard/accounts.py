"""Who may log in and which tabs may come back: the rows, and the ports through which the doors ask for them.

`limen.store` fills them over any store of records (`accounts.py`, `slots.py`, `ledger.py`, `once.py`, `settings.py`
there). Every method is synchronous, may be called from any thread, and is durable when it returns.
`limen.testing.stores` holds the suites.

All names arrive in the form of `limen.base.names`; all times are seconds since 1970 (UTC).
"""

from __future__ import annotations

import builtins
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Account:
    """One user of one domain, as kept.

    *record*: OPAQUE's registration record (192 bytes), worthless without the key file; b"" for a machine, which has no
    password (`MachineKey`). *key_number*: which key of the
    key file it was made under. *profile*: JSON-like values that `get_state().profile` shows.

    >>> Account("localhost", "ada", b"", 1, roles=("admin",)).disabled
    False
    """

    domain: str
    user: str
    record: bytes = field(repr=False)
    key_number: int
    roles: tuple[str, ...] = ()
    profile: Mapping[str, Any] = field(default_factory=dict)
    disabled: bool = False
    created: float = 0.0


@dataclass(frozen=True, slots=True)
class Slot:
    """A tab that may come back without the password (`docs/security.md`, "Slots and resume").

    *handle*: 16 random bytes. *public*: the tab's X25519 key (32 bytes). *opened*, *used*: when the slot was made
    and last used; *login*: when the password was last given. *epoch*: the epoch in which it was made. *origin*: from
    where.
    *key_number*: which key of the key file its domain key is of. *kind*: "tab" (it resumes on a WebSocket), "lane" (its
    calls come over HTTP, one request each), "child" (a further tab, let in by another: *parent*, with whose login it
    ends). *acting*: as whom the user acts at present (impersonation); '' as themselves. *key*: the id of the machine's
    key that it was opened with, and without which it can't come back; b"" where a password was given.
    """

    handle: bytes
    domain: str
    user: str
    public: bytes
    opened: float
    used: float
    login: float
    epoch: int
    origin: str = ""
    key_number: int = 1
    kind: str = "tab"
    parent: bytes = b""
    acting: str = ""
    key: bytes = b""

    @property
    def id(self) -> str:
        """What the session is called where people see it."""
        return session_id(self.handle)

    def shown(self) -> dict[str, Any]:
        """The session, for people to look at: nothing that anybody could come in with."""
        parent = session_id(self.parent) if self.parent else ""
        about = {name: getattr(self, name) for name in ("kind", "opened", "used", "login", "origin", "acting")}
        return {"id": self.id, "parent": parent, **about}


def session_id(handle: bytes) -> str:
    """A name for the session of a slot, which does not tell its handle: 16 hexadecimal digits.

    >>> session_id(bytes(16))
    '3351d68b083d3636'
    """
    return sha256(b"limen session" + handle).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class MachineKey:
    """A key with which a program comes in as *user*, without a password. An account may have several.

    *id*: 16 bytes by which the key is found. *kind*: "x25519" (sealed sessions, Noise KK), "ed25519" (cryptosign on
    plain WAMP; its id is made of its public half) or "http" (signed requests). *public*: the public half, 32 bytes; of
    an "http" key the shared secret, sealed with the key file (`limen.core.seal.machine`). *key_number*: which key of
    the key file that is, or the domain key that the program knows.

    >>> MachineKey("localhost", "robot", b"0123456789abcdef", "x25519", bytes(32), created=7.0)
    MachineKey(domain='localhost', user='robot', id=b'0123456789abcdef', kind='x25519', key_number=1, created=7.0)
    """

    domain: str
    user: str
    id: bytes
    kind: str
    public: bytes = field(repr=False)
    key_number: int = 1
    created: float = 0.0


@dataclass(frozen=True, slots=True)
class Permission:
    """That *role* may use *pattern* in *domain*: an address, "ward.close", or all that begins with one, "ward."."""

    domain: str
    role: str
    pattern: str


@dataclass(frozen=True, slots=True)
class LaneRow:
    """Where a slot of kind "lane" has come to (`docs/security.md`, "The HTTP lane").

    *slot*: its handle. *encoding*: of its messages. *by_password*: it began with a login, not with a resume. *state*:
    the chain keys, sealed under the key file. *version*: of the row, 0 for a new one.
    """

    domain: str
    slot: bytes
    encoding: str
    by_password: bool
    state: bytes = field(repr=False)
    version: int = 0


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One line of the abuse ledger, as kept: what it says is `limen.core.guard.ledger`'s affair.

    *scope*: "origin", "account" or "pair". *until*: from then on the row means nothing and may be dropped.
    *data*: JSON text; None removes the row.
    """

    domain: str
    scope: str
    key: str
    until: float
    data: str | None


class AccountStore(Protocol):
    """Accounts by (domain, user)."""

    @property
    def changes(self) -> int:
        """Another number once a `put`, `update` or `remove` that changed something has come back, whoever called it.
        Who has looked at this, then read an account, need not read it again while this stands. Asked on the event
        loop: must not block. Where other processes may change accounts too it is another number each time.
        """
        ...

    def get(self, domain: str, user: str) -> Account | None:
        """The account, disabled or not; None where there is none."""
        ...

    def put(self, account: Account, *, create: bool = False, reason: str = "") -> bool:
        """Keeps *account* in place of what was there. With *create*: only if nothing was there, else False.

        Who calls, and the *reason*, are kept in the account's history; the OPAQUE record is not.
        """
        ...

    def update(self, domain: str, user: str, *, reason: str = "", **changes: Any) -> Account | None:
        """Changes these attributes of the account and leaves the others as they are at that moment, whoever changes
        them meanwhile; gives what it is now, None where there is none.

        Before a new *record* end the user's slots (`SlotStore.remove_user`): should the machine stop in between, the
        old password is still the only one that works and no old tab outlives it.
        """
        ...

    def remove(self, domain: str, user: str, *, reason: str = "", erase: bool = False) -> bool:
        """Forgets the account and, in the same transaction, all slots of that user that are kept in the same store.
        That there was one, and its roles, stay in the history; with *erase* that there was one alone, also of an
        account that was removed before. False: there was nothing to remove."""
        ...

    def list(self, domain: str | None = None) -> builtins.list[Account]:
        """All accounts, or those of one domain, ordered by (domain, user)."""
        ...

    def ended(self, domain: str, since: int | None) -> tuple[int, Collection[str] | None]:
        """How often, on any server of the database, a user's sessions were ended for a new password or because the user
        was disabled or removed; and whose since *since*, a number that this has given before. None: all may be meant.
        """
        ...

    def tell_ended(self, domain: str, user: str) -> None:
        """Sessions of this user were ended: `ended` says so to the other servers of the database."""
        ...

    def recover(self) -> None:
        """Finishes, when a server starts, what one that stopped had left half done."""
        ...


class SlotStore(Protocol):
    """Slots by domain and handle."""

    def get(self, domain: str, handle: bytes) -> Slot | None: ...

    def put(self, slot: Slot, *, at_most: int | None = None) -> bool:
        """Keeps *slot*. With *at_most*: False, and nothing is kept, if that user already has so many others. False
        as well for a child whose parent is gone."""
        ...

    def displace(self, slot: Slot, at_most: int) -> builtins.list[Slot]:
        """Keeps *slot*, and ends that user's oldest others (with the children of each) until there are no more than
        *at_most* in all; gives those that ended."""
        ...

    def act(self, domain: str, handle: bytes, acting: str) -> bool:
        """Sets `acting` of the slot. False: there is none."""
        ...

    def remove(self, domain: str, handle: bytes) -> builtins.list[Slot]:
        """Ends the slot and those of its children; gives what ended. Of several who remove one slot at once, one gets
        it: what has to be done once for each end is done by whoever gets the slot."""
        ...

    def remove_user(self, domain: str, user: str, *, keep: bytes | None = None) -> builtins.list[Slot]:
        """Ends all slots of a user (but the one named *keep*); gives those that ended."""
        ...

    def touch(self, domain: str, used: Mapping[bytes, float]) -> None:
        """Sets `used` of several slots, and of those that they are children of, in one batch; unknown handles are
        passed over, and `used` never goes back."""
        ...

    def count(self, domain: str, user: str) -> int: ...

    def list(self, domain: str | None = None, user: str | None = None) -> builtins.list[Slot]:
        """Slots, the oldest first."""
        ...

    def purge(
        self, *, used_before: float, login_before: float, epoch: int, domain: str | None = None
    ) -> builtins.list[Slot]:
        """Ends every slot that was last used before *used_before*, or whose login is before *login_before*, or that
        is of another *epoch*, domain by domain, or in one *domain*; gives those that ended."""
        ...


class KeyStore(Protocol):
    """Keys of machines by domain and id. They end with their account, in the same transaction."""

    def get(self, domain: str, id: bytes) -> MachineKey | None: ...

    def put(self, machine: MachineKey) -> bool:
        """Keeps *machine*. False, and nothing is kept: there is a key of that id."""
        ...

    def remove(self, domain: str, id: bytes) -> MachineKey | None:
        """Forgets a key, and gives what it was; None: there was none. On other servers of the store, too, its sessions
        end (`AccountStore.ended`)."""
        ...

    def list(self, domain: str | None = None, user: str | None = None) -> builtins.list[MachineKey]:
        """Keys, ordered by domain, user and age."""


class PermissionStore(Protocol):
    """Permissions by domain."""

    def grant(self, domain: str, role: str, pattern: str, *, reason: str = "") -> bool:
        """Keeps the permission, with who gave it. False: it is there already."""
        ...

    def revoke(self, domain: str, role: str, pattern: str, *, reason: str = "") -> bool:
        """Takes it away; its history stays. False: there is none."""
        ...

    def list(self, domain: str | None = None) -> builtins.list[Permission]:
        """All, or those of one domain, ordered by domain, pattern and role."""
        ...

    def changes(self, domain: str) -> int:
        """How often the permissions of the domain have changed, whoever did it; 0 where there never was one."""
        ...


class LaneStore(Protocol):
    """The states of slots of kind "lane". They end with their slots (`SlotStore.remove`, `remove_user`, `purge`)."""

    def get(self, domain: str, slot: bytes) -> LaneRow | None: ...

    def begin(self, row: LaneRow) -> LaneRow:
        """Keeps the state of a login or resume in place of what was there; gives it with its version."""
        ...

    def step(self, row: LaneRow) -> Future[LaneRow | None]:
        """Keeps *row* in place of its *version*, durable when the future is done, and gives it with the version that
        follows. None, and nothing is kept: that version is not the newest any more, or the slot has ended. Does not
        block: may be called on the event loop."""
        ...

    def secret(self, domain: str, period: int, fresh: bytes) -> bytes:
        """The secret of that period, alike for all servers; *fresh* if there is none yet."""
        ...

    def purge(self, period: int) -> None:
        """Forgets the secrets of before *period*, and states whose slots are gone."""
        ...


class LedgerStore(Protocol):
    """The abuse ledger between two starts."""

    def load(self, now: float) -> list[LedgerRow]:
        """All rows that still mean something at *now*."""
        ...

    def flush(self, batch: Iterable[LedgerRow], now: float) -> None:
        """Keeps each row in place of the one of the same (domain, scope, key), all of a domain or none; forgets, by and
        by, what is over."""
        ...

    def news(self, domain: str, now: float) -> list[LedgerRow]:
        """Rows of a domain that others may have flushed since this was last asked, on any server of the store; of those
        that this object has flushed there may be some among them."""
        ...

    def forget(self, domain: str, user: str) -> int:
        """Forgets all rows that name this user; gives how many."""
        ...

    def clear(self, domain: str | None = None, key: str | None = None) -> int:
        """Forgets all rows, those of a domain, or those of one key; gives how many."""
        ...


class OnceStore(Protocol):
    """What may be used once: a login's ticket, the nonce of a signed request, a link."""

    def spend(self, domain: str, scope: str, token: bytes, until: float) -> bool:
        """True the first time, on any server of the store; False ever after, *until* then at least (seconds since
        1970). *scope*: what kind of token it is; those of two kinds never meet. *token*: any bytes but a secret, such
        as its hash: it is kept. Who calls must refuse by itself what is over by then.
        """
        ...

    def purge(self, now: float) -> int:
        """Forgets what was kept until before *now*; gives how many."""
        ...


class MetaStore(Protocol):
    """What a database knows of itself."""

    @property
    def database_id(self) -> str:
        """32 hexadecimal digits, random, made with the database and never changed."""
        ...

    def get(self, name: str) -> str | None:
        """A setting of the database itself: "epoch", "fingerprints", …"""
        ...

    def set(self, name: str, value: str) -> None: ...

    def swap(self, name: str, was: str | None, value: str) -> bool:
        """Keeps *value* only if `get` would give *was* at that moment. False: it would not."""
        ...

    def progress(self) -> int:
        """How far the database has come: rises with every transaction, and is never less after a restart."""
        ...
