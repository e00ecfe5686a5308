"""What holds of the states of the HTTP lane, on every store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from limen.core.guard.accounts import LaneRow
from limen.store.lanes import TICKET, Lanes
from limen.store.rows import everything
from limen.store.slots import LANE, Slots

from .people import THREADS, PeopleSuite, a_slot


def _row(number: int, state: bytes = b"one") -> LaneRow:
    return LaneRow("localhost", a_slot(number).handle, "msgpack", True, state)


class LaneStoreSuite(PeopleSuite):
    """The port is `limen.core.guard.accounts.LaneStore`."""

    def test_a_state_comes_back_as_it_was_put(self, slots: Slots, lanes: Lanes) -> None:
        slots.put(a_slot(1, kind="lane"))
        row = lanes.begin(_row(1))
        assert row == replace(_row(1), version=1)
        assert lanes.get("localhost", row.slot) == row
        assert lanes.get("other.example", row.slot) is None
        following = lanes.step(replace(row, state=b"two")).result()
        assert following == replace(row, state=b"two", version=2)
        assert lanes.get("localhost", row.slot) == following

    def test_of_many_who_step_from_the_same_state_one_does(self, lanes: Lanes) -> None:
        row = lanes.begin(_row(1))
        with ThreadPoolExecutor(THREADS) as pool:
            steps = list(pool.map(lambda n: lanes.step(replace(row, state=b"%d" % n)).result(), range(THREADS)))
        (won,) = [step for step in steps if step is not None]
        assert lanes.get("localhost", row.slot) == won

    def test_a_state_that_begins_anew_ends_the_one_before(self, lanes: Lanes) -> None:
        row = lanes.begin(_row(1))
        again = lanes.begin(_row(1, b"other"))
        assert lanes.step(replace(row, state=b"two")).result() is None
        assert lanes.get("localhost", row.slot) == again

    def test_a_state_ends_with_its_slot(self, store: Any, slots: Slots, lanes: Lanes) -> None:
        for number in (1, 2, 3):
            slots.put(a_slot(number, kind="lane", used=100.0 * number))
            lanes.begin(_row(number))
        row = lanes.get("localhost", a_slot(1).handle)
        assert row is not None
        slots.remove("localhost", a_slot(1).handle)
        slots.purge(used_before=250.0, login_before=0.0, epoch=1)
        assert [version.uuid for version in everything(store.records, "localhost", LANE)] == [a_slot(3).handle]
        assert lanes.step(replace(row, state=b"two")).result() is None
        slots.remove_user("localhost", "ada")
        assert everything(store.records, "localhost", LANE) == []

    def test_who_begins_to_act_as_somebody_steps_the_state(self, slots: Slots, lanes: Lanes) -> None:
        slots.put(a_slot(1, kind="lane"))
        row = lanes.begin(_row(1))
        assert slots.act("localhost", row.slot, "bob")
        assert lanes.get("localhost", row.slot) == replace(row, version=2)
        assert lanes.step(replace(row, state=b"two")).result() is None

    def test_a_state_without_a_slot_is_forgotten(self, slots: Slots, lanes: Lanes) -> None:
        slots.put(a_slot(1, kind="lane"))
        lanes.begin(_row(1))
        lanes.begin(_row(2))
        lanes.purge(0)
        assert lanes.get("localhost", a_slot(1).handle) is not None
        assert lanes.get("localhost", a_slot(2).handle) is None

    def test_all_servers_have_the_same_secret_for_a_minute_and_then_nobody(self, store: Any, lanes: Lanes) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            given = set(pool.map(lambda n: lanes.secret("localhost", 7, b"%d" % n), range(THREADS)))
        (secret,) = given
        assert lanes.secret("localhost", 7, b"other") == secret
        assert lanes.secret("localhost", 8, b"next") == b"next"
        assert lanes.secret("other.example", 7, b"theirs") == b"theirs"
        lanes.purge(8)
        assert lanes.secret("localhost", 7, b"anew") == b"anew"
        assert lanes.secret("localhost", 8, b"other") == b"next"
        assert not any("theirs" in version.fields for version in everything(store.records, "other.example", TICKET))

    def test_no_state_of_before_is_left(self, store: Any, slots: Slots, lanes: Lanes) -> None:
        row = lanes.begin(_row(1))
        lanes.step(replace(row, state=b"two")).result()
        assert len(store.records.history("localhost", LANE, row.slot)) == 1

    def test_states_are_there_after_opening_again(self, store: Any, lanes: Lanes) -> None:
        row = lanes.begin(_row(1))
        other = self.again(store)
        if other is not None:
            assert Lanes(other.records).get("localhost", row.slot) == row
            other.close()
