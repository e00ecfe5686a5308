"""What holds of slots, the tabs that may come back, on every store."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from limen.store.rows import key
from limen.store.slots import SLOT, SLOTS, Slots

from .people import THREADS, PeopleSuite, a_slot


class _Meanwhile:
    """The same records, but that something happens right before the first commit."""

    def __init__(self, records: Any, happens: Callable[[], None]) -> None:
        self._records, self._happens = records, [happens]

    def __getattr__(self, name: str) -> Any:
        if name == "commit" and self._happens:
            self._happens.pop()()
        return getattr(self._records, name)


class SlotStoreSuite(PeopleSuite):
    """The port is `limen.core.guard.accounts.SlotStore`."""

    def test_a_slot_comes_back_as_it_was_put(self, slots: Slots) -> None:
        slot = a_slot(1, key_number=3)
        assert slots.put(slot) is True
        assert slots.get("localhost", slot.handle) == slot
        assert slots.get("localhost", bytes(16)) is None
        slots.put(replace(slot, used=500.0))
        assert slots.get("localhost", slot.handle) == replace(slot, used=500.0)

    def test_a_slot_is_there_in_its_domain_only(self, slots: Slots) -> None:
        slots.put(a_slot(1))
        assert slots.get("other.example", a_slot(1).handle) is None
        assert slots.remove("other.example", a_slot(1).handle) == []
        slots.touch("other.example", {a_slot(1).handle: 999.0})
        assert slots.get("localhost", a_slot(1).handle) == a_slot(1)

    def test_a_user_has_at_most_so_many(self, slots: Slots) -> None:
        assert [slots.put(a_slot(n), at_most=2) for n in (1, 2, 3)] == [True, True, False]
        assert slots.get("localhost", a_slot(3).handle) is None
        assert slots.put(a_slot(2, used=900.0), at_most=2) is True
        assert slots.put(a_slot(3, user="bob"), at_most=2) is True
        assert slots.put(a_slot(4, domain="other.example"), at_most=2) is True
        assert slots.count("localhost", "ada") == 2
        slots.remove("localhost", a_slot(1).handle)
        assert slots.put(a_slot(5), at_most=2) is True

    def test_of_many_who_want_the_last_slot_one_gets_it(self, slots: Slots) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            done = list(pool.map(lambda n: slots.put(a_slot(n), at_most=3), range(THREADS)))
        assert done.count(True) == slots.count("localhost", "ada") == 3
        assert len(slots.list("localhost", "ada")) == len(slots.list("localhost")) == 3

    def test_removing_gives_the_slot_to_one_of_those_who_remove_it(self, slots: Slots) -> None:
        slots.put(a_slot(1))
        with ThreadPoolExecutor(THREADS) as pool:
            gone = list(pool.map(lambda _: slots.remove("localhost", a_slot(1).handle), range(THREADS)))
        assert [slots for slots in gone if slots] == [[a_slot(1)]]
        assert slots.count("localhost", "ada") == 0

    def test_a_child_ends_with_its_parent_and_a_parent_not_with_its_child(self, slots: Slots) -> None:
        child = a_slot(2, kind="child", parent=a_slot(1).handle)
        other = a_slot(3, kind="child", parent=a_slot(1).handle)
        for slot in (a_slot(1), child, other, a_slot(4)):
            assert slots.put(slot) is True
        assert slots.remove("localhost", child.handle) == [child]
        assert slots.remove("localhost", a_slot(1).handle) == [a_slot(1), other]
        assert slots.list("localhost", "ada") == [a_slot(4)]
        assert slots.put(child) is False, "its parent is gone"
        assert slots.get("localhost", child.handle) is None

    def test_a_child_that_is_used_keeps_its_parent(self, slots: Slots) -> None:
        child = a_slot(2, kind="child", parent=a_slot(1).handle)
        slots.put(a_slot(1))
        slots.put(child)
        slots.touch("localhost", {child.handle: 500.0, a_slot(1).handle: 300.0})
        assert [slot.used for slot in slots.list("localhost")] == [500.0, 500.0]
        assert slots.purge(used_before=400.0, login_before=0.0, epoch=1) == []

    def test_a_slot_takes_the_place_of_the_oldest_and_its_children(self, slots: Slots) -> None:
        child = a_slot(4, kind="child", parent=a_slot(1).handle)
        for slot in (a_slot(1), a_slot(2), a_slot(3), child):
            slots.put(slot)
        assert slots.displace(a_slot(5), 4) == [a_slot(1), child]
        assert slots.displace(a_slot(6), 4) == []
        assert slots.displace(a_slot(7), 2) == [a_slot(2), a_slot(3), a_slot(5)]
        assert slots.list("localhost", "ada") == [a_slot(6), a_slot(7)]
        assert slots.count("localhost", "ada") == 2

    def test_a_slot_remembers_as_whom_its_user_acts(self, slots: Slots) -> None:
        slots.put(a_slot(1))
        assert slots.act("localhost", a_slot(1).handle, "bob") is True
        assert slots.get("localhost", a_slot(1).handle) == a_slot(1, acting="bob")
        assert slots.act("localhost", a_slot(2).handle, "bob") is False
        assert slots.list("localhost", "ada") == [a_slot(1, acting="bob")]

    def test_all_slots_of_a_user_end_but_the_one_that_is_kept(self, slots: Slots) -> None:
        for slot in (a_slot(1), a_slot(2), a_slot(3), a_slot(4, user="bob"), a_slot(5, domain="other.example")):
            slots.put(slot)
        gone = slots.remove_user("localhost", "ada", keep=a_slot(2).handle)
        assert gone == [a_slot(1), a_slot(3)]
        assert sorted(s.handle[0] for s in slots.list()) == [2, 4, 5]
        assert slots.remove_user("localhost", "ada") == [a_slot(2)]
        assert slots.remove_user("localhost", "nobody") == []

    def test_no_slot_that_is_made_while_all_are_ended_is_lost_from_sight(self, slots: Slots) -> None:
        """Each is ended, or counted and ended next time."""

        def work(number: int) -> None:
            for step in range(8):
                if number % 2:
                    slots.put(replace(a_slot(number), handle=bytes([number, step] * 8)))
                else:
                    slots.remove_user("localhost", "ada")

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(work, range(THREADS)))
        assert slots.list("localhost") == slots.list("localhost", "ada")
        slots.remove_user("localhost", "ada")
        assert slots.list("localhost") == []

    def test_a_row_that_was_removed_and_made_again_meanwhile_is_noticed(self, store: Any, slots: Slots) -> None:
        """Its version is the same; what was read is not there any more all the same."""
        slots.put(a_slot(1))

        def meanwhile() -> None:
            slots.remove_user("localhost", "ada")
            slots.put(a_slot(2))

        assert Slots(_Meanwhile(store.records, meanwhile)).put(a_slot(3))
        assert [s.handle[0] for s in slots.list("localhost", "ada")] == [2, 3]
        assert slots.count("localhost", "ada") == 2

    def test_touch_is_a_batch_that_never_goes_back(self, store: Any, slots: Slots) -> None:
        slots.put(a_slot(1))
        slots.put(a_slot(2))
        before = store.records.last("localhost")
        slots.touch("localhost", {a_slot(1).handle: 500.0, a_slot(2).handle: 1.0, a_slot(3).handle: 500.0})
        slots.touch("localhost", {})
        assert store.records.last("localhost") == before + 1
        assert slots.get("localhost", a_slot(1).handle) == a_slot(1, used=500.0)
        assert slots.get("localhost", a_slot(2).handle) == a_slot(2)
        assert slots.get("localhost", a_slot(3).handle) is None

    def test_list_is_oldest_first_and_by_user(self, slots: Slots) -> None:
        for slot in (a_slot(3), a_slot(1), a_slot(2, user="bob"), a_slot(4, domain="other.example")):
            slots.put(slot)
        assert [s.handle[0] for s in slots.list()] == [1, 2, 3, 4]
        assert [s.handle[0] for s in slots.list("localhost")] == [1, 2, 3]
        assert [s.handle[0] for s in slots.list("localhost", "ada")] == [1, 3]
        assert [s.handle[0] for s in slots.list(user="bob")] == [2]

    @pytest.mark.parametrize(
        ("limits", "gone"),
        [
            ({"used_before": 0.0, "login_before": 0.0, "epoch": 1}, []),
            ({"used_before": 102.5, "login_before": 0.0, "epoch": 1}, [1]),
            ({"used_before": 0.0, "login_before": 100.0, "epoch": 1}, [1, 2]),
            ({"used_before": 0.0, "login_before": 0.0, "epoch": 2}, [1, 2, 3]),
        ],
    )
    def test_what_is_idle_old_or_of_another_epoch_is_purged(
        self, slots: Slots, limits: dict[str, Any], gone: list[int]
    ) -> None:
        for slot in (a_slot(1), a_slot(2), a_slot(3, login=150.0, domain="other.example")):
            slots.put(slot)
        assert sorted(slot.handle[0] for slot in slots.purge(**limits)) == gone
        assert [s.handle[0] for s in slots.list()] == [n for n in (1, 2, 3) if n not in gone]

    def test_of_slots_that_ended_nothing_is_left(self, store: Any, slots: Slots) -> None:
        slots.put(a_slot(1))
        slots.touch("localhost", {a_slot(1).handle: 500.0})
        assert len(store.records.history("localhost", SLOT, a_slot(1).handle)) == 1
        slots.remove("localhost", a_slot(1).handle)
        for model, uuid in ((SLOT, a_slot(1).handle), (SLOTS, key("ada"))):
            assert store.records.read("localhost", model, uuid)[1] is None
        assert store.records.transaction("localhost", store.records.last("localhost")) is None

    def test_slots_are_there_after_opening_again(self, store: Any, slots: Slots) -> None:
        slots.put(a_slot(1))
        other = self.again(store)
        if other is not None:
            assert Slots(other.records).get("localhost", a_slot(1).handle) == a_slot(1)
            other.close()
