"""The abuse ledger against a plain list of what was charged."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from limen import exc
from limen.base.config import Config
from limen.core.guard import ledger as module
from limen.core.guard.accounts import LedgerRow
from limen.core.guard.ledger import WEIGHTS, Entry, Kind, Ledger, account_key

D, O = "localhost", "192.0.2.1"  # noqa: E741
PERIOD = 600.0
ADA = account_key(b"key", D, "ada")


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(Config())


def charge(ledger: Ledger, kind: Kind, times: int, now: float = 0.0) -> list[Entry]:
    return [ledger.charge(D, O, kind, now) for _ in range(times)]


# -- origins
@pytest.mark.parametrize(
    ("kind", "weight"),
    [("KE2", 1), ("UNSEALED", 1), ("KK1", 1), ("DENIED", 3), ("BAD_FRAME", 3), ("REPLAY", 3), ("MALFORMED", 5)],
)
def test_each_kind_has_its_weight(ledger: Ledger, kind: str, weight: float) -> None:
    charge(ledger, Kind[kind], 1)
    assert ledger.level(D, O, 0.0) == weight


def test_a_level_fades_linearly_to_nothing_over_the_watch_period(ledger: Ledger) -> None:
    charge(ledger, Kind.MALFORMED, 1)
    levels = [round(ledger.level(D, O, t), 6) for t in (0.0, 150.0, 300.0, 599.0, 600.0, 10_000.0)]
    assert levels == [5.0, 3.75, 2.5, 0.008333, 0.0, 0.0]


def test_an_origin_is_refused_at_the_hard_limit_and_no_longer_than_it_takes_to_fade_below(ledger: Ledger) -> None:
    charge(ledger, Kind.UNSEALED, 9)
    assert not ledger.refused(D, O, 0.0)
    charge(ledger, Kind.UNSEALED, 2)
    assert ledger.refused(D, O, 0.0)
    wait = ledger.retry_after(D, O, 0.0)
    assert ledger.refused(D, O, wait - 0.1)
    assert not ledger.refused(D, O, wait)


def test_looking_ahead_changes_nothing(ledger: Ledger) -> None:
    charge(ledger, Kind.MALFORMED, 3)
    before = ledger.level(D, O, 1.0)
    ledger.retry_after(D, O, 1.0)
    assert ledger.level(D, O, 1.0) == before


def test_ten_quick_unsealed_calls_or_so_lock_an_origin_out(ledger: Ledger) -> None:
    calls = 0
    while not ledger.refused(D, O, calls * 0.05):
        ledger.charge(D, O, Kind.UNSEALED, calls * 0.05)
        calls += 1
    assert 10 <= calls <= 12


def test_answers_slow_down_between_the_soft_and_the_hard_limit(ledger: Ledger) -> None:
    charge(ledger, Kind.MALFORMED, 1)
    assert ledger.delay(D, O, 0.0) == 0.0
    charge(ledger, Kind.DENIED, 1)
    assert ledger.delay(D, O, 0.0) == pytest.approx(0.3)
    charge(ledger, Kind.MALFORMED, 20)
    assert ledger.delay(D, O, 0.0) == 1.0


def test_origins_and_domains_do_not_answer_for_each_other(ledger: Ledger) -> None:
    charge(ledger, Kind.MALFORMED, 4)
    assert not ledger.refused(D, "192.0.2.2", 0.0)
    assert not ledger.refused("clinic.example", O, 0.0)


def test_limits_are_settings_by_domain() -> None:
    config = Config()
    config.domain("clinic.example").MAX_ORIGIN_ABUSE_LEVEL = 1000
    ledger = Ledger(config)
    for domain in (D, "clinic.example"):
        for _ in range(4):
            ledger.charge(domain, O, Kind.MALFORMED, 0.0)
    assert ledger.refused(D, O, 0.0)
    assert not ledger.refused("clinic.example", O, 0.0)


def test_taking_back_twice_takes_once(ledger: Ledger) -> None:
    first, _ = charge(ledger, Kind.DENIED, 2)
    ledger.take_back(first)
    ledger.take_back(first)
    assert ledger.level(D, O, 0.0) == 3.0


def test_a_clock_that_is_set_back_keeps_nobody_out_longer(ledger: Ledger) -> None:
    year = 365 * 86400.0
    for _ in range(4):
        ledger.charge(D, O, Kind.MALFORMED, year)
    assert ledger.level(D, O, 0.0) == 20.0
    assert ledger.level(D, O, PERIOD) == 0.0


# -- logins under way
def test_ten_colleagues_who_log_in_at_once_are_no_attack(ledger: Ledger) -> None:
    entries = [ledger.issue(D, O, Kind.KE2, 0.0, account_key(b"key", D, f"user{i}")) for i in range(12)]
    assert ledger.level(D, O, 1.0) == 0.0
    for entry in entries:
        ledger.succeed(entry, 1.0)
    ledger.tick(100.0)
    assert ledger.level(D, O, 100.0) == 0.0


def test_a_login_that_is_left_pending_counts_when_it_lapses(ledger: Ledger) -> None:
    for i in range(12):
        ledger.issue(D, O, Kind.KE2, 0.0, account_key(b"key", D, f"user{i}"))
    ledger.tick(29.9)
    assert ledger.level(D, O, 29.9) == 0.0
    ledger.tick(30.0)
    assert ledger.level(D, O, 30.0) == 12.0
    assert ledger.refused(D, O, 30.0)


def test_a_login_lapses_once(ledger: Ledger) -> None:
    entry = ledger.issue(D, O, Kind.KE2, 0.0, ADA)
    ledger.lapse(entry, 1.0)
    ledger.lapse(entry, 1.0)
    ledger.tick(100.0)
    assert ledger.level(D, O, 1.0) == 1.0


def test_a_login_that_was_taken_back_does_not_lapse(ledger: Ledger) -> None:
    entry = ledger.issue(D, O, Kind.KE2, 0.0, ADA)
    ledger.take_back(entry)
    ledger.lapse(entry, 1.0)
    assert ledger.level(D, O, 1.0) == 0.0


def test_one_origin_has_at_most_sixteen_logins_under_way(ledger: Ledger) -> None:
    entries = [ledger.issue(D, O, Kind.KE2, 0.0, account_key(b"key", D, f"user{i}")) for i in range(16)]
    with pytest.raises(exc.Abusive) as caught:
        ledger.issue(D, O, Kind.KE2, 0.0, ADA)
    assert caught.value.facts["retry_after"] > 0
    ledger.issue(D, "192.0.2.2", Kind.KE2, 0.0, ADA)
    ledger.succeed(entries[0], 0.5)
    ledger.issue(D, O, Kind.KE2, 1.0, ADA)


def test_a_login_from_a_refused_origin_is_refused_and_counts_nothing(ledger: Ledger) -> None:
    charge(ledger, Kind.MALFORMED, 3)
    before = ledger.level(D, O, 0.0)
    with pytest.raises(exc.Abusive) as caught:
        ledger.issue(D, O, Kind.KE2, 0.0, ADA)
    assert caught.value.facts["retry_after"] == pytest.approx(200.0, abs=1)
    assert ledger.level(D, O, 0.0) == before
    assert ledger.account_wait(D, ADA, "192.0.2.2", 0.0) == 0.0


def test_a_resume_may_be_tried_from_a_refused_origin_and_costs_one_if_it_is_not_completed(ledger: Ledger) -> None:
    charge(ledger, Kind.MALFORMED, 3)
    ledger.succeed(ledger.issue(D, O, Kind.KK1, 0.0), 0.0)
    assert ledger.level(D, O, 0.0) == 15.0
    ledger.lapse(ledger.issue(D, O, Kind.KK1, 0.0), 0.0)
    assert ledger.level(D, O, 0.0) == 16.0


def test_resumes_under_way_are_bounded_too(ledger: Ledger) -> None:
    for _ in range(64):
        ledger.issue(D, O, Kind.KK1, 0.0)
    with pytest.raises(exc.Abusive):
        ledger.issue(D, O, Kind.KK1, 0.0)
    ledger.issue(D, O, Kind.KE2, 0.0, ADA)


# -- accounts
def guess(ledger: Ledger, origin: str, now: float) -> None:
    ledger.lapse(ledger.issue(D, origin, Kind.KE2, now, ADA), now)


def test_five_tries_are_free_then_the_wait_doubles_up_to_fifteen_minutes(ledger: Ledger) -> None:
    now, waits = 0.0, []
    for i in range(18):
        now += ledger.account_wait(D, ADA, f"192.0.2.{i}", now)
        guess(ledger, f"192.0.2.{i}", now)
        waits.append(ledger.account_wait(D, ADA, "198.51.100.1", now))
    assert waits == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900]


def test_a_try_counts_for_the_account_while_it_is_still_pending(ledger: Ledger) -> None:
    for i in range(6):
        if i < 5:
            ledger.issue(D, f"192.0.2.{i}", Kind.KE2, 0.0, ADA)
        else:
            with pytest.raises(exc.Abusive):
                ledger.issue(D, f"192.0.2.{i}", Kind.KE2, 0.0, ADA)


def test_an_outsider_cannot_shut_the_owner_out(ledger: Ledger) -> None:
    ledger.succeed(ledger.issue(D, "198.51.100.7", Kind.KE2, 0.0, ADA), 0.0)
    for i in range(5):
        guess(ledger, f"192.0.2.{i}", 1.0)
    assert ledger.account_wait(D, ADA, O, 1.0) > 0
    assert ledger.account_wait(D, ADA, "198.51.100.7", 1.0) == 0.0


def test_a_known_pair_has_its_own_counter(ledger: Ledger) -> None:
    ledger.account_succeeded(D, ADA, O, 0.0)
    for _ in range(6):
        ledger.account_failed(D, ADA, O, 1.0)
    assert ledger.account_wait(D, ADA, O, 1.0) == 2.0
    assert ledger.account_wait(D, ADA, "192.0.2.99", 1.0) == 0.0


def test_a_pair_is_forgotten_thirty_days_after_its_last_success(ledger: Ledger) -> None:
    ledger.account_succeeded(D, ADA, O, 1.0)
    late = 1.0 + 30 * 86400
    for i in range(9):
        ledger.account_failed(D, ADA, f"192.0.2.{i + 10}", late - 1)
    assert ledger.account_wait(D, ADA, O, late - 1) == 0.0
    assert ledger.account_wait(D, ADA, O, late) == 15.0


def test_a_success_takes_back_its_own_try_only(ledger: Ledger) -> None:
    for i in range(4):
        guess(ledger, f"192.0.2.{i}", 0.0)
    entry = ledger.issue(D, O, Kind.KE2, 0.0, ADA)
    assert ledger.account_wait(D, ADA, "192.0.2.99", 0.0) == 1.0
    ledger.succeed(entry, 0.0)
    assert ledger.account_wait(D, ADA, "192.0.2.99", 0.0) == 0.0
    guess(ledger, "192.0.2.50", 0.0)
    assert ledger.account_wait(D, ADA, "192.0.2.99", 0.0) == 1.0


def test_tries_under_way_at_one_process_count_at_all_and_what_succeeds_is_taken_back_at_all() -> None:
    here, there = Ledger(Config()), Ledger(Config())
    here.tell, there.tell = (lambda told: there.take(told, 0.0)), (lambda told: here.take(told, 0.0))
    tries = [ledger.issue(D, O, Kind.KE2, 0.0, "a") for ledger in (here, there, here, there, here)]
    for ledger in (here, there):
        with pytest.raises(exc.Abusive):
            ledger.issue(D, O, Kind.KE2, 0.0, "a")
    here.succeed(tries[0], 0.0)
    for entry, ledger in zip(tries[1:], (there, here, there, here), strict=True):
        ledger.lapse(entry, 0.0)
    for ledger in (here, there):
        assert ledger.account_wait(D, "a", O, 0.0) == 0.0, "the pair is known from now on"
        assert ledger.account_wait(D, "a", "192.0.2.99", 0.0) == 0.0, "four of five were no success"
    for _ in range(10):  # who logs in often, and rightly, never waits
        here.succeed(here.issue(D, O, Kind.KE2, 0.0, "a"), 0.0)
    assert there.account_wait(D, "a", O, 0.0) == 0.0


def test_a_try_is_forgiven_for_each_full_hour_without_any(ledger: Ledger) -> None:
    for _ in range(14):
        ledger.account_failed(D, ADA, O, 0.0)
    ledger.account_failed(D, ADA, O, 5 * 3600.0)
    assert ledger.account_wait(D, ADA, O, 5 * 3600.0) == 2.0**5


def test_known_and_unknown_names_are_counted_alike() -> None:
    keys = {account_key(b"key", d, u) for d, u in (("a", "ada"), ("a", "nobody"), ("b", "ada"), ("", "aada"))}
    assert len(keys) == 4
    assert {len(k) for k in keys} == {32}


# -- bounds, restart, operator
def test_memory_is_bounded_and_the_heaviest_stay(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ROWS", 64)
    charge(ledger, Kind.MALFORMED, 3)
    for _ in range(6):
        ledger.account_failed(D, ADA, "192.0.2.77", 0.0)
    for i in range(1000):
        ledger.lapse(ledger.issue(D, f"10.0.{i // 256}.{i % 256}", Kind.KE2, 1.0, f"account{i}"), 1.0)
        ledger.account_succeeded(D, f"account{i}", O, 1.0 + i)
    assert max(len(ledger._origins), len(ledger._accounts), len(ledger._pairs)) <= 64
    assert ledger.refused(D, O, 1.0)
    assert ledger.account_wait(D, ADA, O, 1.0) > 0
    kept = {(r.scope, r.key): r for r in ledger.dirty()}
    assert kept["origin", "10.0.0.0"].data is None
    assert len(kept) > 1000


def test_one_origin_costs_a_bounded_number_of_sums(ledger: Ledger) -> None:
    for i in range(20_000):
        ledger.charge(D, O, Kind.UNSEALED, i * 0.1)
    assert len(ledger._origins[D, O].level.buckets) <= 32
    assert ledger.level(D, O, 1999.9) == pytest.approx(3000, rel=0.02)


def test_the_ledger_survives_a_restart(ledger: Ledger) -> None:
    charge(ledger, Kind.MALFORMED, 3)
    ledger.account_succeeded(D, ADA, "198.51.100.7", 0.0)
    for i in range(7):
        ledger.account_failed(D, ADA, f"192.0.2.{i}", 0.0)
    second = Ledger(Config())
    second.load(ledger.dirty())
    assert ledger.dirty() == []
    assert second.level(D, O, 10.0) == ledger.level(D, O, 10.0)
    assert second.account_wait(D, ADA, O, 1.0) == 3.0
    assert second.account_wait(D, ADA, "198.51.100.7", 1.0) == 0.0


def test_a_login_under_way_at_a_crash_counts_after_it(ledger: Ledger) -> None:
    entry = ledger.issue(D, O, Kind.KE2, 0.0, ADA)
    second = Ledger(Config())
    second.load(ledger.dirty())
    assert second.level(D, O, 0.0) == 1.0
    ledger.succeed(entry, 1.0)
    third = Ledger(Config())
    third.load(ledger.dirty())
    assert third.level(D, O, 1.0) == 0.0


def test_rows_that_were_not_flushed_come_again(ledger: Ledger) -> None:
    charge(ledger, Kind.MALFORMED, 1)
    rows = ledger.dirty()
    ledger.again(rows)
    assert ledger.dirty() == rows


def test_a_row_says_until_when_it_means_something(ledger: Ledger) -> None:
    charge(ledger, Kind.MALFORMED, 1, now=100.0)
    assert [r.until for r in ledger.dirty()] == [700.0]


def test_a_damaged_row_is_as_good_as_none(ledger: Ledger) -> None:
    rows = [
        module.LedgerRow(D, scope, key, 9e9, data)
        for scope, key in (("origin", O), ("account", ADA), ("pair", f"{ADA}@{O}"), ("pair", "x"), ("?", "x"))
        for data in ("", "null", "[1]", "[[1,2]]", "{", "[[NaN, 1, 1]]", None)
    ]
    ledger.load(rows)
    assert ledger.level(D, O, 0.0) == 0.0


def test_the_operator_sees_levels_and_clears_them(ledger: Ledger) -> None:
    charge(ledger, Kind.MALFORMED, 3)
    ledger.charge("clinic.example", "192.0.2.9", Kind.DENIED, 0.0)
    for _ in range(9):
        ledger.account_failed(D, ADA, O, 0.0)
    assert ledger.levels(0.0) == [(D, O, 15.0), ("clinic.example", "192.0.2.9", 3.0)]
    ledger.dirty()
    assert ledger.clear(D, O) == 1
    assert ledger.account_wait(D, ADA, O, 0.0) > 0
    assert ledger.clear() == 3
    assert ledger.levels(0.0) == []
    assert ledger.account_wait(D, ADA, O, 0.0) == 0.0
    assert all(row.data is None for row in ledger.dirty())


# -- properties
@given(
    st.lists(st.tuples(st.floats(0, 2000), st.sampled_from(list(Kind)), st.booleans()), max_size=60),
    st.floats(0, 3000),
)
def test_the_level_is_the_sum_of_what_is_left_of_each_entry(
    charges: list[tuple[float, Kind, bool]], after: float
) -> None:
    ledger = Ledger(Config())
    charges.sort(key=lambda c: c[0])
    entries = [(ledger.charge(D, O, kind, t), t, kind, back) for t, kind, back in charges]
    now = (charges[-1][0] if charges else 0.0) + after
    for entry, _, _, back in entries:
        if back:
            ledger.take_back(entry)
    left = [(WEIGHTS[k], now - t) for _, t, k, back in entries if not back]
    exact = sum(w * max(0.0, 1 - age / PERIOD) for w, age in left)
    ending = sum(w for w, age in left if PERIOD * 28 / 30 <= age <= PERIOD * 32 / 30)
    assert ledger.level(D, O, now) == pytest.approx(exact, abs=1e-6 + ending / 30)


class Logins(RuleBasedStateMachine):
    """Logins of two accounts from three origins against plain lists."""

    pending = Bundle("pending")

    @initialize()
    def begin(self) -> None:
        self.ledger, self.now = Ledger(Config()), 1000.0
        self.counted: dict[str, list[float]] = {}
        self.open: dict[int, tuple[Entry, str, float]] = {}

    def lapse_due(self) -> None:
        for key, (_, origin, since) in list(self.open.items()):
            if since + 30 <= self.now:
                self.counted.setdefault(origin, []).append(self.now)
                del self.open[key]

    @rule(target=pending, origin=st.sampled_from(["a", "b", "c"]), account=st.sampled_from(["x", "y"]))
    def issue(self, origin: str, account: str) -> Entry | None:
        try:
            entry = self.ledger.issue(D, origin, Kind.KE2, self.now, account)
        except exc.Abusive:
            return None
        self.open[id(entry)] = (entry, origin, self.now)
        return entry

    @rule(entry=consumes(pending))
    def succeed(self, entry: Entry | None) -> None:
        if entry is not None and self.open.pop(id(entry), None) is not None:
            self.ledger.succeed(entry, self.now)

    @rule(entry=consumes(pending))
    def fail(self, entry: Entry | None) -> None:
        if entry is not None and (known := self.open.pop(id(entry), None)) is not None:
            self.ledger.lapse(entry, self.now)
            self.counted.setdefault(known[1], []).append(self.now)

    @rule(seconds=st.floats(0, 40))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.ledger.tick(self.now)
        self.lapse_due()

    @rule()
    def restart(self) -> None:
        kept = Ledger(Config())
        kept.load(self.all_rows())
        for origin in ("a", "b", "c"):
            pending = sum(1 - (self.now - since) / PERIOD for _, o, since in self.open.values() if o == origin)
            expected = self.ledger.level(D, origin, self.now) + pending
            assert kept.level(D, origin, self.now) == pytest.approx(expected, abs=1e-6)

    def all_rows(self) -> list[module.LedgerRow]:
        rows = {(r.scope, r.key): r for r in getattr(self, "kept", [])}
        rows.update({(r.scope, r.key): r for r in self.ledger.dirty()})
        self.kept = list(rows.values())
        return self.kept

    @invariant()
    def levels_are_what_lapsed(self) -> None:
        if hasattr(self, "now"):
            for origin, times in self.counted.items():
                exact = sum(max(0.0, 1 - (self.now - t) / PERIOD) for t in times)
                assert self.ledger.level(D, origin, self.now) == pytest.approx(exact, abs=1e-6 + len(times) / 30)


TestLogins = Logins.TestCase
TestLogins.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)


def test_what_is_under_way_at_another_server_is_not_held_against_an_origin_here() -> None:
    """Ten colleagues who log in at once there are no attack here; a wrong password is, once it was one."""
    here, there = Ledger(Config()), Ledger(Config())
    entries = [there.issue(D, "192.0.2.1", Kind.KE2, 0.0, f"account {number}") for number in range(10)]
    here.hear(there.dirty(), 0.0)
    assert here.level(D, "192.0.2.1", 0.0) == 0.0
    for entry in entries:
        there.lapse(entry, 1.0)
    here.hear(there.dirty(), 1.0)
    assert here.refused(D, "192.0.2.1", 1.0)
    after = Ledger(Config())  # a server that starts takes them all for lapsed
    after.load(there.dirty() or [there._row(D, "origin", "192.0.2.1")])
    assert after.refused(D, "192.0.2.1", 1.0)


def test_another_server_s_better_opinion_of_an_origin_changes_nothing() -> None:
    here, there = Ledger(Config()), Ledger(Config())
    here.charge(D, "192.0.2.1", Kind.MALFORMED, 0.0)
    there.charge(D, "192.0.2.1", Kind.UNSEALED, 0.0)
    here.hear([*there.dirty(), LedgerRow(D, "origin", "192.0.2.1", 9.0, "nonsense")], 0.0)
    assert here.level(D, "192.0.2.1", 0.0) == 5.0
