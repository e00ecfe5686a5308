"""Binds that fail half-way, and what happens at the same time: nothing of it is left, and it can be bound again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from houses import NOTHING, House, is_empty
from waiting import in_turns

from limen import exc
from limen.base.path import Path
from limen.node.declared import call, handler
from limen.node.node import Node
from limen.node.signal import Signal
from limen.testing import gen_ctx

TEST = Path("test")


class Told(Node):
    """Notes what it is told; `at` a signal it does what it is given."""

    on_foo = Signal()

    def __init__(self, log: list[str] | None = None, name: str = "", **at: Any) -> None:
        self.log, self.name, self.at = [] if log is None else log, name, at

    @call
    def rpc(self) -> str:
        return "done"

    @call
    def other(self) -> str:
        return "other"

    @handler("@elsewhere.on_foo")
    def hear(self) -> None: ...

    async def _note(self, what: str) -> None:
        self.log.append(f"{self.name} {what}".strip())
        if what in self.at:
            await self.at[what](self)

    @handler("on_node_bind")
    async def _a(self) -> None:
        await self._note("bind")

    @handler("on_node_register")
    async def _b(self) -> None:
        await self._note("register")

    @handler("on_node_registration_success")
    async def _c(self) -> None:
        await self._note("success")

    @handler("on_node_registration_failure")
    async def _d(self, error: BaseException) -> None:
        await self._note(f"failure {type(error).__name__}")

    @handler("on_node_unbind")
    async def _e(self) -> None:
        await self._note("unbind")

    @handler("on_node_unregister")
    async def _f(self) -> None:
        await self._note("unregister")

    @handler("on_node_add")
    async def _g(self, child: Node) -> None:
        await self._note("add")


async def fail(node: Node) -> None:
    raise ValueError("as it was told to")


@pytest_asyncio.fixture(params=["patterns", "exact"])
async def house(request: Any) -> AsyncIterator[House]:
    async with House(patterns=request.param == "patterns") as house:
        yield house


@pytest.mark.parametrize("what", ["bind", "register", "success"])
@pytest.mark.parametrize("who", ["root", "child"])
async def test_a_handler_that_fails(house: House, what: str, who: str) -> None:
    here = await house.connection()
    log: list[str] = []
    root, child = (Told(log, name, **({what: fail} if name == who else {})) for name in ("root", "child"))
    await root.node_add("child", child)
    with pytest.raises(ExceptionGroup, match="on_node_") as failed:
        await root.node_bind("test.root", here.new_context())
    assert isinstance(failed.value.exceptions[0], ValueError)
    assert is_empty(here.tree)
    assert await house.left() == (NOTHING, NOTHING)
    assert not root.node_bound
    assert not child.node_bound
    assert root.node_children == {"child": child}
    assert log.count("root bind") == log.count("root unbind") == 1
    assert log.count("child bind") == log.count("child unbind")
    root.at.clear()
    child.at.clear()
    await root.node_bind("test.root", here.new_context())
    assert await root.remote("test.root.child").rpc() == "done"


@pytest.mark.parametrize(
    "refused", ["test.root.", "test.root.child.rpc", "test.elsewhere.on_foo", "test.root.child.on_foo", "test.root.rpc"]
)
async def test_what_the_router_refuses(house: House, refused: str) -> None:
    here = await house.connection()
    house.refused.add(refused)
    log: list[str] = []
    root, child = Told(log, "root"), Told(log, "child")
    await root.node_add("child", child)
    if not (refused.endswith(".") is house.patterns or "elsewhere" in refused):
        await root.node_bind(TEST + "root", here.new_context())  # of that this router is not asked
        return
    with pytest.raises(exc.Unauthorized) as error:
        await root.node_bind(TEST + "root", here.new_context())
    assert refused in str(error.value)
    assert "realm_rule(" in str(error.value)
    assert is_empty(here.tree)
    assert "root failure Unauthorized" in log
    assert "child failure Unauthorized" in log
    assert "root success" not in log
    await in_turns(lambda: _is_nothing(house))
    house.refused.clear()
    await root.node_bind(TEST + "root", here.new_context())
    await root.node_unbind()


async def _is_nothing(house: House) -> bool:
    return await house.left() == (NOTHING, NOTHING)


async def test_a_cancellation_at_any_moment_leaves_nothing(house: House) -> None:
    here = await house.connection()

    async def pause(node: Node) -> None:
        await asyncio.sleep(0)

    ended = False
    for turns in range(60):
        root = Told(bind=pause, register=pause, success=pause, unbind=pause)
        await root.node_add("child", Told(bind=pause))
        binding = asyncio.ensure_future(root.node_bind(TEST + "root", here.new_context()))
        for _ in range(turns):
            await asyncio.sleep(0)
        if not binding.cancel():
            await root.node_unbind()
            ended = True
        with contextlib.suppress(asyncio.CancelledError):
            await binding
        assert is_empty(here.tree)
        assert not root.node_bound
        assert not any(child.node_bound for child in root.node_children.values())
        if ended:
            break
    assert ended
    await in_turns(lambda: _is_nothing(house))
    await Told().node_bind(TEST + "root", here.new_context())


async def test_a_second_cancellation_does_not_stop_the_clearing_up(house: House) -> None:
    here = await house.connection()
    held = asyncio.Event()

    async def wait(node: Node) -> None:
        await held.wait()

    root = Told(success=wait, unbind=wait)
    binding = asyncio.ensure_future(root.node_bind(TEST + "root", here.new_context()))
    for said in ("success", "unbind"):
        await in_turns(lambda said=said: said in root.log)  # type: ignore[misc]
        binding.cancel()
    await asyncio.wait([binding])
    held.set()
    await root.node_unbind()  # waits for what is under way
    assert is_empty(here.tree)
    assert not root.node_bound
    assert await house.left() == (NOTHING, NOTHING)


async def test_to_unbind_at_any_moment_of_a_bind_leaves_nothing(house: House) -> None:
    here = await house.connection()

    async def pause(node: Node) -> None:
        await asyncio.sleep(0)

    for who in ("root", "child"):
        for turns in range(60):
            root, child = Told(bind=pause, register=pause, success=pause), Told(bind=pause, unbind=pause)
            await root.node_add("child", child)
            binding = asyncio.ensure_future(root.node_bind(TEST + "root", here.new_context()))
            for _ in range(turns):
                await asyncio.sleep(0)
            done = binding.done()
            leaver = root if who == "root" else child
            await leaver.node_unbind()
            assert not leaver.node_bound or turns == 0
            if who == "root" and not done and turns:
                with pytest.raises(exc.InvalidCall, match="unbound while it was being bound"):
                    await binding
            else:
                await binding
                await root.node_unbind()
            assert is_empty(here.tree)
            assert root.log.count("bind") == root.log.count("unbind") <= 1
            assert child.log.count("bind") == child.log.count("unbind") <= 1
            if done:
                break
        else:
            raise AssertionError("it was never bound")
    await in_turns(lambda: _is_nothing(house))


async def test_to_unbind_in_a_handler_of_bind_ends_the_bind(house: House) -> None:
    here = await house.connection()

    async def leave(node: Node) -> None:
        await node.node_unbind()

    for what in ("bind", "register", "success"):
        root = Told(**{what: leave})
        with pytest.raises(exc.InvalidCall, match="unbound while it was being bound"):
            await root.node_bind(TEST + "root", here.new_context())
        assert is_empty(here.tree)
        assert root.log[-1] in ("unbind", "unregister")
    await in_turns(lambda: _is_nothing(house))


async def test_to_unbind_in_a_handler_of_unbind_waits_for_nothing() -> None:
    async def both(node: Node) -> None:
        await node.node_unbind()
        await node.node_root.node_unbind()
        with pytest.raises(exc.InvalidCall, match="being unbound"):
            await node.node_bind("elsewhere", gen_ctx())

    root, child = Told(unbind=both), Told(unbind=both)
    await root.node_add("child", child)
    await root.node_bind("root", gen_ctx())
    await asyncio.wait_for(root.node_unbind(), 5)
    assert root.log.count("unbind") == child.log.count("unbind") == 1


async def test_of_two_binds_at_once_one_wins() -> None:
    root = Told()
    outcomes = await asyncio.gather(
        root.node_bind("one", gen_ctx()), root.node_bind("two", gen_ctx()), return_exceptions=True
    )
    assert outcomes[0] is None
    assert isinstance(outcomes[1], exc.InvalidCall)
    assert str(root.node_path) == "one"
    assert list(gen_ctx().tree.nodes) == ["one"]


async def test_a_bind_waits_for_an_unbind_under_way() -> None:
    root = Told()
    await root.node_bind("one", gen_ctx())
    await asyncio.gather(root.node_unbind(), root.node_bind("two", gen_ctx()))
    assert str(root.node_path) == "two"
    assert root.log == ["bind", "register", "success", "unbind", "unregister", "bind", "register", "success"]


async def test_the_address_is_free_as_soon_as_its_node_leaves() -> None:
    one, two = Told(), Told()
    await one.node_bind("place", gen_ctx())
    leaving = asyncio.ensure_future(one.node_unbind())
    await asyncio.sleep(0)
    await two.node_bind("place", gen_ctx())
    await leaving
    assert gen_ctx().tree.nodes == {"place": two}


async def test_what_leaves_takes_no_children() -> None:
    async def add(node: Node) -> None:
        with pytest.raises(exc.InvalidCall, match="being unbound; add to it when that is done"):
            await node.node_add("late", Node())

    root = Told(unbind=add)
    await root.node_bind("root", gen_ctx())
    await root.node_unbind()
    await root.node_add("early", Node())
    assert list(root.node_children) == ["early"]


async def test_of_two_adds_of_one_name_one_wins() -> None:
    root, one, two = Told(), Told(), Told()
    await root.node_bind("root", gen_ctx())
    outcomes = await asyncio.gather(root.node_add("x", one), root.node_add("x", two), return_exceptions=True)
    assert outcomes[0] is None
    assert isinstance(outcomes[1], exc.InvalidAddress)
    assert root.node_children == {"x": one}
    assert not two.node_bound
    await root.node_add("y", two)


async def test_an_add_that_fails_leaves_the_parent_as_it_was(house: House) -> None:
    here = await house.connection()
    root = Told()
    await root.node_bind(TEST + "root", here.new_context())
    before = await house.left()
    bad = Told(success=fail)
    await bad.node_add("below", Told())
    with pytest.raises(ExceptionGroup):
        await root.node_add("bad", bad)
    assert not root.node_children
    assert bad.node_parent is None
    assert list(here.tree.nodes) == ["test.root"]
    assert await house.left() == before
    assert not hasattr(root, "bad")


async def test_who_is_added_by_a_handler_of_bind_leaves_with_it_and_comes_again(house: House) -> None:
    here = await house.connection()
    log: list[str] = []

    async def grow(node: Node) -> None:
        await node.node_add("guest", Told(log, "guest"))

    root, kept = Told(log, "root", bind=grow), Told(log, "kept")
    await root.node_add("kept", kept)
    log.clear()
    for _ in range(2):
        await root.node_bind(TEST + "root", here.new_context())
        assert list(root.node_children) == ["kept", "guest"]
        assert await root.remote("@root.guest").rpc() == "done"
        assert log.count("guest bind") == log.count("guest register") == log.count("guest success") == 1
        await root.node_unbind()
        assert list(root.node_children) == ["kept"]
        assert log.count("guest unbind") == 1
        log.clear()


async def test_who_is_added_while_the_router_is_asked_is_bound_too(house: House) -> None:
    here = await house.connection()

    async def grow(node: Node) -> None:
        await node.node_add("late", Told())

    for what in ("register", "success"):
        root = Told(**{what: grow})
        await root.node_bind(TEST + "root", here.new_context())
        late: Any = root.node_children["late"]
        assert late.log == ["bind", "register", "success"]
        assert await root.remote("@root.late").rpc() == "done"
        await root.node_unbind()
        assert is_empty(here.tree)
    await in_turns(lambda: _is_nothing(house))


async def test_who_is_added_too_late_for_a_bind_is_bound_for_itself(house: House) -> None:
    here = await house.connection()
    held = asyncio.Event()

    async def wait(node: Node) -> None:
        await held.wait()

    async def add(node: Node) -> None:
        adding.append(asyncio.ensure_future(node.node_add("late", late)))
        await asyncio.sleep(0)

    adding: list[asyncio.Future[None]] = []
    root, late = Told(register=add), Told(bind=wait)
    await root.node_bind(TEST + "root", here.new_context())
    held.set()
    await adding[0]
    assert late.log == ["bind", "register", "success"]
    assert await root.remote("@root.late").rpc() == "done"
    await root.node_unbind()
    assert is_empty(here.tree)


async def test_a_child_that_leaves_while_its_root_does_is_told_once() -> None:
    log: list[str] = []

    async def pause(node: Node) -> None:
        await asyncio.sleep(0)

    root, child = Told(log, "root", unbind=pause), Told(log, "child", unbind=pause)
    await root.node_add("child", child)
    for first, second in ((root, child), (child, root)):
        await root.node_bind("root", gen_ctx())
        log.clear()
        await asyncio.gather(first.node_unbind(), second.node_unbind())
        assert sorted(log) == ["child unbind", "child unregister", "root unbind", "root unregister"]
        assert child.node_parent is None
        assert not root.node_children
        assert is_empty(gen_ctx().tree)
        await root.node_add("child", child)


async def test_what_handlers_of_unbind_raise_is_raised_when_all_is_done(house: House) -> None:
    here = await house.connection()
    root = Told(unbind=fail, unregister=fail)
    await root.node_bind(TEST + "root", here.new_context())
    with pytest.raises(ExceptionGroup) as failed:
        await root.node_unbind()
    assert len(failed.value.exceptions) == 2
    assert is_empty(here.tree)
    assert await house.left() == (NOTHING, NOTHING)


async def test_who_offers_nothing_asks_the_router_for_nothing(house: House) -> None:
    here = await house.connection()
    root, quiet = Node(), Node()
    await root.node_bind(TEST + "root", here.new_context())
    await root.node_add("quiet", quiet)
    assert house.asked == []
    quiet["key"] = 1  # now it can be mirrored
    await in_turns(lambda: bool(house.asked))
    assert house.asked == [("register", "test.root." if house.patterns else "test.root.quiet.node_stream")]
    mirror = await root.remote("@root.quiet").stream()
    assert dict(mirror) == {"key": 1}
    mirror.close()
    await quiet.node_add("loud", Told())  # the first of them that offers something
    if house.patterns:
        assert sorted(house.asked) == [
            ("register", "test.root."),
            ("subscribe", "test.elsewhere.on_foo"),
            ("subscribe", "test.root."),
        ]
    await root.node_unbind()
    assert await house.left() == (NOTHING, NOTHING)


async def test_an_address_at_which_another_program_has_a_node_is_named(house: House) -> None:
    class Asked(Node):
        @call
        def rpc(self) -> None: ...

    here, there = await house.connection(), await house.connection()
    await Asked().node_bind(TEST + "root", here.new_context())
    with pytest.raises(exc.RemoteError, match=r"Somebody else stands at 'test\.root") as refused:
        await Asked().node_bind(TEST + "root", there.new_context())
    assert refused.value.remote_uri == "wamp.error.procedure_already_exists"
    assert is_empty(there.tree)
