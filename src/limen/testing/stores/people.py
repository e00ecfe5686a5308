"""What the suites of accounts, slots, ledger and settings have in common: each is a view of the store's records."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from limen.core.guard.accounts import Account, Slot
from limen.store.accounts import Accounts
from limen.store.lanes import Lanes
from limen.store.ledger import AbuseLedger
from limen.store.machinekeys import MachineKeys
from limen.store.once import Once
from limen.store.settings import Settings
from limen.store.slots import Slots

ADA = Account("localhost", "ada", bytes(range(192)), 1, ("admin", "user"), {"name": "Ada", "n": [1]}, False, 12.25)
THREADS = 8


class PeopleSuite:
    """The fixture `store` is the one that `limen.testing.stores` describes."""

    @pytest.fixture
    def accounts(self, store: Any) -> Accounts:
        return Accounts(store.records)

    @pytest.fixture
    def slots(self, store: Any) -> Slots:
        return Slots(store.records)

    @pytest.fixture
    def machines(self, store: Any) -> MachineKeys:
        return MachineKeys(store.records)

    @pytest.fixture
    def ledger(self, store: Any) -> AbuseLedger:
        return AbuseLedger(store.records)

    @pytest.fixture
    def lanes(self, store: Any) -> Lanes:
        return Lanes(store.records)

    @pytest.fixture
    def once(self, store: Any) -> Once:
        return Once(store.records)

    @pytest.fixture
    def settings(self, store: Any) -> Settings:
        return Settings(store.records)

    def again(self, store: Any) -> Any:
        """The same data, opened a second time; None for a store that forgets."""
        return None


def a_slot(number: int, **changes: Any) -> Slot:
    slot = Slot(
        bytes([number] * 16),
        "localhost",
        "ada",
        bytes(32),
        opened=100.0 + number,
        used=100.5 + number,
        login=90.125,
        epoch=1,
        origin="192.0.2.1",
    )
    return replace(slot, **changes)
