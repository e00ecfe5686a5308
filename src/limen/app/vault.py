"""The vault: what an App keeps about people. Accounts, slots, the abuse ledger, and the keys that make them worth
nothing to whoever reads the database alone.

    claim      one server per SQLite file; `limen user` may open the file when no server runs
    keys       the key file beside it (docs/security.md, "Keys at rest")
    epoch      the mark file: a database put back from a backup ends all sessions
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from limen.core.guard.ledger import Ledger
from limen.store import keyfile
from limen.store.mark import Mark, open_mark

if TYPE_CHECKING:
    from limen.base.config import Config
    from limen.core.guard.accounts import AccountStore, LedgerStore, MetaStore, SlotStore
    from limen.core.seal.keys import KeyRing

    from .datastore import DataStore


def database_path(url: str) -> Path | None:
    """The file of an SQLite URL; None for a store without one.

    >>> database_path("sqlite:///todo.db"), database_path("sqlite://"), database_path("")
    (PosixPath('todo.db'), None, None)
    """
    scheme, _, rest = url.partition(":///")
    if not scheme.startswith("sqlite") or not rest or rest.startswith(":memory:"):
        return None
    return Path(rest.partition("?")[0])


def socket_path(url: str) -> Path | None:
    """The control socket beside the SQLite file of *url*, None for a store without a file."""
    path = database_path(url)
    return None if path is None else path.with_name(path.name + ".sock")


class Vault:
    """Opened once per App, when users are first asked for. *storage*: the DataStore whose roles are used."""

    def __init__(self, storage: DataStore, config: Config) -> None:
        self.storage = storage
        self.config = config
        self.accounts: AccountStore = storage.permission.accounts
        self.slots: SlotStore = storage.state.slots
        self.ledger_store: LedgerStore = storage.abuse.ledger
        self.meta: MetaStore = storage.settings.meta
        self.ledger = Ledger(config)
        self.url = storage.settings.url
        self.path = database_path(self.url)
        self.keys: KeyRing = keyfile.open_keys(self.meta, self.path, config.KEYS)
        self._mark: Mark | None = None

    @property
    def mark(self) -> Mark:
        """Where the database has come to; opened when a server starts, which may begin a new epoch."""
        if self._mark is None:
            self._mark = open_mark(self.meta, self.path, self.config.KEYS)
        return self._mark

    def load_ledger(self) -> None:
        """Takes up the ledger of the last run."""
        self.ledger.load(self.ledger_store.load(time.time()))

    def purge(self) -> None:
        """Forgets slots that can't come back in any domain."""
        now, most = time.time(), self.config.most
        self.slots.purge(
            used_before=now - most("SESSION_TIMEOUT"), login_before=now - most("SESSION_MAX_AGE"), epoch=self.mark.epoch
        )

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """This process alone serves from the store, for the length of the block. Raises `StoreError` where another
        does."""
        with self.storage.settings.claim():
            yield
