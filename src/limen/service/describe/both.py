"""Types that are told one way as an argument and another way as a result.

A field with a default may be left out of what is sent, and is always there in what comes. So a class may need two
declarations: `Item` as it comes, `ItemInput` as it is sent; where both would say the same there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from msgspec import inspect as mi

from limen.service.describe.description import Description
from limen.service.describe.types import NAMED, inside

Way = Literal["in", "out"]
Declare = Callable[[mi.Type, Way], str]
"""The declaration of a named type, as text without its own name; other named types by `Both.name`."""


class Both:
    """Which named types of *description* are sent, which come, and what each is called then."""

    def __init__(self, description: Description, declare: Callable[[Both, mi.Type, Way], str]) -> None:
        self._types = description.types
        self._declare = declare
        self._reached: dict[Way, dict[str, mi.Type]] = {"in": {}, "out": {}}
        for service in description.services:
            for parameter in service.parameters:
                self._reach(parameter.type, "in")
            self._reach(service.result, "out")
        taken = {name for name, _ in self._types.named()}
        self._input = {name: _free(f"{name}Input", taken) for name in sorted(taken)}
        self._apart: set[str] = set()
        twice = self._reached["in"].keys() & self._reached["out"].keys()
        while True:  # a class that holds one with two names has two itself
            more = {
                name
                for name in twice - self._apart
                if self.declared(self._reached["in"][name], "in") != self.declared(self._reached["in"][name], "out")
            }
            if not more:
                break
            self._apart |= more

    def _reach(self, node: mi.Type, way: Way) -> None:
        node = self._types.known(node)
        if isinstance(node, NAMED):
            name = self._types.name(node)
            if name in self._reached[way]:
                return
            self._reached[way][name] = node
        for each in inside(node):
            self._reach(each, way)

    def name(self, node: mi.Type, way: Way) -> str:
        """What *node* is called when it goes that *way*."""
        name = self._types.name(node)
        return self._input[name] if way == "in" and name in self._apart else name

    def declared(self, node: mi.Type, way: Way) -> str:
        return self._declare(self, node, way)

    def declarations(self) -> Iterator[tuple[str, mi.Type, str]]:
        """Name, type and declaration of all that is reached, by name."""
        told: dict[str, tuple[mi.Type, str]] = {}
        for way in ("out", "in"):
            for node in self._reached[way].values():
                told.setdefault(self.name(node, way), (node, self.declared(node, way)))
        yield from ((name, *told[name]) for name in sorted(told))


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name
