"""What holds of what may be used once, on every store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from limen.store.once import BATCH, ONCE, Once
from limen.store.rows import everything

from .people import THREADS, PeopleSuite


class OnceStoreSuite(PeopleSuite):
    """The port is `limen.core.guard.accounts.OnceStore`."""

    def test_a_token_is_spent_once(self, once: Once) -> None:
        assert [once.spend("localhost", "ticket", b"one", 100.0) for _ in range(3)] == [True, False, False]
        assert once.spend("localhost", "ticket", b"two", 100.0) is True

    def test_tokens_of_two_kinds_or_domains_never_meet(self, once: Once) -> None:
        spent = [("localhost", "ticket"), ("localhost", "nonce"), ("other.example", "ticket")]
        assert all(once.spend(domain, scope, b"one", 100.0) for domain, scope in spent)
        assert once.spend("localhost", "tickets", b"ne", 100.0) is True
        assert not any(once.spend(domain, scope, b"one", 100.0) for domain, scope in spent)

    def test_of_many_who_spend_a_token_at_once_one_does(self, once: Once) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            spent = list(
                pool.map(lambda n: once.spend("localhost", "ticket", bytes([n % 4]), 100.0), range(4 * THREADS))
            )
        assert spent.count(True) == 4

    def test_what_is_over_is_forgotten_and_nothing_else(self, store: Any, once: Once) -> None:
        for number in range(BATCH + 3):
            once.spend("localhost", "ticket", b"%d" % number, 100.0)
        once.spend("other.example", "ticket", b"one", 100.0)
        once.spend("localhost", "ticket", b"later", 101.0)
        assert once.purge(100.0) == 0
        assert once.purge(100.5) == BATCH + 4
        assert len(everything(store.records, "localhost", ONCE)) == 1
        assert once.spend("localhost", "ticket", b"later", 101.0) is False
        assert once.purge(100.5) == 0

    def test_of_what_was_forgotten_nothing_is_left(self, store: Any, once: Once) -> None:
        once.spend("localhost", "ticket", b"one", 100.0)
        (version,) = everything(store.records, "localhost", ONCE)
        once.purge(101.0)
        assert store.records.read("localhost", ONCE, version.uuid)[1] is None
        assert store.records.transaction("localhost", store.records.last("localhost")) is None

    def test_what_was_spent_is_spent_after_opening_again(self, store: Any, once: Once) -> None:
        once.spend("localhost", "ticket", b"one", 100.0)
        other = self.again(store)
        if other is not None:
            assert Once(other.records).spend("localhost", "ticket", b"one", 100.0) is False
            other.close()
