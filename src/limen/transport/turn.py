"""What is sent within one turn of the event loop leaves together, at its end."""

from __future__ import annotations

import asyncio
from typing import Protocol


class Flushing(Protocol):
    """Something that gathers what is sent."""

    def flush(self) -> None:
        """Sends what was gathered."""
        ...


class Turn:
    """Flushes each member once, at the end of the loop's turn in which it was added. One for each event loop."""

    def __init__(self) -> None:
        self._members: list[Flushing] = []

    def add(self, member: Flushing) -> None:
        """Flushes *member* at the end of this turn; to be called once in a turn, from within the loop."""
        if not self._members:
            asyncio.get_running_loop().call_soon(self._end)
        self._members.append(member)

    def _end(self) -> None:
        members, self._members = self._members, []
        for member in members:
            member.flush()
