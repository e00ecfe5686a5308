"""Where the proxies are that the tests put before Limen."""

from __future__ import annotations

import os
import shutil

NAMES = ("nginx", "haproxy", "caddy")
"""Also what their packages are called on Debian."""


def find(name: str) -> str | None:
    """Path of a proxy: on the PATH, or where Debian puts what is for root."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))


def not_found(*names: str) -> str:
    """What is said where some are missing."""
    return f"Tests behind {', '.join(names)} need that program.\n    Debian:  sudo apt-get install {' '.join(names)}"
