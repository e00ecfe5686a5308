"""The scenarios of vectors/nodes.json, as JavaScript plays them (js/test/nodes.scenarios.js), in each placement: all
nodes without a connection, on one, and on a connection each."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path as File
from typing import Any

import pytest
from houses import NOTHING, House, is_empty

from limen import exc
from limen.base.path import Path
from limen.node.context import NodeContext
from limen.node.declared import call, handler
from limen.node.node import Node
from limen.node.proxy import Proxy
from limen.node.signal import Signal
from limen.testing import MemoryConnection, gen_ctx

VECTORS = json.loads((File(__file__).parents[2] / "vectors" / "nodes.json").read_text())
TOLD = {
    "bind": "on_node_bind",
    "unbind": "on_node_unbind",
    "register": "on_node_register",
    "success": "on_node_registration_success",
    "unregister": "on_node_unregister",
    "add": "on_node_add",
}


class Scenario(Node):
    """What a node of the scenarios is: `about` in the vectors."""

    on_foo = Signal()
    on_bar = Signal()
    its_name = ""

    @call
    def echo(self, value: Any) -> Any:
        return value

    @call
    async def add(self, a: int, b: int) -> int:
        return a + b

    @call
    def where(self) -> Path:
        return self.node_path

    @call
    def me(self) -> Node:
        return self

    @call
    async def ask(self, node: Node, text: str) -> Any:
        return await node.echo(text)  # type: ignore[attr-defined]

    @call
    def address(self, value: Any) -> str:
        return str(value if isinstance(value, Path) else value.node_path)

    @call
    def kind(self, value: Any) -> str:
        return "path" if isinstance(value, Path) else "node" if isinstance(value, Proxy) else "neither"

    @call
    def refuse(self) -> None:
        raise exc.Forbidden("Not you.")

    @call
    def fail(self) -> None:
        raise TypeError("a secret")

    @call
    async def count(self, n: int) -> AsyncIterator[int]:
        for number in range(n):
            yield number

    @call("total")
    def sum_up(self) -> int:
        return 7

    @call(".")
    def itself(self) -> str:
        return "itself"

    def hidden(self) -> None: ...
    def _private(self) -> None: ...


class Play:
    """One scenario under way. *contexts*: of each place."""

    def __init__(self, contexts: dict[str, NodeContext], connections: list[MemoryConnection], house: House) -> None:
        self.contexts, self.connections, self.house = contexts, connections, house
        self.nodes: dict[str, Any] = {}
        self.told: list[str] = []
        self.heard: dict[str, list[Any]] = {}
        self.connected: dict[str, Any] = {}
        self.leaving: asyncio.Future[None] | None = None

    async def step(self, step: dict[str, Any]) -> None:
        verb = next(getattr(self, f"do_{key}") for key in step if hasattr(self, f"do_{key}"))
        if "raises" not in step:
            await verb(**step)
            return
        name, words = step.pop("raises")
        with pytest.raises(ExceptionGroup if name == "many" else getattr(exc, name)) as caught:
            await verb(**step)
        if name != "many":
            assert type(caught.value).__name__ == name
            assert words in str(caught.value)

    async def do_node(
        self,
        node: str,
        listens: Any = (),
        fails: str | None = None,
        grows: dict[str, str] | None = None,
        leaves: str | None = None,
    ) -> None:
        heard = self.heard[node] = []
        body: dict[str, Any] = {}

        def telling(what: str, signal: str) -> Any:
            def tell(self_: Scenario, *child: Any) -> None:
                self.told.append(" ".join([node, what, *(one.its_name for one in child)]))
                if fails == signal:
                    raise ValueError("as it was told to")

            return handler(signal)(tell)

        for what, signal in TOLD.items():
            body[f"told_{what}"] = telling(what, signal)

        async def grow(self_: Scenario) -> None:
            for name, child in (grows or {}).items():
                await self_.node_add(name, self.nodes[child])
            if leaves is not None:
                self.leaving = asyncio.ensure_future(self.nodes[leaves].node_unbind())
                await asyncio.sleep(0)  # it has begun

        body["grow"] = handler("on_node_bind")(grow)
        for i, address in enumerate(listens):
            body[f"heard_{i}"] = handler(address)(lambda self_, *args: heard.append(list(args)))
        made = self.nodes[node] = type("Scenario", (Scenario,), body)()
        made.its_name = node

    async def do_bind(self, bind: str, at: str, on: str, base: str | None = None, roles: Any = None) -> None:
        more = {} if roles is None else {"resolvers": (lambda role, path: roles.get(role),)}
        await self.nodes[bind].node_bind(at if ".." in at else Path(at, base), self.contexts[on].new(**more))

    async def do_add(self, add: str, to: str, **as_: str) -> None:
        await self.nodes[to].node_add(as_["as"], self.nodes[add])

    async def do_remove(self, remove: str, **from_: str) -> None:
        await self.nodes[from_["from"]].node_remove(remove)

    async def do_unbind(self, unbind: str, times: int = 1) -> None:
        await asyncio.gather(*(self.nodes[unbind].node_unbind() for _ in range(times)))

    async def do_assign(self, assign: str, to: str, **as_: str) -> None:
        setattr(self.nodes[to], as_["as"], self.nodes[assign])

    async def do_path(
        self,
        path: str,
        base: str | None = None,
        name: str | None = None,
        root: str | None = None,
        parent: Any = ...,
        **is_: Any,
    ) -> None:
        node = self.nodes[path]
        assert node.node_bound is (is_["is"] is not None)
        if is_["is"] is None:
            with pytest.raises(exc.InvalidCall):
                assert node.node_path
            return
        assert str(node.node_path) == is_["is"]
        assert base is None or str(node.node_path.base) == base
        assert root is None or node.node_root is self.nodes[root]
        assert parent is ... or node.node_parent is (parent and self.nodes[parent])
        assert name is None or node.node_name == name

    async def do_children(self, children: str, are: dict[str, str]) -> None:
        node = self.nodes[children]
        assert dict(node.node_children) == {name: self.nodes[child] for name, child in are.items()}
        assert all(getattr(node, name) is self.nodes[child] for name, child in are.items())

    async def do_resolve(self, resolve: str, by: str, **is_: str) -> None:
        assert str(self.nodes[by].remote(resolve).node_path) == is_.get("is")

    async def do_call(self, call: str, what: str, by: str, args: Any = (), gives: Any = ...) -> None:
        given = [self.argument(arg, by) for arg in args]
        result = await self.nodes[by].remote(call).node_call(what, *given)
        assert gives is ... or self.spelt(result) == gives

    async def do_values(self, values: str, what: str, by: str, gives: Any, args: Any = ()) -> None:
        proxy = self.nodes[by].remote(values)
        assert [self.spelt(value) async for value in proxy.node_values(what, *args)] == gives

    async def do_say(self, say: str, args: Any, of: str = "", at: str = "", by: str = "") -> None:
        said = getattr(self.nodes[of] if of else self.nodes[by].remote(at), say)
        await said.notify(*(self.argument(arg, of or by) for arg in args))

    async def do_connect(self, connect: str, signal: str, by: str) -> None:
        hear = self.connected.setdefault(by, lambda *args: self.heard[by].append(list(args)))
        await getattr(self.nodes[by].remote(connect), signal).connect(hear)

    async def do_disconnect(self, disconnect: str, signal: str, by: str) -> None:
        await getattr(self.nodes[by].remote(disconnect), signal).disconnect(self.connected[by])

    async def do_told(self, told: list[str]) -> None:
        assert self.told == told
        self.told.clear()

    async def do_heard(self, heard: str, **is_: Any) -> None:
        for each in self.connections:  # a router hands out events and calls in the order in which they came
            undo = await each.session.register("test.settled", lambda invoked: None)
            for other in self.connections:
                await other.session.apply("test.settled")
            await undo()
        assert self.spelt(self.heard[heard]) == is_["is"]
        self.heard[heard].clear()

    async def do_nothing(self, nothing: str) -> None:
        assert is_empty(self.contexts[nothing].tree)
        if all(is_empty(context.tree) for context in self.contexts.values()):
            assert await self.house.left() == (NOTHING, NOTHING)

    def argument(self, arg: Any, by: str) -> Any:
        if isinstance(arg, list):
            return [self.argument(each, by) for each in arg]
        if not isinstance(arg, dict):
            return arg
        if "of" in arg:
            return self.nodes[arg["of"]]
        if "remote" in arg:
            return self.nodes[by].remote(arg["remote"])
        if "path" in arg:
            return Path(arg["path"], arg["base"])
        if "function" in arg:
            return lambda: None
        return {key: self.argument(each, by) for key, each in arg.items()}

    def spelt(self, value: Any) -> Any:
        if isinstance(value, Path):
            return {"path": str(value), "base": str(value.base)}
        if isinstance(value, Proxy):
            return {"remote": str(value.node_path)}
        if isinstance(value, list | tuple):
            return [self.spelt(each) for each in value]
        if isinstance(value, dict):
            return {key: self.spelt(each) for key, each in value.items()}
        return value


def by_pattern(scenario: Any) -> bool:
    """Whether somebody listens to all signals of a node, or the words of an error are those of the tree."""
    return any(
        any("on_" not in address for address in step.get("listens", ()))
        or step.get("raises") == ["NotFound", "a.b.total"]
        for step in scenario["steps"]
    )


PLACEMENTS = ("local", "one connection", "two connections", "without patterns")
PLACED = [
    pytest.param(scenario, placement, id=f"{scenario['name']}, {placement}")
    for scenario in VECTORS["scenarios"]
    for placement in PLACEMENTS
    if placement != "without patterns" or not by_pattern(scenario)
]


@pytest.mark.parametrize(("scenario", "placement"), PLACED)
async def test_scenario(scenario: Any, placement: str) -> None:
    scenario = json.loads(json.dumps(scenario))
    async with House(patterns=placement != "without patterns") as house:
        if placement == "local":
            connections, contexts = [], {"x": gen_ctx(), "y": gen_ctx()}
        else:
            number = 1 if placement == "one connection" else 2
            connections = [await house.connection() for _ in range(number)]
            contexts = {"x": connections[0].new_context(), "y": connections[-1].new_context()}
        play = Play(contexts, connections, house)
        for number, step in enumerate(scenario["steps"], 1):
            try:
                await play.step(step)
            except BaseException as error:
                error.add_note(f"step {number}: {step}")
                raise


class Wrapping:
    """A wrapper that says its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(self, next: Any, address: str, args: Any, kwargs: Any) -> str:
        return f"{self.name}({await next(address, args, kwargs)})"


@pytest.mark.parametrize("scenario", VECTORS["contexts"], ids=lambda scenario: scenario["name"])
async def test_context(scenario: Any) -> None:
    contexts: dict[str, NodeContext] = {}
    for step in scenario["steps"]:
        match step:
            case {"context": name, "names": names, **more}:
                wraps = {kind: Wrapping(said) for kind, said in more.get("wraps", {}).items()}
                above = contexts.get(more.get("below", ""))
                contexts[name] = (above.new if above is not None else NodeContext)(**names, **wraps)
            case {"get": name, "of": of, "is": value}:
                assert contexts[of].get(name) == value
            case {"has": name, "of": of, "is": value}:
                assert (name in contexts[of]) is value
            case {"names": of, "are": names}:
                assert list(contexts[of]) == names
            case {"set": name, "of": of, "to": value}:
                setattr(contexts[of], name, value)
            case {"wrapped": kind, "of": of, "is": value}:

                async def innermost(address: str, args: Any, kwargs: Any) -> str:
                    return address

                assert await contexts[of].wrapped(kind, innermost)("x", (), {}) == value
