"""Nodes added, removed, bound and unbound, connections lost and back, in any order: a model says who is reached."""

from __future__ import annotations

import asyncio
from typing import Any

from houses import NOTHING, House, is_empty
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from waiting import in_turns

from limen import exc
from limen.base.path import Path
from limen.node.connection import when_connected
from limen.node.declared import call, handler
from limen.node.node import Node
from limen.node.signal import Signal

TEST = Path("test")
NODES, NAMES, ROOTS = range(5), ("x", "y"), ("one", "two")


class Live(Node):
    on_foo = Signal()

    def __init__(self, number: int) -> None:
        self.number = number
        self.told: list[str] = []
        self.heard = 0

    @call
    def who(self) -> int:
        return self.number

    @handler("on_foo")
    def hear(self) -> None:
        self.heard += 1

    @handler("on_node_bind")
    async def born(self) -> None:
        self.told.append("bind")
        await asyncio.sleep(0)

    @handler("on_node_unbind")
    async def gone(self) -> None:
        self.told.append("unbind")
        await asyncio.sleep(0)


class Trees(RuleBasedStateMachine):
    """*parents*: node to (parent, name); *roots*: bound roots by address. Each operation is awaited, or begun beside
    another one that must not disturb it."""

    patterns = True

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.nodes = [Live(number) for number in NODES]
        self.parents: dict[int, tuple[int, str]] = {}
        self.roots: dict[str, int] = {}
        self.away = False

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    @initialize()
    def begin(self) -> None:
        async def begin() -> None:
            self.house = House(self.patterns)
            self.here, self.there = await self.house.connection(), await self.house.connection()
            self.asking = Node()
            await self.asking.node_bind(TEST + "asking", self.there.new_context())

        self.run(begin())

    # -- the model ----------------------------------------------------------------------------------------------
    def path(self, node: int) -> str | None:
        """Where it stands; None: nowhere."""
        if node in self.parents:
            parent, name = self.parents[node]
            above = self.path(parent)
            return None if above is None else f"{above}.{name}"
        return next((address for address, root in self.roots.items() if root == node), None)

    def above(self, node: int) -> list[int]:
        return [node, *(self.above(self.parents[node][0]) if node in self.parents else [])]

    def leave(self, node: int) -> None:
        self.parents.pop(node, None)
        self.roots = {address: root for address, root in self.roots.items() if root != node}

    # -- what happens -------------------------------------------------------------------------------------------
    @rule(node=st.sampled_from(NODES), at=st.sampled_from(ROOTS))
    @precondition(lambda self: not self.away)
    def bind(self, node: int, at: str) -> None:
        work = self.nodes[node].node_bind(TEST + at, self.here.new_context())
        if node in self.parents or self.path(node) is not None:
            self.refused(work, exc.InvalidCall)
        elif f"test.{at}" in self.roots:
            self.refused(work, exc.InvalidAddress)
        else:
            self.run(work)
            self.roots[f"test.{at}"] = node

    @rule(parent=st.sampled_from(NODES), node=st.sampled_from(NODES), name=st.sampled_from(NAMES))
    @precondition(lambda self: not self.away)
    def add(self, parent: int, node: int, name: str) -> None:
        work = self.nodes[parent].node_add(name, self.nodes[node])
        if node in self.parents or self.path(node) is not None or node in self.above(parent):
            self.refused(work, exc.InvalidCall)
        elif (parent, name) in self.parents.values():
            self.refused(work, exc.InvalidAddress)
        else:
            self.run(work)
            self.parents[node] = parent, name

    @rule(node=st.sampled_from(NODES))
    def unbind(self, node: int) -> None:
        self.run(self.nodes[node].node_unbind())
        self.leave(node)

    @rule(parent=st.sampled_from(NODES), name=st.sampled_from(NAMES))
    def remove(self, parent: int, name: str) -> None:
        child = next((node for node, place in self.parents.items() if place == (parent, name)), None)
        work = self.nodes[parent].node_remove(name)
        if child is None:
            self.refused(work, exc.NotFound)
        else:
            self.run(work)
            self.leave(child)

    @rule(nodes=st.lists(st.sampled_from(NODES), min_size=2, max_size=4))
    def unbind_together(self, nodes: list[int]) -> None:
        async def together() -> None:
            await asyncio.gather(*(self.nodes[node].node_unbind() for node in nodes))

        self.run(together())
        for node in nodes:
            self.leave(node)

    @rule(node=st.sampled_from(NODES), at=st.sampled_from(ROOTS), turns=st.integers(0, 12), cancel=st.booleans())
    @precondition(lambda self: not self.away)
    def bind_in_vain(self, node: int, at: str, turns: int, cancel: bool) -> None:
        """A bind that is cancelled or unbound after some turns of the loop."""
        if node in self.parents or self.path(node) is not None or f"test.{at}" in self.roots:
            return

        async def vain() -> None:
            binding = asyncio.ensure_future(self.nodes[node].node_bind(TEST + at, self.here.new_context()))
            for _ in range(turns + 1):
                await asyncio.sleep(0)
            if cancel:
                binding.cancel()
            await asyncio.gather(self.nodes[node].node_unbind(), binding, return_exceptions=True)
            await self.nodes[node].node_unbind()

        self.run(vain())

    @rule()
    @precondition(lambda self: not self.away)
    def lose(self) -> None:
        async def lose() -> None:
            self.here.cut(away=True)
            await in_turns(lambda: self.here.state == "offline")

        self.run(lose())
        self.away = True

    @rule()
    @precondition(lambda self: self.away)
    def restore(self) -> None:
        async def restore() -> None:
            self.here.come_back()
            await when_connected(self.here)

        self.run(restore())
        self.away = False

    def refused(self, work: Any, error: type[Exception]) -> None:
        try:
            self.run(work)
        except error:
            return
        raise AssertionError(f"{error.__name__} was due")

    # -- what must be so ----------------------------------------------------------------------------------------
    @invariant()
    def all_is_where_the_model_says(self) -> None:
        for number, node in enumerate(self.nodes):
            path = self.path(number)
            assert node.node_bound is (path is not None)
            assert path is None or str(node.node_path) == path
            children = {name: child for child, (parent, name) in self.parents.items() if parent == number}
            assert {name: child.number for name, child in node.node_children.items()} == children  # type: ignore[attr-defined]
            assert node.told == ["bind", "unbind"] * (len(node.told) // 2) + ["bind"] * (path is not None)
            assert node.node_away is (self.away and path is not None)
        found = {str(address): node.number for address, node in self.here.tree.nodes.items()}  # type: ignore[attr-defined]
        assert found == {path: node for node in NODES if (path := self.path(node)) is not None}

    @invariant()
    def those_and_no_others_are_reached(self) -> None:
        if self.away:
            return

        async def reached() -> None:
            remote = self.asking.remote
            for root in ROOTS:
                for below in ("", ".x", ".y", ".x.y"):
                    path = f"test.{root}{below}"
                    node = next((node for node in NODES if self.path(node) == path), None)
                    try:
                        assert await remote(path).who() == node
                    except exc.NotFound:
                        assert node is None
                    if node is not None:
                        before = self.nodes[node].heard
                        await remote(path).on_foo.notify()
                        await remote(path).who()  # behind the event
                        assert self.nodes[node].heard == before + 1

        self.run(reached())

    def teardown(self) -> None:
        async def end() -> None:
            for node in self.nodes:
                await node.node_unbind()
            await self.asking.node_unbind()
            self.here.come_back()
            await when_connected(self.here)
            assert is_empty(self.here.tree)
            assert await self.house.left() == (NOTHING, NOTHING)
            await self.house.__aexit__()

        try:
            if hasattr(self, "house"):
                self.run(end())
        finally:
            self.runner.close()


class WithoutPatterns(Trees):
    patterns = False


FEW = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestTrees = Trees.TestCase
TestTrees.settings = FEW
TestWithoutPatterns = WithoutPatterns.TestCase
TestWithoutPatterns.settings = FEW
