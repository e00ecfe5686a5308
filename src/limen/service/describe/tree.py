"""Addresses as the tree that they are.

>>> tree(["todo", "todo.add"])["todo"].uri, list(tree(["todo", "todo.add"])["todo"].branches)
('todo', ['add'])
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Node:
    """*uri*: the address of the service that stands here, "" where none does. *branches*: what stands below."""

    uri: str = ""
    branches: dict[str, Node] = field(default_factory=dict)


Branch = dict[str, Node]


def tree(uris: Iterable[str]) -> Branch:
    """The tree of *uris*, in their order."""
    root = Node()
    for uri in uris:
        at = root
        for segment in uri.split("."):
            at = at.branches.setdefault(segment, Node())
        at.uri = uri
    return root.branches
