"""ARCHITECTURE.md leads to rooms that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TEXT = (ROOT / "ARCHITECTURE.md").read_text()
PLACES = [ROOT, ROOT / "src", ROOT / "src" / "limen", *(ROOT / "src" / "limen").rglob("*/")]


def test_every_file_that_it_names_exists() -> None:
    named = sorted({*re.findall(r"`([\w/]+\.(?:py|js|md|ini))`", TEXT)})
    assert len(named) > 40
    assert [name for name in named if not any((place / name).is_file() for place in PLACES)] == []


def test_every_folder_that_it_names_exists() -> None:
    named = sorted({*re.findall(r"`([\w/]+)/`", TEXT)})
    assert len(named) > 10
    assert [name for name in named if not any((place / name).is_dir() for place in PLACES)] == []
