"""What holds on every store of what a database knows of itself."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from limen.core.record.port import Change, Transaction
from limen.store.accounts import Accounts
from limen.store.settings import Settings
from limen.store.slots import Slots

from .people import ADA, THREADS, PeopleSuite, a_slot


class MetaStoreSuite(PeopleSuite):
    """The port is `limen.core.guard.accounts.MetaStore`."""

    def test_a_database_has_an_id_of_its_own(self, store: Any, settings: Settings) -> None:
        assert len(bytes.fromhex(settings.database_id)) == 16
        assert settings.database_id == Settings(store.records).database_id

    def test_of_many_who_make_the_id_all_find_the_same(self, store: Any) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            assert len(set(pool.map(lambda _: Settings(store.records).database_id, range(THREADS)))) == 1

    def test_settings_are_kept_by_name(self, settings: Settings) -> None:
        assert settings.get("epoch") is None
        settings.set("epoch", "1")
        settings.set("epoch", "2")
        settings.set("other", "ü '\"")
        assert (settings.get("epoch"), settings.get("other")) == ("2", "ü '\"")

    def test_of_many_who_swap_one_does(self, settings: Settings) -> None:
        settings.set("epoch", "1")
        with ThreadPoolExecutor(THREADS) as pool:
            done = list(pool.map(lambda n: settings.swap("epoch", "1", str(n + 2)), range(THREADS)))
        assert done.count(True) == 1
        assert settings.get("epoch") == str(done.index(True) + 2)

    @pytest.mark.parametrize(
        "change",
        [
            lambda store: store.records.commit(
                Transaction("localhost", None, None, "", "", "", 1.0), [Change("T", bytes(16), 0, "{}")]
            ),
            lambda store: Accounts(store.records).put(ADA),
            lambda store: Accounts(store.records).put(replace(ADA, user="bob"), create=True),
            lambda store: Accounts(store.records).remove("localhost", "eve"),
            lambda store: Slots(store.records).put(a_slot(1)),
            lambda store: Slots(store.records).remove("localhost", a_slot(9).handle),
            lambda store: Slots(store.records).remove_user("localhost", "eve"),
            lambda store: Slots(store.records).purge(used_before=0.0, login_before=0.0, epoch=2),
        ],
    )
    def test_its_number_rises_with_every_change_that_a_backup_would_undo(
        self, store: Any, change: Callable[[Any], Any]
    ) -> None:
        Accounts(store.records).put(replace(ADA, user="eve"))
        Slots(store.records).put(a_slot(9, user="eve"))
        before = Settings(store.records).progress()
        change(store)
        assert Settings(store.records).progress() > before

    def test_its_number_does_not_rise_for_what_changes_nothing(
        self, store: Any, accounts: Accounts, slots: Slots, settings: Settings
    ) -> None:
        slots.put(a_slot(1))
        settings.set("epoch", "1")
        before = settings.progress()
        slots.touch("localhost", {a_slot(1).handle: 1.0})
        slots.remove("localhost", bytes(16))
        accounts.remove("localhost", "nobody")
        accounts.get("localhost", "nobody")
        settings.set("epoch", "1")
        assert settings.progress() == before

    def test_id_settings_and_number_are_the_same_after_opening_again(
        self, store: Any, slots: Slots, settings: Settings
    ) -> None:
        settings.set("epoch", "7")
        slots.put(a_slot(1))
        name, number = settings.database_id, settings.progress()
        other = self.again(store)
        if other is not None:
            again = Settings(other.records)
            assert (again.database_id, again.get("epoch"), again.progress()) == (name, "7", number)
            other.close()
