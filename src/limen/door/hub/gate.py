"""The gate: everything a door asks before it lets someone in. Ledger, accounts, slots and keys, behind one object.

The ledger is in memory and is asked at once; accounts and slots are in a store and are read on threads of the gate's
own: a slow disk delays one login and not everybody, and services that block keep nobody from logging in.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from limen import exc
from limen.base.principal import Principal
from limen.core.guard.accounts import Slot
from limen.core.guard.ledger import Kind, Ledger
from limen.service.hops import Hops
from limen.service.workers import Workers

if TYPE_CHECKING:
    from limen.base.config import Config
    from limen.core.guard.accounts import (
        Account,
        AccountStore,
        KeyStore,
        LedgerRow,
        LedgerStore,
        OnceStore,
        SlotStore,
    )
    from limen.core.seal.keys import KeyRing

T = TypeVar("T")
log = logging.getLogger("limen.door")

THREADS = 4
"""That ask the store, at most."""

MAX_GREETING = 16384
"""Bytes of a message before the session. It waits with its login, decoded: empty lists then take 25 times as much."""


class Gate:
    """Who may come in. `epoch`: the database's epoch (docs/security.md), set when the server starts."""

    def __init__(
        self,
        config: Config,
        *,
        accounts: AccountStore,
        slots: SlotStore,
        ledger: Ledger,
        ledger_store: LedgerStore,
        once: OnceStore,
        machines: KeyStore,
        keys: KeyRing,
    ) -> None:
        self.config, self.accounts, self.slots, self.keys = config, accounts, slots, keys
        self.epoch = 0
        self.ledger = ledger
        self.machines, self.once = machines, once
        """What may be used once; asked by `on_thread`."""
        self._ledger_store = ledger_store
        self.passing = asyncio.Lock()
        """Held while rows of the ledger are on their way to the store, or from it."""
        self._hops = Hops(Workers(THREADS, "limen-gate"))
        self._used: dict[str, dict[bytes, float]] = {}
        self.ended: dict[bytes, str] = {}
        """Slots, and their domains, whose sessions are over and that the store still holds until the next `collect`."""
        self.reasons: dict[bytes, str] = {}
        """Why they are over, where that is known."""
        self.slots_over: Callable[[Sequence[Slot], str], None] = lambda slots, why: None
        """Told on the loop which slots have gone from the store, and why: each end by one process, that took it."""
        self.elsewhere: set[tuple[str, str]] = set()
        """(domain, user): whose sessions have ended that may be at another server; told by `collect`."""
        self.note: Callable[..., None] = lambda event, **facts: None
        """Told what belongs into the log of security (`limen.app.calllog`)."""
        self.endings = 0
        """How often sessions of users were ended; counted on the loop, after the store knows of it."""

    # -- abuse --------------------------------------------------------------------------------------------------
    def charge(self, domain: str, origin: str, kind: Kind) -> None:
        """Counts *kind* against *origin*; calls in process have none and are not counted."""
        if origin:
            self.ledger.charge(domain, origin, kind, time.time())

    def refused(self, domain: str, origin: str) -> float | None:
        """Seconds after which the origin may come again, None if it may now."""
        if not origin or not self.ledger.knows(domain, origin):
            return None
        now = time.time()
        if not self.ledger.refused(domain, origin, now):
            return None
        return max(1.0, self.ledger.retry_after(domain, origin, now))

    def delay(self, domain: str, origin: str) -> float:
        """Seconds by which an answer to this origin is slowed."""
        return self.ledger.delay(domain, origin, time.time()) if origin else 0.0

    async def slow_down(self, domain: str, origin: str) -> None:
        """Past the soft limit a login waits, for everybody at that origin; past the hard one none is worked out."""
        if self.refused(domain, origin) is None and (delay := self.delay(domain, origin)):
            await asyncio.sleep(delay)

    def begin(self) -> None:
        """A server starts on the running loop: a lock belongs to one loop, and there may have been another before."""
        self.passing = asyncio.Lock()

    async def forget(self, domain: str | None, key: str | None) -> int:
        """Forgets, in this process, what an origin did, or all of them; gives how many. Nothing of it is on its way to
        the store then, nor from it."""
        async with self.passing:
            return self.ledger.clear(domain, key)

    def collect(self) -> Callable[[], None]:
        """Gathers, on the loop, what changed in the ledger and in the use of slots; gives what writes it in one batch,
        off the loop. Called about once a second."""
        now = time.time()
        rows = self.ledger.dirty()
        used, self._used = self._used, {}
        ended = tuple(self.ended.items())
        elsewhere, self.elsewhere = self.elsewhere, set()
        loop = asyncio.get_running_loop()

        def write() -> None:
            try:
                if rows:
                    self._ledger_store.flush(rows, now)
                for domain, slots in used.items():
                    self.slots.touch(domain, slots)
            except BaseException:  # a full disk: nothing is lost, the next batch has it
                loop.call_soon_threadsafe(self._keep, rows, used)
                raise
            for domain, user in elsewhere:
                self.accounts.tell_ended(domain, user)
            for slot, domain in ended:
                gone = self.slots.remove(domain, slot)
                self.ended.pop(slot, None)
                why = self.reasons.pop(slot, "logout")
                if gone:
                    loop.call_soon_threadsafe(self.slots_over, gone, why)

        return write

    def _keep(self, rows: list[LedgerRow], used: dict[str, dict[bytes, float]]) -> None:
        self.ledger.again(rows)
        for domain, slots in used.items():
            self._used[domain] = slots | self._used.get(domain, {})

    def touch(self, domain: str, slot: bytes, used: float) -> None:
        """Remembers when a slot was last used, for the next `collect`."""
        self._used.setdefault(domain, {})[slot] = used

    def account_secret(self, domain: str) -> bytes:
        """What names are hidden under in the ledger: derived from the key file, so that it survives a restart."""
        return self.keys.domain(domain, self.keys.first).fake_key

    # -- the store ----------------------------------------------------------------------------------------------
    async def on_thread(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Runs a store's method where it may block. That a store fails (a full disk) is for the log; whoever is at the
        door hears `InternalError`, and no path."""
        try:
            return await self._hops.run(lambda: function(*args, **kwargs))
        except exc.StoreError:
            log.exception("The store failed")
            raise exc.InternalError from None

    async def settled(self, function: Callable[..., T], *args: Any) -> T:
        """What *function* finds in the store, read again if sessions were ended while it was read: what a session
        that begins at once, without a further wait, may rely on."""
        while True:
            endings = self.endings
            found = await self.on_thread(function, *args)
            if endings == self.endings:
                return found

    def principal(
        self,
        account: Account,
        origin: str,
        tls: bool,
        session: int | None,
        sealed: bool = True,
        by: str | None = None,
    ) -> Principal:
        """The principal of a user's session, with roles and profile as they are now. *by*: who acts as that user."""
        profile: Mapping[str, Any] = {"username": account.user, **account.profile}
        return Principal(
            domain=account.domain,
            origin=origin,
            user=account.user,
            roles=account.roles or ("user",),
            sealed=sealed,
            tls=tls,
            profile=profile,
            impersonated_by=by,
            session=session,
        )

    def new_slot(
        self,
        domain: str,
        user: str,
        *,
        origin: str,
        public: bytes = b"",
        login: float | None = None,
        handle: bytes | None = None,
        kind: str = "tab",
        parent: bytes = b"",
        key: bytes = b"",
    ) -> Slot:
        """A slot of now, not kept yet. *login*: when the login was that it belongs to; now if None."""
        now = time.time()
        return Slot(
            handle=secrets.token_bytes(16) if handle is None else handle,
            domain=domain,
            user=user,
            public=public,
            opened=now,
            used=now,
            login=now if login is None else login,
            epoch=self.epoch,
            origin=origin,
            key_number=self.keys.current,
            kind=kind,
            parent=parent,
            key=key,
        )

    def shown(self, slot: Slot) -> dict[str, Any]:
        """What the client keeps of its slot, beside its own key (docs/security.md)."""
        key = self.keys.domain(slot.domain, slot.key_number).resume.public
        return {"slot": slot.handle, "key": key, "epoch": slot.epoch, "number": slot.key_number}

    async def open_slot(self, slot: Slot, at_most: int, *, force: bool = False) -> None:
        """Keeps a new slot. Where the user has *at_most* already it raises `MaxActiveSessions`, or, with *force*, ends
        the oldest."""
        if force:
            self.slots_over(await self.on_thread(self.slots.displace, slot, at_most), "forced")
        elif not await self.on_thread(self.slots.put, slot, at_most=at_most):
            raise exc.MaxActiveSessions(
                f"This user has {at_most} open sessions, the most that are allowed; log out elsewhere, "
                "or log in with `force`, which ends the oldest."
            )
