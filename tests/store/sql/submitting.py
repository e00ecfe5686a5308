"""The records of a store for suites that only know `commit`."""

from __future__ import annotations

from typing import Any


class Submitting:
    """Each commit by way of `submit`, which is what async callers use."""

    def __init__(self, records: Any) -> None:
        self._records = records

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    def commit(self, *given: Any) -> int:
        return self._records.submit(*given).result(30)  # type: ignore[no-any-return]
