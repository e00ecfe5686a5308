"""What holds of the abuse ledger on every store."""

from __future__ import annotations

import random
from typing import Any

import pytest

from limen.core.guard.accounts import LedgerRow
from limen.store.ledger import AbuseLedger
from limen.store.rows import everything

from .people import PeopleSuite


def _row(key: str, until: float = 1000.0, data: str | None = "[1]", domain: str = "localhost") -> LedgerRow:
    return LedgerRow(domain, "origin", key, until, data)


class LedgerStoreSuite(PeopleSuite):
    """The port is `limen.core.guard.accounts.LedgerStore`."""

    def test_rows_come_back_until_they_are_over(self, ledger: AbuseLedger) -> None:
        rows = [_row("a"), _row("b", until=2000.0), LedgerRow("", "pair", "x@y", 1500.5, "{}")]
        ledger.flush(rows, 0.0)
        assert {row.key for row in ledger.load(0.0)} == {"a", "b", "x@y"}
        assert {row.key for row in ledger.load(1000.0)} == {"b", "x@y"}
        assert set(ledger.load(0.0)) == set(rows)

    def test_what_names_a_user_is_forgotten(self, store: Any, ledger: AbuseLedger) -> None:
        theirs = [
            LedgerRow("localhost", "account", "ada", 9e9, "[1]"),
            LedgerRow("localhost", "pair", "ada@::1", 9e9, "[]"),
        ]
        others = [
            _row("ada", until=9e9),
            LedgerRow("localhost", "account", "ad", 9e9, "[1]"),
            LedgerRow("localhost", "pair", "bob@ada", 9e9, "[]"),
            LedgerRow("other.example", "account", "ada", 9e9, "[]"),
        ]
        for n, row in enumerate([*theirs, *others, *theirs]):
            ledger.flush([row, LedgerRow("localhost", "pair", f"ada@{n}", 9e9, None)], 0.0)
        assert ledger.forget("localhost", "ada") == 2 + 8
        assert set(ledger.load(0.0)) == set(others)
        assert not any('"ada@' in row.fields for row in everything(store.records, "localhost", "limen.abuse"))
        assert ledger.forget("localhost", "ada") == 0

    def test_a_row_takes_the_place_of_the_one_before(self, ledger: AbuseLedger) -> None:
        ledger.flush([_row("a"), _row("b")], 0.0)
        ledger.flush([_row("a", data="[2]"), _row("b", data=None), _row("never", data=None)], 0.0)
        assert ledger.load(0.0) == [_row("a", data="[2]")]

    def test_the_newest_row_counts_however_many_batches_there_were(self, ledger: AbuseLedger) -> None:
        for number in range(140):
            ledger.flush(
                [_row(str(number % 7), data=f"[{number}]"), _row("gone", data=None if number % 2 else "[]")], 0.0
            )
        assert {row.key: row.data for row in ledger.load(0.0)} == {str(n % 7): f"[{n}]" for n in range(133, 140)}

    def test_what_is_over_is_forgotten_by_and_by(self, store: Any, ledger: AbuseLedger) -> None:
        ledger.flush([_row("192.0.2.99", until=10.0)], 0.0)
        for number in range(128):
            ledger.flush([_row(str(number))], 20.0)
        assert not any("192.0.2.99" in row.fields for row in everything(store.records, "localhost", "limen.abuse"))

    def test_a_row_that_is_over_hides_the_one_before(self, ledger: AbuseLedger) -> None:
        """Else an origin that was forgiven would be as bad as ever once the forgiving row is dropped."""
        ledger.flush([_row("a", until=100.0, data="[9]")], 0.0)
        for name in "bcd":
            ledger.flush([_row(name)], 0.0)
        ledger.flush([_row("a", until=10.0, data="[0]")], 0.0)
        for number in range(9):
            ledger.flush([_row(str(number))], 20.0)
            assert "a" not in {row.key for row in ledger.load(20.0)}

    @pytest.mark.parametrize(
        ("which", "left"),
        [
            ({}, set()),
            ({"domain": "localhost"}, {("other.example", "a")}),
            ({"key": "a"}, {("localhost", "b")}),
            ({"domain": "localhost", "key": "a"}, {("localhost", "b"), ("other.example", "a")}),
        ],
    )
    def test_clear_forgets_what_is_named(
        self, ledger: AbuseLedger, which: dict[str, str], left: set[tuple[str, str]]
    ) -> None:
        ledger.flush([_row("a")], 0.0)
        ledger.flush([_row("b"), _row("a", domain="other.example")], 0.0)
        assert ledger.clear(**which) == 3 - len(left)
        assert {(row.domain, row.key) for row in ledger.load(0.0)} == left

    def test_a_thousand_rows_are_one_batch(self, store: Any, ledger: AbuseLedger) -> None:
        ledger.flush([_row(str(n)) for n in range(1000)], 0.0)
        assert store.records.last("localhost") == 1
        assert len(ledger.load(0.0)) == 1000

    @pytest.mark.parametrize("seed", range(5))
    def test_what_one_server_has_flushed_is_news_to_the_other(self, store: Any, seed: int) -> None:
        """Nothing is missed, wherever the batches of both are put together; what is old news seldom comes again."""
        chance = random.Random(seed)  # noqa: S311 it only picks an order
        servers = AbuseLedger(store.records), AbuseLedger(store.records)
        flushed: list[set[str]] = [set(), set()]
        heard: list[set[str]] = [set(), set()]
        for number in range(60):
            which = chance.randrange(2)
            if chance.random() < 0.6:
                servers[which].flush([_row(str(number))], 0.0)
                flushed[which].add(str(number))
            else:
                heard[which] |= {row.key for row in servers[which].news("localhost", 0.0)}
        for which, server in enumerate(servers):
            heard[which] |= {row.key for row in server.news("localhost", 0.0)}
            assert heard[which] >= flushed[1 - which]
            assert server.news("localhost", 0.0) == []
        servers[0].flush([_row("mine")], 0.0)
        assert servers[0].news("localhost", 0.0) == []
        assert servers[0].news("other.example", 0.0) == []

    def test_the_ledger_keeps_no_history(self, store: Any, ledger: AbuseLedger) -> None:
        for number in range(10):
            ledger.flush([_row(str(number))], 0.0)
        for version in everything(store.records, "localhost", "limen.abuse"):
            assert len(store.records.history("localhost", "limen.abuse", version.uuid)) == 1
        assert store.records.transaction("localhost", store.records.last("localhost")) is None

    def test_the_ledger_is_there_after_opening_again(self, store: Any, ledger: AbuseLedger) -> None:
        ledger.flush([_row("a")], 0.0)
        other = self.again(store)
        if other is not None:
            assert AbuseLedger(other.records).load(0.0) == [_row("a")]
            other.close()
