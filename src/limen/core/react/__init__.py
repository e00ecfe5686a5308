"""Reactive state: values, what is computed from them, effects that follow both, and dictionaries that say what changed.

`signals.py` is the engine, in one file with its invariants; `effects.py` and `dictionary.py` stand on it.
"""

from limen.core.react.dictionary import ABSENT, Change, Log, ReactiveDict
from limen.core.react.effects import Effect, effect
from limen.core.react.signals import Computed, Cycle, Value, batch, is_followed, untracked

__all__ = [
    "ABSENT",
    "Change",
    "Computed",
    "Cycle",
    "Effect",
    "Log",
    "ReactiveDict",
    "Value",
    "batch",
    "effect",
    "is_followed",
    "untracked",
]
