"""The gate of a router that keeps nobody: no accounts, no slots, no keys; the ledger is in memory and goes with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from limen.core.guard.ledger import Ledger
from limen.door.hub.gate import Gate

if TYPE_CHECKING:
    from limen.base.config import Config


class _Nobody:
    """All stores of people at once: what is asked for is not there, and what is told is forgotten."""

    def get(self, *_: Any) -> None:
        return None

    def list(self, *_: Any) -> list[Any]:
        return []

    def touch(self, *_: Any) -> None: ...

    def flush(self, *_: Any) -> None: ...


def open_gate(config: Config) -> Gate:
    nobody: Any = _Nobody()  # as far as a router without sealed logins asks them
    return Gate(
        config,
        accounts=nobody,
        slots=nobody,
        ledger=Ledger(config),
        ledger_store=nobody,
        once=nobody,
        machines=nobody,
        keys=nobody,
    )
