"""The same suites by way of `submit`, which is what async callers use."""

from __future__ import annotations

from typing import Any

import pytest

PATIENCE = 30.0
"""Seconds that a commit may take in these tests."""


class Submitting:
    """The records of a store for suites that only know `commit`: each one is submitted, and waited for."""

    def __init__(self, records: Any) -> None:
        self._records = records

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    def commit(self, *given: Any, **named: Any) -> int:
        done: int = self._records.submit(*given, **named).result(PATIENCE)
        return done


class BySubmit:
    """Put before a suite, it runs all of it by `submit`: `class TestMyStoreBySubmit(BySubmit, TestMyStore): pass`."""

    @pytest.fixture(autouse=True)
    def _by_submit(self, store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(store, "records", Submitting(store.records))
