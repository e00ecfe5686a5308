"""Paths of Unix sockets."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

LONGEST_SOCKET: Final = 100
"""Bytes of a path that every system takes for a socket (Linux takes 107, macOS 103)."""


@contextlib.contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """*path* as the kernel takes it for a socket: in a hundred bytes; a longer one by way of its folder."""
    if len(os.fsencode(path)) <= LONGEST_SOCKET:
        yield os.fspath(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
