"""Nodes that live in one process: binding, children, and what each is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from limen import exc
from limen.base.path import Path
from limen.node.context import NodeContext
from limen.node.declared import call, handler
from limen.node.node import Node
from limen.node.signal import Signal
from limen.node.tree import Tree


def context(**names: Any) -> NodeContext:
    """Of a tree that is in this process alone."""
    return NodeContext(tree=Tree(), **names)


def telling(log: list[str]) -> type[Node]:
    """A class of nodes that note in *log* what happens to them."""

    class Telling(Node):
        def __init__(self, name: str) -> None:
            self.name = name

        @handler("on_node_bind")
        def bound_(self) -> None:
            log.append(f"{self.name} bound")

        @handler("on_node_unbind")
        def unbound_(self) -> None:
            log.append(f"{self.name} unbound")

        @handler("on_node_registration_success")
        def registered_(self) -> None:
            log.append(f"{self.name} registered")

        @handler("on_node_unregister")
        def unregistered_(self) -> None:
            log.append(f"{self.name} unregistered")

        @handler("on_node_add")
        def added_(self, child: Node) -> None:
            log.append(f"{self.name} got {child.node_name}")

    return Telling


async def test_a_tree_is_bound_and_unbound_from_the_top_down_each_node_once() -> None:
    log: list[str] = []
    kind = telling(log)
    root, branch, leaf = kind("root"), kind("branch"), kind("leaf")
    await root.node_bind("test", context())
    await root.node_add("branch", branch)
    await branch.node_add("leaf", leaf)
    assert leaf.node_path == Path("test.branch.leaf")
    assert leaf.node_root is root
    assert leaf.node_parent is branch
    assert log == [
        "root bound",
        "root registered",
        "branch bound",
        "branch registered",
        "root got branch",
        "leaf bound",
        "leaf registered",
        "branch got leaf",
    ]
    log.clear()
    await root.node_unbind()
    assert log[:3] == ["root unbound", "branch unbound", "leaf unbound"]
    assert log[3:] == ["root unregistered", "branch unregistered", "leaf unregistered"]
    log.clear()
    await root.node_bind("other", context())
    assert log[:3] == ["root bound", "branch bound", "leaf bound"]
    assert str(leaf.node_path) == "other.branch.leaf"


async def test_what_a_handler_of_bind_adds_is_bound_with_it() -> None:
    class Root(Node):
        @handler("on_node_bind")
        async def begin(self) -> None:
            await self.node_add("child", Node())

    root = Root()
    tree = Tree()
    await root.node_bind("root", NodeContext(tree=tree))
    assert list(tree.nodes) == ["root", "root.child"]
    assert root.child.node_bound


async def test_an_error_half_way_leaves_nothing_bound() -> None:
    log: list[str] = []
    kind = telling(log)

    class Failing(Node):
        @handler("on_node_bind")
        def fail(self) -> None:
            raise ValueError("no")

    tree = Tree()
    root = kind("root")
    await root.node_add("bad", Failing())
    with pytest.raises(ExceptionGroup) as caught:
        await root.node_bind("root", NodeContext(tree=tree))
    assert isinstance(caught.value.exceptions[0], ValueError)
    assert not tree.nodes
    assert not root.node_bound
    assert log == ["root got bad", "root bound", "root unbound"]


async def test_an_address_is_taken_once() -> None:
    tree = context()
    one, two = Node(), Node()
    await one.node_bind("place", tree)
    with pytest.raises(exc.InvalidAddress, match="At place stands Node"):
        await two.node_bind("place", tree)
    assert one.node_bound
    assert not two.node_bound
    await one.node_unbind()
    await two.node_bind("place", tree)


async def test_a_second_unbind_waits_for_the_first() -> None:
    held, ended = asyncio.Event(), []

    class Slow(Node):
        @handler("on_node_unbind")
        async def wait(self) -> None:
            await held.wait()

    node = Slow()
    await node.node_bind("slow", context())

    async def unbind(name: str) -> None:
        await node.node_unbind()
        ended.append(name)

    both = [asyncio.create_task(unbind("first")), asyncio.create_task(unbind("second"))]
    await asyncio.sleep(0)
    held.set()
    await asyncio.gather(*both)
    assert ended == ["first", "second"]
    assert not node.node_bound
    await node.node_unbind()  # nothing happens


async def test_assigning_an_unbound_node_says_what_to_do() -> None:
    root = Node()
    with pytest.raises(exc.InvalidCall, match=r"await self\.node_add\('child', node\)"):
        root.child = Node()  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["_x", "on_x", "node_x", "a.b", "", "remote"])
async def test_a_child_has_a_name_that_can_be_an_attribute(name: str) -> None:
    with pytest.raises(exc.InvalidAddress):
        await Node().node_add(name, Node())


async def test_a_node_is_not_added_to_itself_or_below_itself() -> None:
    root, child = Node(), Node()
    await root.node_add("child", child)
    for above in (root, child):
        with pytest.raises(exc.InvalidCall):
            await child.node_add("again", above)


async def test_a_child_that_is_removed_is_no_attribute_any_more() -> None:
    root = Node()
    await root.node_bind("root", context())
    await root.node_add("child", Node())
    child = root.node_children["child"]
    assert root.child is child  # type: ignore[attr-defined]
    await root.node_remove("child")
    assert not hasattr(root, "child")
    assert not child.node_bound
    assert child.node_parent is None
    with pytest.raises(exc.NotFound):
        await root.node_remove("child")


async def test_calls_find_what_can_be_called_and_nothing_else() -> None:
    class Shop(Node):
        @call
        def add(self, number: int, more: int = 0) -> int:
            return number + more

        @call("total")
        async def _sum(self) -> str:
            return "sum"

        @call(".")
        def itself(self) -> str:
            return "shop"

        @call
        async def count(self, end: int) -> Any:
            for number in range(end):
                yield number

        def hidden(self) -> None: ...

    tree = context()
    asking = Node()
    async with Shop().bound("test.shop", tree), asking.bound(Path("test") + "asking", tree):
        shop = asking.remote("@shop")
        assert await shop.add(1, more=2) == 3
        assert await shop.total() == "sum"
        assert await shop() == "shop"
        assert await shop.count(3) == [0, 1, 2]
        assert [value async for value in shop.node_values("count", 2)] == [0, 1]
        with pytest.raises(exc.InvalidArguments):
            await shop.add("x")
        for name in ("hidden", "itself", "node_unbind", "other"):
            with pytest.raises(exc.NotFound):
                await getattr(shop, name)()
        with pytest.raises(AttributeError, match="private"):
            shop._sum  # noqa: B018


async def test_arguments_are_what_they_would_be_from_far() -> None:
    class Keeper(Node):
        @call
        def keep(self, value: Any) -> Any:
            self.kept = value
            return value

    tree = context()
    keeper, asking = Keeper(), Node()
    async with keeper.bound("test.keeper", tree), asking.bound(Path("test") + "asking", tree):
        there = asking.remote("@keeper")
        mine = [1, {"a": [2]}]
        back = await there.keep(mine)
        assert keeper.kept == mine == back
        assert keeper.kept is not mine
        assert keeper.kept[1] is not mine[1] is not back[1]
        with pytest.raises(exc.InvalidValue):
            await there.keep(object())
        with pytest.raises(exc.InvalidValue, match="bound nowhere"):
            await there.keep(Node())
        await there.keep([asking])
        assert keeper.kept[0].node_path == asking.node_path
        assert await there.keep(asking.node_path) is asking.node_path


async def test_a_branch_has_wrappers_of_its_own() -> None:
    seen: list[tuple[str, str]] = []

    class Echo(Node):
        on_said = Signal()

        @call
        def say(self, word: str) -> str:
            return word

    def noting(what: str) -> Any:
        async def wrapper(next: Any, address: str, args: Any, kwargs: Any) -> Any:
            seen.append((what, address))
            return await next(address, args, kwargs)

        return wrapper

    house = context(wrap_call=noting("house calls"), wrap_invocation=noting("house answers"))
    branch = house.new(wrap_call=noting("branch calls"), wrap_publish=noting("branch says"))
    echo, asking = Echo(), Echo()
    async with echo.bound("test.echo", house), asking.bound(Path("test") + "asking", branch):
        assert await asking.remote("@echo").say("hi") == "hi"
        await asking.on_said.notify()
        await echo.on_said.notify()
    assert seen == [
        ("house calls", "test.echo.say"),
        ("branch calls", "test.echo.say"),
        ("house answers", "test.echo.say"),
        ("branch says", "test.asking.on_said"),
    ]


def test_an_attribute_that_nodes_work_by_is_not_assigned_by_chance() -> None:
    class File(Node):
        def __init__(self) -> None:
            self._path = "/etc/hosts"  # type: ignore[assignment]

    with pytest.raises(exc.InvalidCall, match="_path is a name that nodes work by themselves"):
        File()
