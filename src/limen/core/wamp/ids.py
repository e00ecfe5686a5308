"""Ids of subscriptions and registrations where several processes are one router: the same in all of them, without
asking."""

from __future__ import annotations

import hashlib
from collections.abc import Container
from typing import Final

MAX_COMMON: Final = 2**31 - 1
"""Small enough for every client: some read 64-bit integers of MessagePack as something else than a number."""


def common_id(match: str, uri: str, taken: Container[int] = ()) -> int:
    """1 to MAX_COMMON. Where another pattern of the same process has it (*taken*), the next free one: then, and only
    for that pattern, the processes may say different ones.

    >>> common_id("exact", "todo.add"), common_id("prefix", "todo.add")
    (852125226, 1830002149)
    >>> common_id("exact", "todo.add", {852125226})
    852125227
    """
    id = int.from_bytes(hashlib.sha256(f"{match} {uri}".encode()).digest()[:8]) >> 33
    while id == 0 or id in taken:
        id = (id + 1) % (MAX_COMMON + 1)
    return id
