"""The stores: `dbm.MemDictStore()`, `dbm.SQLStore("sqlite:///todo.db")`, `dbm.SQLStore("postgresql://todo@host/todo")`.
Each is loaded when first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .store.memory import MemDictStore
    from .store.sql import SQLStore

__all__ = ["MemDictStore", "SQLStore"]


def __getattr__(name: str) -> Any:
    if name == "MemDictStore":
        from .store.memory import MemDictStore

        return MemDictStore
    if name == "SQLStore":
        from .store.sql import SQLStore

        return SQLStore
    raise AttributeError(f"module 'limen.dbm' has no attribute {name!r}")
