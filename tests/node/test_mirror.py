"""The dictionary of a node, mirrored: the machines of both sides, and the two tied together by a router."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from waiting import followed, until

from limen import Node, batch, exc
from limen.base.values import natural
from limen.core.react import ReactiveDict
from limen.node.context import Next, NodeContext
from limen.node.mirror import Gap, Mirror, Sender
from limen.node.tree import Tree
from limen.testing import connections
from vectors import vectors


# -- the sending side ---------------------------------------------------------------------------------------------
def test_first_a_snapshot_then_what_changes() -> None:
    data = ReactiveDict[str, Any](a=1)
    sender = Sender(data)
    assert sender.take() == ["snapshot", 1, {"a": 1}]
    assert sender.take() is None
    data["b"] = 2
    assert sender.take() == ["changes", 2, [["b", 2]]]
    with batch():
        data["a"] = 3
        del data["b"]
    assert sender.take() == ["changes", 3, [["a", 3], ["b"]]]


def test_what_changed_before_the_snapshot_is_told_once() -> None:
    data = ReactiveDict[str, Any](a=1)
    sender = Sender(data)
    data["a"] = 2
    assert sender.take() == ["snapshot", 1, {"a": 2}]
    assert sender.take() is None


def test_what_changes_while_nobody_takes_is_merged_and_bounded() -> None:
    data = ReactiveDict[str, Any](a=0)
    sender = Sender(data)
    sender.take()
    for number in range(1000):
        data["a"] = number
        data[f"passing {number}"] = 1
        del data[f"passing {number}"]
    assert len(sender._log.before) == 1
    assert sender.take() == ["changes", 2, [["a", 999]]]
    data["a"] = 5
    data["a"] = 999
    assert sender.take() is None
    sender.close()
    data["a"] = 6
    assert not data._logs


# -- the receiving side -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("scenario", vectors("mirror")["scenarios"], ids=lambda row: row["name"])
def test_scenario(scenario: dict[str, Any]) -> None:
    mirror, told = Mirror("test.a"), []
    mirror.watch(lambda changes: told.append(sorted([change.kind, change.key] for change in changes)))
    for step in scenario["steps"]:
        match step:
            case {"take": message, "gap": True}:
                with pytest.raises(Gap):
                    mirror.take(message)
            case {"take": message}:
                mirror.take(message)
            case {"lost": _}:
                mirror.lost()
            case {"holds": data}:
                assert natural(dict(mirror), "json") == data
            case {"synced": synced}:
                assert mirror.synced is synced
            case {"told": changes}:
                assert told == changes
                told.clear()
            case _:
                raise AssertionError(f"What is {step}?")


def test_a_mirror_is_read_only() -> None:
    mirror = Mirror("test.a")
    mirror.take(["snapshot", 1, {"a": [1, {"b": 2}]}])
    for change in (
        lambda: mirror.update(a=1),
        lambda: mirror.pop("a"),
        mirror.clear,
        lambda: mirror.setdefault("b", 1),
    ):
        with pytest.raises(exc.InvalidCall, match=r"call what changes test\.a there"):
            change()
    with pytest.raises(exc.InvalidCall, match="read only"):
        mirror["a"] = 1
    with pytest.raises(exc.InvalidCall, match="read only"):
        del mirror["a"]
    assert mirror["a"] == (1, {"b": 2})


class Mirroring(RuleBasedStateMachine):
    """Any changes, by a line that delivers late, loses messages and breaks: in the end the mirror is as its source."""

    def __init__(self) -> None:
        super().__init__()
        self.data = ReactiveDict[str, Any]()
        self.mirror = Mirror("test.a")
        self.seen: dict[str, Any] = {}
        self.mirror.watch(self.told)

    def told(self, changes: Any) -> None:
        for change in changes:
            assert change.old != change.new
            if change.kind == "removed":
                del self.seen[change.key]
            else:
                self.seen[change.key] = change.new

    @initialize()
    def asked(self) -> None:
        self.sender = Sender(self.data)
        self.line: list[Any] = []

    @rule(key=st.sampled_from("abc"), value=st.sampled_from([None, 0, 1, "x", (1, 2)]))
    def a_key_is_set(self, key: str, value: Any) -> None:
        self.data[key] = value

    @rule(key=st.sampled_from("abc"))
    def a_key_goes(self, key: str) -> None:
        self.data.pop(key, None)

    @rule(changes=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 1) | st.none())))
    def a_batch(self, changes: list[tuple[str, int | None]]) -> None:
        with batch():
            for key, value in changes:
                if value is None:
                    self.data.pop(key, None)
                else:
                    self.data[key] = value

    @rule()
    def the_sender_has_room(self) -> None:
        message = self.sender.take()
        if message is not None:
            self.line.append(message)

    @rule()
    def a_message_comes(self) -> None:
        if self.line:
            try:
                self.mirror.take(self.line.pop(0))
            except Gap:
                self.asks_anew()

    @rule(data=st.data())
    def a_message_is_lost(self, data: st.DataObject) -> None:
        if self.line:
            self.line.pop(data.draw(st.integers(0, len(self.line) - 1)))

    @rule()
    def the_connection_breaks(self) -> None:
        self.mirror.lost()
        self.asks_anew()

    def asks_anew(self) -> None:
        self.sender.close()
        self.asked()

    @rule()
    def all_that_is_under_way_comes(self) -> None:
        for _ in range(3):  # a gap may be noticed by the last message alone
            self.the_sender_has_room()
            while self.line:
                self.a_message_comes()
            if self.mirror.synced and self.mirror == self.data:
                return
            self.the_connection_breaks()
        raise AssertionError(f"{self.mirror} is not {self.data}")

    @invariant()
    def whoever_watches_has_seen_what_the_mirror_holds(self) -> None:
        assert self.seen == dict(self.mirror)

    @invariant()
    def memory_is_bounded(self) -> None:
        assert len(self.sender._log.before) <= 8

    def teardown(self) -> None:
        self.all_that_is_under_way_comes()


TestMirroring = Mirroring.TestCase
TestMirroring.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


# -- tied together ------------------------------------------------------------------------------------------------
@asynccontextmanager
async def two(source: Node, reader: Node) -> AsyncIterator[Any]:
    """*source* at test.source by one connection, *reader* at test.reader by another."""
    async with connections(2) as (a, b):
        await source.node_bind("test.source", a.new_context())
        await reader.node_bind("test.reader", b.new_context())
        yield a, b
        await source.node_unbind()
        await reader.node_unbind()


async def test_a_mirror_follows_its_node() -> None:
    source, reader = Node(), Node()
    source.update(a=1, deep={"x": [1, 2]})
    async with two(source, reader):
        mirror = await reader.remote("test.source").stream()
        assert (dict(mirror), mirror.synced, mirror.closed) == ({"a": 1, "deep": {"x": (1, 2)}}, True, False)
        told: list[list[str]] = []
        mirror.watch(lambda changes: told.append([change.key for change in changes]))
        source.update(a=2, b=3)
        await followed(lambda: mirror.get("b") == 3)
        del source["deep"]
        await followed(lambda: "deep" not in mirror)
        assert (dict(mirror), told) == ({"a": 2, "b": 3}, [["a", "b"], ["deep"]])


async def test_a_mirror_of_a_node_of_the_same_connection() -> None:
    context = NodeContext(tree=Tree())
    source, reader = Node(), Node()
    source["a"] = None
    await source.node_bind("test.source", context)
    await reader.node_bind("test.reader", context)
    mirror = await reader.remote("test.source").stream()
    source["a"] = {"x": [1]}
    await followed(lambda: mirror.get("a") == {"x": (1,)})
    await source.node_unbind()
    await followed(lambda: mirror.closed)
    assert dict(mirror) == {"a": {"x": (1,)}}


async def test_a_mirror_ends_when_its_node_is_unbound() -> None:
    source, reader = Node(), Node()
    source["first"] = "word"
    async with two(source, reader):
        mirror = await reader.remote("test.source").stream()
        source["last"] = "word"
        await source.node_unbind()
        await followed(lambda: mirror.closed)
        assert (dict(mirror), mirror.synced) == ({"first": "word", "last": "word"}, False)
        assert not source._state._logs
        await asyncio.wait_for(mirror._task, 10)


async def test_a_mirror_ends_with_the_node_that_asked_for_it_or_by_close() -> None:
    source, reader = Node(), Node()
    source["a"] = 1
    async with two(source, reader):
        one = await reader.remote("test.source").stream()
        other = await reader.remote("test.source").stream()
        one.close()
        one.close()
        assert (one.closed, other.closed) == (True, False)
        await reader.node_unbind()
        assert (other.closed, other.synced, dict(other)) == (True, False, {"a": 1})
        while source._state._logs:  # the callee is told by an INTERRUPT
            await asyncio.sleep(0)


async def test_what_is_not_there_has_no_mirror() -> None:
    reader = Node()
    async with two(Node(), reader):
        with pytest.raises(exc.NotFound):
            await reader.remote("test.nobody").stream()


@pytest.mark.parametrize("whose", ["reader", "source"])
async def test_after_a_break_a_mirror_is_in_step_again_by_what_is_different(whose: str) -> None:
    source, reader = Node(), Node()
    source.update(kept=1, changed=1, gone=1)
    async with two(source, reader) as (a, b):
        mirror = await reader.remote("test.source").stream()
        told: list[Any] = []
        mirror.watch(lambda changes: told.append(sorted((change.kind, change.key) for change in changes)))
        line = b if whose == "reader" else a
        line.cut(away=True)
        await followed(lambda: not mirror.synced)
        assert dict(mirror) == {"kept": 1, "changed": 1, "gone": 1}
        source.update(changed=2, new=1)
        del source["gone"]
        line.come_back()
        await followed(lambda: mirror.synced)
        assert dict(mirror) == dict(source) == {"kept": 1, "changed": 2, "new": 1}
        assert told == [[("added", "new"), ("changed", "changed"), ("removed", "gone")]]


async def test_a_break_before_the_first_snapshot_is_waited_out() -> None:
    source, reader = Node(), Node()
    source["a"] = 1
    async with two(source, reader) as (_, b):
        begins = asyncio.create_task(reader.remote("test.source").stream())
        while not b.session._calls._sent:
            await asyncio.sleep(0)
        b.cut()
        assert not begins.done()
        assert dict(await begins) == {"a": 1}


async def test_any_client_can_read_the_stream() -> None:
    source = Node()
    source["a"] = [1]
    async with connections(2) as (a, b):
        await source.node_bind("test.source", a.new_context())
        messages = b.session.stream("test.source.node_stream")
        assert natural(await anext(messages), "json") == ["snapshot", 1, {"a": [1]}]
        source["a"] = {"b": True}
        assert natural(await anext(messages), "json") == ["changes", 2, [["a", {"b": True}]]]
        await source.node_unbind()
        with pytest.raises(StopAsyncIteration):
            await anext(messages)


async def test_a_mirror_that_may_not_follow_any_more_says_so(caplog: pytest.LogCaptureFixture) -> None:
    allowed = True

    async def guard(next: Next, address: str, args: Any, kwargs: Any) -> Any:
        if not allowed:
            raise exc.Forbidden("No longer.")
        return await next(address, args, kwargs)

    async with (
        connections(2) as (a, b),
        Node().bound("test.source", a.new_context(wrap_invocation=guard)) as source,
        Node().bound("test.reader", b.new_context()) as reader,
    ):
        source["a"] = 1
        mirror = await reader.remote("test.source").stream()
        allowed = False
        a.cut()
        await until(lambda: "the mirror of test.source is out of step" in caplog.text)
        assert "No longer." in caplog.text
        allowed = True
        await followed(lambda: mirror.synced)
        assert dict(mirror) == {"a": 1}


async def test_who_follows_a_mirror_and_fails_does_not_stop_it() -> None:
    source, reader = Node(), Node()
    source["a"] = 1
    failures: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context["exception"]))
    async with two(source, reader):
        mirror = await reader.remote("test.source").stream()
        mirror.watch(lambda changes: 1 // 0)
        source["a"] = 2
        await followed(lambda: mirror["a"] == 2)
        source["a"] = 3
        await followed(lambda: mirror["a"] == 3)
        assert ([type(error) for error in failures], mirror.synced) == ([ZeroDivisionError] * 2, True)


async def test_nodes_in_a_mirror_are_proxies_of_whoever_reads() -> None:
    source, reader = Node(), Node()
    source["friend"] = None
    async with two(source, reader):
        source["friend"] = source.node_path
        source["list"] = [source.remote("test.reader")]
        mirror = await reader.remote("test.source").stream()
        assert mirror["friend"] == source.node_path
        assert str(mirror["list"][0].node_path) == "test.reader"
