"""What docstrings show is what happens."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import limen

ROOT = Path(limen.__file__).parent
SHOWN = [
    ".".join(("limen", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    for path in sorted(ROOT.rglob("*.py"))
    if "\n>>> " in (text := path.read_text("utf-8")) or "    >>> " in text
]


def test_there_are_examples() -> None:
    assert len(SHOWN) > 50


@pytest.mark.parametrize("module", SHOWN)
def test_the_examples_of_a_module_hold(module: str) -> None:
    assert doctest.testmod(importlib.import_module(module)).failed == 0
