"""The vault: what an App keeps about people. Accounts, slots, the abuse ledger, and the keys that make them worth
nothing to whoever reads the database alone.

    claim      one server per SQLite file; `limen user` may open the file when no server runs
    keys       the key file beside it (docs/security.md, "Keys at rest"); for PostgreSQL in the working folder
    epoch      the mark file: a database put back from a backup ends all sessions
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from limen.core.guard.ledger import Ledger
from limen.core.seal.ticket import PERIOD
from limen.store import keyfile
from limen.store.accounts import Accounts
from limen.store.lanes import Lanes
from limen.store.ledger import AbuseLedger
from limen.store.machinekeys import MachineKeys
from limen.store.mark import Mark, open_mark
from limen.store.once import Once
from limen.store.settings import Settings
from limen.store.slots import Slots

if TYPE_CHECKING:
    from limen.base.config import Config
    from limen.core.guard.accounts import (
        AccountStore,
        KeyStore,
        LaneStore,
        LedgerStore,
        MetaStore,
        OnceStore,
        Slot,
        SlotStore,
    )
    from limen.core.seal.keys import KeyRing

    from .datastore import DataStore


def database_path(url: str) -> Path | None:
    """The file of an SQLite URL; None for a store without one.

    >>> database_path("sqlite:///todo.db"), database_path("sqlite://"), database_path("postgresql://db/todo")
    (PosixPath('todo.db'), None, None)
    """
    scheme, _, rest = url.partition(":///")
    if not scheme.startswith("sqlite") or not rest or rest.startswith(":memory:"):
        return None
    return Path(rest.partition("?")[0])


def own_path(url: str) -> Path | None:
    """What the files that belong to a store are named after: the SQLite file; for PostgreSQL the database, in the
    working folder; None for a store in memory, which has none.

    >>> own_path("sqlite:////srv/todo.db"), own_path("postgresql://ada@db.example:5432/todo"), own_path("")
    (PosixPath('/srv/todo.db'), PosixPath('todo'), None)
    """
    if not url.startswith("postgres"):
        return database_path(url)
    parts = urlsplit(url)
    named = dict(parse_qsl(parts.query)).get("dbname") or unquote(parts.path.strip("/")) or parts.username
    return Path(quote(named or "postgresql", safe=" "))


def socket_path(url: str, keys: str = "") -> Path | None:
    """The control socket: beside the SQLite file of *url*; for PostgreSQL beside its key file, which *keys* may name;
    None for a store in memory.

    >>> socket_path("sqlite:///todo.db", "/etc/limen/my.keys"), socket_path("postgresql:///todo", "/etc/limen/my.keys")
    (PosixPath('todo.db.sock'), PosixPath('/etc/limen/todo.sock'))
    """
    path = own_path(url)
    if path is None:
        return None
    folder = Path(keys).parent if keys and database_path(url) is None else path.parent
    return folder / (path.name + ".sock")


class Vault:
    """Opened once per App, when users are first asked for. *storage*: the DataStore whose roles are used."""

    def __init__(self, storage: DataStore, config: Config) -> None:
        self.storage = storage
        self.config = config
        permission = storage.permission
        self.shared = permission.shared  # else it is one server's alone: see `claimed`
        """Other servers may change accounts, too."""
        self.overheard = storage.abuse.shared
        """Other servers write down there, too, which origins they refuse."""
        self.accounts: AccountStore = Accounts(permission.records, storage.profile.records, alone=not self.shared)
        self.machines: KeyStore = MachineKeys(permission.records, alone=not self.shared)
        self.slots: SlotStore = Slots(storage.state.records)
        self.ledger_store: LedgerStore = AbuseLedger(storage.abuse.records)
        self.lanes: LaneStore = Lanes(storage.state.records)
        self.once: OnceStore = Once(storage.state.records)
        self.meta: MetaStore = Settings(storage.settings.records)
        self.ledger = Ledger(config)
        self.url = storage.settings.url
        self.path = own_path(self.url)
        self.keys: KeyRing = keyfile.open_keys(self.meta, self.path, config.KEYS)
        self._mark: Mark | None = None

    @property
    def mark(self) -> Mark:
        """Where the database has come to; opened when a server starts, which may begin a new epoch."""
        if self._mark is None:
            stores = {id(store): store for store in (self.storage.permission, self.storage.state) if store.url}
            stores.pop(id(self.storage.settings), None)
            others = [Settings(store.records) for store in stores.values()]
            shared = self.storage.settings.shared and database_path(self.url) is None  # a file has one mark beside it
            self._mark = open_mark(self.meta, self.path, self.config.KEYS, others, shared=shared)
        return self._mark

    def load_ledger(self) -> None:
        """Takes up the ledger of the last run."""
        self.ledger.load(self.ledger_store.load(time.time()))

    def recover(self) -> None:
        """Finishes what a server that stopped has left half done between two stores."""
        self.accounts.recover()

    def purge(self) -> None:
        """Forgets slots that can't come back in any domain."""
        now, most = time.time(), self.config.most
        self.slots.purge(
            used_before=now - most("SESSION_TIMEOUT"), login_before=now - most("SESSION_MAX_AGE"), epoch=self.mark.epoch
        )

    def expire(self, domain: str, late: float) -> list[Slot]:
        """Ends the slots of a domain that are idle or too old, and gives them. *late*: seconds by which the store may
        be behind what servers know of a slot's use."""
        now, config = time.time(), self.config.domain(domain)
        return self.slots.purge(
            used_before=now - config.SESSION_TIMEOUT - late,
            login_before=now - config.SESSION_MAX_AGE,
            epoch=self.mark.epoch,
            domain=domain,
        )

    def forget(self) -> None:
        """Lets go of what is over: tokens that were used once, passing secrets. Called at the start, and every
        minute."""
        now = time.time()
        self.once.purge(now)
        self.lanes.purge(int(now) // PERIOD - 1)

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """This process serves from these stores, for the length of the block, and where they are not `shared` no other
        does. Raises `StoreError` where another has one."""
        stores = (getattr(self.storage, role) for role in ("settings", "permission", "profile", "state", "abuse"))
        with contextlib.ExitStack() as claims:
            for store in {id(store): store for store in stores}.values():
                claims.enter_context(store.claim())
            yield
