"""Processes that serve together (`limen serve --workers N`) share the claim on an SQLite file, and write in turns."""

from __future__ import annotations

name = ""
"""What the processes of one server have in common: their supervisor's process id and a random word; "" in a process
that serves alone. Set before the first store is opened."""


def join(group: str) -> None:
    """This process is one of *group* from now on; stores that are open already are not shared."""
    global name
    name = group
