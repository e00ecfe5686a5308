"""What holds of permissions, on every store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from limen.base.principal import Principal, State, current
from limen.core.guard.accounts import Permission
from limen.store.permissions import PERMISSION, Permissions
from limen.store.rows import key

from .people import THREADS, PeopleSuite


class PermissionStoreSuite(PeopleSuite):
    """The port is `limen.core.guard.accounts.PermissionStore`."""

    @pytest.fixture
    def permissions(self, store: Any) -> Permissions:
        return Permissions(store.records)

    def test_what_is_granted_is_there_until_it_is_revoked(self, permissions: Permissions) -> None:
        assert permissions.list() == []
        assert [permissions.grant("localhost", role, "ward.") for role in ("nurse", "chief")] == [True, True]
        assert permissions.grant("localhost", "nurse", "ward.") is False
        assert [p.role for p in permissions.list("localhost")] == ["chief", "nurse"]
        assert permissions.revoke("localhost", "nurse", "ward.") is True
        assert permissions.revoke("localhost", "nurse", "ward.") is False
        assert permissions.list() == [Permission("localhost", "chief", "ward.")]
        assert permissions.grant("localhost", "nurse", "ward.") is True

    def test_permissions_are_of_one_domain(self, permissions: Permissions) -> None:
        permissions.grant("localhost", "nurse", "ward.")
        assert permissions.list("other.example") == []
        assert permissions.revoke("other.example", "nurse", "ward.") is False
        assert permissions.changes("other.example") == 0

    def test_whoever_looks_learns_of_each_change(self, permissions: Permissions) -> None:
        """Also of two at once, and of what is given back."""
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda n: permissions.grant("localhost", "nurse", f"ward.r{n}"), range(THREADS)))
        assert permissions.changes("localhost") == THREADS
        permissions.revoke("localhost", "nurse", "ward.r1")
        permissions.grant("localhost", "nurse", "ward.r1")
        permissions.grant("localhost", "nurse", "ward.r1")
        assert permissions.changes("localhost") == THREADS + 2

    def test_who_gave_and_took_a_permission_stays_in_the_history(self, store: Any, permissions: Permissions) -> None:
        token = current.set(State(Principal("localhost", user="chief"), "ward.rules"))
        try:
            permissions.grant("localhost", "nurse", "ward.", reason="night shift")
            permissions.revoke("localhost", "nurse", "ward.")
        finally:
            current.reset(token)
        history = store.records.history("localhost", PERMISSION, key("nurse", "ward."))
        assert [(by.user, by.service, by.reason) for _, by in history] == [
            ("chief", "ward.rules", "night shift"),
            ("chief", "ward.rules", "revoked"),
        ]
