"""Where a Chromium is on this machine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
NONE_FOUND = "The tests run in a real browser, and no Chromium was found."
REMEDIES = (
    "Debian:          sudo apt-get install chromium",
    "elsewhere:       .venv/bin/playwright install chromium",
    "or say where:    LIMEN_CHROMIUM=/path/to/chromium make test",
)


def find() -> str | None:
    """Path of a Chromium: what LIMEN_CHROMIUM says, else the first on the PATH, else one that playwright fetched."""
    if said := os.environ.get("LIMEN_CHROMIUM"):
        return said if os.access(said, os.X_OK) else None
    for name in NAMES:
        if path := shutil.which(name):
            return path
    cache = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache" / "ms-playwright")
    fetched = sorted(cache.glob("chromium*/*/chrome")) + sorted(cache.glob("chromium*/*/*headless*shell"))
    return str(fetched[-1]) if fetched else None
