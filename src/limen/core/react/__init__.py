"""Reactive state: values, what is computed from them, effects that follow both, and dictionaries that say what changed.

`signals.py` is the engine, in one file with its invariants; below it, `reading.py` knows who reads. `effects.py`
and `dictionary.py` stand on both.
"""

from limen.core.react.dictionary import ABSENT, Change, Log, ReactiveDict
from limen.core.react.effects import Effect, effect
from limen.core.react.reading import is_followed, untracked
from limen.core.react.signals import Computed, Cycle, Value, batch

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
