"""Public test suites of Limen's ports (subclass one for your own adapter), and helpers for tests of programs:

| | |
|---|---|
| `limen.testing.fixtures` | pytest fixtures for a program's services |
| `connections`, `gen_ctx` | nodes in memory, with a router between them and without any ([memory.py](memory.py)) |
| `Clock` | an event loop whose time is told ([clock.py](clock.py)) |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .clock import Clock
    from .memory import MemoryConnection, connections, gen_ctx

__all__ = ["Clock", "MemoryConnection", "connections", "gen_ctx"]

_LATER = {"Clock": "clock", "MemoryConnection": "memory", "connections": "memory", "gen_ctx": "memory"}
"""Loaded when first asked for: not every test needs a router."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'limen.testing' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"limen.testing.{_LATER[name]}"), name)
