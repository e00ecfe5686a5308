"""Calls through proxies: near (one connection) and far (two) there is no difference but the wire."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import pytest
import pytest_asyncio
from houses import House
from waiting import in_turns

from limen import exc
from limen.base.path import Path
from limen.node.context import Next, NodeContext
from limen.node.declared import call
from limen.node.node import Node
from limen.node.proxy import Proxy
from limen.node.signal import Signal

TEST = Path("test")


class SoldOutShop(exc.Error):
    """Nothing of it is left."""


class Shop(Node):
    on_foo = Signal()
    secret = "s"
    _private = "p"

    def __init__(self) -> None:
        self.log: list[Any] = []

    @call
    def keep(self, *args: Any, **kwargs: Any) -> Any:
        self.log.append((args, kwargs))
        return args[0] if args else kwargs

    @call
    async def forever(self) -> None:
        self.log.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            self.log.append("ended")

    @call
    async def count(self, end: int) -> AsyncIterator[Any]:
        try:
            for number in range(end):
                self.log.append(self.node_context.call and self.node_context.call.uri)
                yield [self, number]
        finally:
            self.log.append(("closed", self.node_context.call and self.node_context.call.uri))

    @call
    def plain(self, end: int) -> Iterator[int]:
        yield from range(end)

    @call
    async def breaks(self, end: int) -> AsyncIterator[int]:
        yield 1
        raise SoldOutShop("No more.", left=0)

    @call
    async def crashes(self) -> AsyncIterator[int]:
        yield 1
        raise KeyError("secret")

    @call
    def sold_out(self) -> None:
        raise SoldOutShop("No bolts.", article="bolt")

    @call
    def fails(self) -> None:
        raise KeyError("secret")

    @call
    async def is_canceled(self) -> None:
        raise asyncio.CancelledError

    @call
    def typed(self, number: int, node: Node, proxies: list[Proxy], path: Path, maybe: Node | None = None) -> list[str]:
        assert type(node) is Proxy
        return [type(one).__name__ for one in (node, *proxies, path, maybe)]

    @call
    def who(self) -> list[Any]:
        invoked = self.node_context.call
        assert invoked is not None
        return [invoked.uri, invoked.args]

    @call
    async def relay(self, proxy: Any, name: str, *args: Any) -> Any:
        return await getattr(proxy, name)(*args)

    @call(".")
    def itself(self) -> str:
        return "itself"

    @staticmethod
    @call
    def static(value: int) -> int:
        return value + 1


class There:
    """A shop and who asks it."""

    def __init__(self, house: House, asking: Node, shop: Shop, asked: NodeContext) -> None:
        self.house, self.asking, self.shop, self.asked = house, asking, shop, asked
        self.proxy = asking.remote("@shop")


@pytest_asyncio.fixture(params=["near", "far"])
async def there(request: Any) -> AsyncIterator[There]:
    async with House() as house:
        here = await house.connection()
        other = here if request.param == "near" else await house.connection()
        asking, shop, asked = Node(), Shop(), other.new_context()
        await asking.node_bind(TEST + "asking", here.new_context())
        await shop.node_bind(TEST + "shop", asked)
        yield There(house, asking, shop, asked)


# -- time-outs and cancellation ---------------------------------------------------------------------------------
async def test_a_time_out_ends_what_runs_there(there: There) -> None:
    for proxy, more in ((there.asking.remote("@shop", timeout=0.05), {}), (there.proxy, {"timeout": 0.05})):
        there.shop.log.clear()
        with pytest.raises(exc.Timeout):
            await proxy.node_call("forever", **more)
        await in_turns(lambda: there.shop.log == ["begun", "ended"])


async def test_to_cancel_ends_what_runs_there(there: There) -> None:
    calling = asyncio.ensure_future(there.proxy.forever())
    await in_turns(lambda: there.shop.log == ["begun"])
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    await in_turns(lambda: there.shop.log == ["begun", "ended"])


@pytest.mark.filterwarnings("error:coroutine .* was never awaited")
async def test_of_a_call_that_is_cancelled_before_it_has_begun_nothing_is_left(there: There) -> None:
    async def wrap(next: Next, *call: Any) -> Any:
        return await next(*call)

    async with Node().bound(TEST + "wrapped", there.asking.node_context.new(wrap_call=wrap)) as wrapped:
        for proxy in (there.proxy, there.asking.remote("@shop", timeout=9), wrapped.remote("@shop")):
            calling = asyncio.ensure_future(proxy.forever())
            calling.cancel()
            await asyncio.wait([calling])
            assert calling.cancelled()
    assert there.shop.log == []


async def test_to_cancel_reaches_through_two_nodes(there: There) -> None:
    calling = asyncio.ensure_future(there.proxy.relay(there.proxy, "forever"))
    await in_turns(lambda: there.shop.log == ["begun"])
    calling.cancel()
    await in_turns(lambda: there.shop.log == ["begun", "ended"])


# -- streams ----------------------------------------------------------------------------------------------------
async def test_a_stream_comes_one_by_one_and_as_a_list(there: There) -> None:
    seen = [(await shop.static(number), number) async for shop, number in there.proxy.node_values("count", 3)]
    assert seen == [(1, 0), (2, 1), (3, 2)]
    assert await there.proxy.plain(3) == [0, 1, 2] == [value async for value in there.proxy.node_values("plain", 3)]
    assert [type(one) for one, _ in await there.proxy.count(2)] == [Proxy, Proxy]
    assert [value async for value in there.proxy.node_values("static", 3)] == []


async def test_the_call_in_progress_is_known_while_a_generator_runs(there: There) -> None:
    async for _ in there.proxy.node_values("count", 2):
        assert there.asking.node_context.call is None
    await in_turns(lambda: len(there.shop.log) == 3)
    assert there.shop.log == ["test.shop.count"] * 2 + [("closed", "test.shop.count")]


async def test_a_stream_that_is_left_early_is_closed_there(there: There) -> None:
    async with aclosing(there.proxy.node_values("count", 10**9)) as values:  # type: ignore[type-var]
        async for _, number in values:
            if number == 2:
                break
    await in_turns(lambda: bool(there.shop.log) and there.shop.log[-1] == ("closed", "test.shop.count"))


async def test_a_stream_that_breaks_gives_its_error(there: There, caplog: pytest.LogCaptureFixture) -> None:
    values = there.proxy.node_values("breaks", 1)
    assert await anext(values) == 1  # type: ignore[call-overload]
    with pytest.raises(SoldOutShop) as failed:
        await anext(values)  # type: ignore[call-overload]
    assert failed.value.facts == {"left": 0}
    with caplog.at_level(logging.ERROR), pytest.raises(exc.InternalError):
        await there.proxy.crashes()
    with caplog.at_level(logging.ERROR), pytest.raises(exc.InternalError):
        assert [value async for value in there.proxy.node_values("crashes")]
    with pytest.raises(exc.InvalidArguments, match="end"):
        assert [value async for value in there.proxy.node_values("count")]
    with pytest.raises(exc.NotFound):
        assert [value async for value in there.proxy.node_values("nothing")]


# -- errors -----------------------------------------------------------------------------------------------------
async def test_errors_are_what_they_were_and_failures_tell_nothing(
    there: There, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SoldOutShop, match="No bolts") as refused:
        await there.proxy.sold_out()
    assert refused.value.facts == {"article": "bolt"}
    with caplog.at_level(logging.ERROR), pytest.raises(exc.InternalError) as failed:
        await there.proxy.fails()
    assert "secret" not in str(failed.value.to_wire())
    assert "KeyError: 'secret'" in caplog.text
    with pytest.raises(exc.Canceled):
        await there.proxy.is_canceled()


async def test_an_error_without_a_class_here_is_a_remote_error() -> None:
    async with House() as house:
        here, other = await house.connection(), await house.connection()

        def refuse(invoked: Any) -> None:
            raise exc.RemoteError("Closed on Sundays.", uri="com.example.closed")

        await other.session.register("test.bakery.bake", refuse)
        asking = Node()
        await asking.node_bind(TEST + "asking", here.new_context())
        with pytest.raises(exc.RemoteError, match="Sundays") as refused:
            await asking.remote("@bakery").bake()
        assert refused.value.remote_uri == "com.example.closed"


# -- arguments --------------------------------------------------------------------------------------------------
async def test_wrong_arguments_name_the_field(there: There) -> None:
    me = there.asking
    with pytest.raises(exc.InvalidArguments) as refused:
        await there.proxy.typed("x", me, [1], "test.x", nobody=1)
    assert set(refused.value.facts["fields"]) >= {"number", "proxies[0]", "path", "nobody"}
    with pytest.raises(exc.InvalidArguments) as refused:
        await there.proxy.typed(1)
    assert set(refused.value.facts["fields"]) == {"node", "proxies", "path"}


async def test_annotations_of_nodes_and_paths_take_what_comes_for_them(there: There) -> None:
    me = there.asking
    assert await there.proxy.typed(1, me, [me, there.proxy], TEST + "x", me) == ["Proxy"] * 3 + ["Path", "Proxy"]
    assert await there.proxy.typed(1, node=me, proxies=[], path=TEST) == ["Proxy", "Path", "NoneType"]


async def test_nodes_proxies_and_paths_are_passed_at_any_depth(there: There) -> None:
    back = await there.proxy.keep({"a": [there.asking, (there.proxy, {"b": TEST + "x"})]}, more=there.proxy.child)
    (kept,), named = there.shop.log[-1]
    assert kept["a"][0].node_path == there.asking.node_path
    assert kept["a"][1][0] == there.shop.remote("test.shop")
    assert kept["a"][1][1]["b"] is TEST + "x" is back["a"][1][1]["b"]
    assert str(named["more"].node_path) == "test.shop.child"
    assert back["a"][0] == there.asking.remote("@asking")
    assert back["a"][0].node_path.base == TEST
    assert await there.proxy.relay(there.asking.remote("@shop"), "static", 4) == 5
    assert await back["a"][1][0].static(1) == 2  # a proxy of a proxy


async def test_what_is_odd_is_refused_or_passes_as_it_is(there: There) -> None:
    looped: list[Any] = []
    looped.append(looped)
    for value in (looped, object(), {"a": Node()}, [there.shop.on_foo]):
        with pytest.raises(exc.InvalidValue):
            await there.proxy.keep(value)
    for address in ({"$path": "a..b"}, {"$path": 7}, {"$path": "a", "$base": []}, {"$path": "wamp.session.kill_all"}):
        with pytest.raises(exc.InvalidCall):
            await there.proxy.keep(address)
    for plain in ({"$path": "a", "more": 1}, {"$base": "a"}, [], {}, "x" * 100_000, 2**60, None, b"x"):
        assert await there.proxy.keep(plain) == plain


async def test_arguments_are_copies(there: There) -> None:
    mine: Any = {"list": [1]}
    back = await there.proxy.keep(mine)
    there.shop.log[-1][0][0]["list"].append(2)
    assert mine == back == {"list": [1]}


# -- what crosses -----------------------------------------------------------------------------------------------
async def test_what_is_private_or_no_call_does_not_cross(there: There) -> None:
    for name in ("_private", "_perform", "__class_getitem__"):
        with pytest.raises(AttributeError, match="private"):
            getattr(there.proxy, name)
    for name in ("_private", "child._private", "_child.keep"):
        with pytest.raises(exc.InvalidCall, match="private"):
            await there.proxy.node_call(name)
        with pytest.raises(exc.InvalidCall, match="private"):
            assert [value async for value in there.proxy.node_values(name)]
    with pytest.raises(AttributeError, match="never travel"):
        there.proxy.on_node_bind  # noqa: B018
    session = there.asking.node_context.session
    for name in (
        "_private",
        "_perform",
        "secret",
        "log",
        "on_foo",
        "on_foo.notify",
        "node_unbind",
        "node_context",
        "x",
    ):
        with pytest.raises(exc.NotFound):
            await session.apply(f"test.shop.{name}")
    assert await session.apply("test.shop") == await there.proxy() == await there.proxy.node_call(".") == "itself"
    assert not hasattr(there.proxy, "_x")


async def test_the_call_in_progress(there: There) -> None:
    assert await there.proxy.who() == ["test.shop.who", []]
    assert there.asking.node_context.call is None


# -- wrappers ---------------------------------------------------------------------------------------------------
async def test_wrappers_stand_round_calls_and_streams_on_both_sides(there: There) -> None:
    seen: list[Any] = []

    def noting(what: str) -> Any:
        async def wrapper(next: Any, address: str, args: Any, kwargs: Any) -> Any:
            seen.append((what, address, there.shop.node_context.call is not None))
            if address.endswith("static"):
                args = (args[0] * 10,)
            return await next(address, args, kwargs)

        return wrapper

    there.asking.node_context.wrap_call = noting("out")
    there.asked.wrap_invocation = noting("in")
    assert await there.proxy.static(1) == 101  # both multiply
    assert [value async for value in there.proxy.node_values("plain", 2)] == [0, 1]
    assert seen == [
        ("out", "test.shop.static", False),
        ("in", "test.shop.static", True),
        ("out", "test.shop.plain", False),
        ("in", "test.shop.plain", True),
    ]

    async def refuse(next: Any, address: str, args: Any, kwargs: Any) -> Any:
        raise exc.Forbidden("Not in this branch.")

    there.asked.wrap_invocation = refuse
    with pytest.raises(exc.Forbidden, match="Not in this branch"):
        await there.proxy.static(1)


async def test_a_node_that_leaves_is_not_called_any_more(there: There) -> None:
    await there.shop.node_unbind()
    with pytest.raises(exc.NotFound):
        await there.proxy.static(1)
    await there.asking.node_unbind()
    with pytest.raises(exc.InvalidCall, match="not bound"):
        await there.proxy.static(1)
