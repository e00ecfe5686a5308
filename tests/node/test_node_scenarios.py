"""`vectors/nodes.json`: what nodes do in both languages, without a connection, of one, and of a connection each."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from limen import Node, NodeContext, Path, Proxy, Signal, call, exc, handler
from limen.node.tree import Tree
from limen.testing import connections
from vectors import vectors

SCENARIOS = vectors("nodes")["scenarios"]
CONTEXTS = vectors("nodes")["contexts"]
TOLD = {
    "bind": "on_node_bind",
    "unbind": "on_node_unbind",
    "register": "on_node_register",
    "success": "on_node_registration_success",
    "unregister": "on_node_unregister",
    "add": "on_node_add",
}


class Thing(Node):
    """What `about` says of the nodes of a scenario."""

    on_foo = Signal()
    on_bar = Signal()
    its_name: str

    @call
    def echo(self, value: Any) -> Any:
        return value

    @call
    async def add(self, a: Any, b: Any) -> Any:
        return a + b

    @call
    def where(self) -> Any:
        return self.node_path

    @call
    def me(self) -> Any:
        return self

    @call
    async def ask(self, node: Any, text: str) -> Any:
        return await node.echo(text)

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
        for i in range(n):
            yield i

    @call("total")
    def sum_up(self) -> int:
        return 7

    @call(".")
    def itself(self) -> str:
        return "itself"

    def hidden(self) -> None: ...

    def _private(self) -> None: ...


class Play:
    """One scenario under way. *contexts*: that of each place."""

    def __init__(self, contexts: dict[str, NodeContext], settle: Callable[[], Awaitable[None]]) -> None:
        self.contexts, self.settle = contexts, settle
        self.nodes: dict[str, Thing] = {}
        self.told: list[str] = []
        self.all_heard: dict[str, list[list[Any]]] = defaultdict(list)
        self.handlers: dict[str, Callable[..., None]] = {}

    async def step(self, step: dict[str, Any]) -> None:
        verb = next(key for key in step if hasattr(self, f"do_{key}"))
        do = getattr(self, f"do_{verb}")
        if "raises" not in step:
            await do(step)
            return
        name, words = step["raises"]
        if name == "many":
            with pytest.raises(ExceptionGroup):
                await do(step)
            return
        with pytest.raises(exc.Error) as raised:
            await do(step)
        assert type(raised.value).__name__ == name
        assert words in str(raised.value)

    async def do_node(self, step: dict[str, Any]) -> None:
        name, fails = step["node"], step.get("fails")
        members: dict[str, Any] = {"its_name": name, "__repr__": lambda node: f"Node({name})"}

        def telling(what: str, signal: str) -> Callable[..., None]:
            def told(node: Thing, child: Thing | None = None) -> None:
                self.told.append(f"{name} {what} {child.its_name}" if child else f"{name} {what}")
                if fails == signal:
                    raise ValueError("as it was told to")

            return told

        for what, signal in TOLD.items():
            members[f"told_{what}"] = handler(signal)(telling(what, signal))

        async def grow(node: Thing) -> None:
            for child, of in step.get("grows", {}).items():
                await node.node_add(child, self.nodes[of])
            if "leaves" in step:
                self.leaving = asyncio.ensure_future(self.nodes[step["leaves"]].node_unbind())
                await asyncio.sleep(0)  # it has begun

        members["grow"] = handler("on_node_bind")(grow)
        for i, address in enumerate(step.get("listens", ())):
            members[f"heard_{i}"] = handler(address)(lambda node, *args: self.all_heard[name].append(list(args)))
        self.nodes[name] = type("Scenario", (Thing,), members)()

    async def do_bind(self, step: dict[str, Any]) -> None:
        roles = step.get("roles", {})
        context = self.contexts[step["on"]].new(resolvers=(lambda role, path: roles.get(role),))
        await self.nodes[step["bind"]].node_bind(Path(step["at"], step.get("base")), context)

    async def do_add(self, step: dict[str, Any]) -> None:
        await self.nodes[step["to"]].node_add(step["as"], self.nodes[step["add"]])

    async def do_remove(self, step: dict[str, Any]) -> None:
        await self.nodes[step["from"]].node_remove(step["remove"])

    async def do_unbind(self, step: dict[str, Any]) -> None:
        node = self.nodes[step["unbind"]]
        await asyncio.gather(*(node.node_unbind() for _ in range(step.get("times", 1))))

    async def do_assign(self, step: dict[str, Any]) -> None:
        setattr(self.nodes[step["to"]], step["as"], self.nodes[step["assign"]])

    async def do_path(self, step: dict[str, Any]) -> None:
        node = self.nodes[step["path"]]
        assert node.node_bound == (step["is"] is not None)
        if step["is"] is None:
            with pytest.raises(exc.InvalidCall):
                assert node.node_path
            return
        assert str(node.node_path) == step["is"]
        if "base" in step:
            assert str(node.node_path.base) == step["base"]
        if "root" in step:
            assert node.node_root is self.nodes[step["root"]]
        if "parent" in step:
            assert node.node_parent is (self.nodes[step["parent"]] if step["parent"] else None)
        if "name" in step:
            assert node.node_name == step["name"]

    async def do_children(self, step: dict[str, Any]) -> None:
        node, there = self.nodes[step["children"]], {name: self.nodes[of] for name, of in step["are"].items()}
        assert dict(node.node_children) == there
        for name, child in there.items():
            assert getattr(node, name) is child

    async def do_resolve(self, step: dict[str, Any]) -> None:
        assert str(self.nodes[step["by"]].remote(step["resolve"]).node_path) == step["is"]

    async def do_call(self, step: dict[str, Any]) -> None:
        proxy = self.nodes[step["by"]].remote(step["call"])
        result = await proxy.node_call(step["what"], *self.arguments(step))
        if "gives" in step:
            assert spelt(result) == step["gives"]

    async def do_values(self, step: dict[str, Any]) -> None:
        proxy = self.nodes[step["by"]].remote(step["values"])
        come = [value async for value in proxy.node_values(step["what"], *self.arguments(step))]
        assert come == step["gives"]

    async def do_say(self, step: dict[str, Any]) -> None:
        node = self.nodes[step["of"]] if "of" in step else self.nodes[step["by"]].remote(step["at"])
        await getattr(node, step["say"]).notify(*self.arguments(step))

    async def do_connect(self, step: dict[str, Any]) -> None:
        heard = self.all_heard[step["by"]]
        connected = self.handlers.setdefault(step["by"], lambda *args: heard.append(list(args)))
        await getattr(self.nodes[step["by"]].remote(step["connect"]), step["signal"]).connect(connected)

    async def do_disconnect(self, step: dict[str, Any]) -> None:
        signal = getattr(self.nodes[step["by"]].remote(step["disconnect"]), step["signal"])
        await signal.disconnect(self.handlers[step["by"]])

    async def do_told(self, step: dict[str, Any]) -> None:
        told, self.told[:] = list(self.told), []
        assert told == step["told"]

    async def do_heard(self, step: dict[str, Any]) -> None:
        await self.settle()
        heard = self.all_heard[step["heard"]]
        told, heard[:] = list(heard), []
        assert spelt(told) == step["is"]

    async def do_nothing(self, step: dict[str, Any]) -> None:
        tree = self.contexts[step["nothing"]].get("tree")
        assert (tree.nodes, tree._prefixes, tree._listeners._by_address) == ({}, {}, {})

    def arguments(self, step: dict[str, Any]) -> list[Any]:
        node = self.nodes[step.get("of") or step["by"]]
        return [self.argument(arg, node) for arg in step.get("args", ())]

    def argument(self, arg: Any, node: Thing) -> Any:
        match arg:
            case list():
                return [self.argument(each, node) for each in arg]
            case {"of": name}:
                return self.nodes[name]
            case {"remote": address}:
                return node.remote(address)
            case {"path": path, "base": base}:
                return Path(path, base)
            case {"function": True}:
                return lambda: None
            case dict():
                return {key: self.argument(each, node) for key, each in arg.items()}
        return arg


def spelt(value: Any) -> Any:
    """As a scenario writes it."""
    match value:
        case Path():
            return {"path": str(value), "base": str(value.base)}
        case Proxy():
            return {"remote": str(value.node_path)}
        case list() | tuple():
            return [spelt(each) for each in value]
        case dict():
            return {key: spelt(each) for key, each in value.items()}
    return value


@asynccontextmanager
async def placed(places: int) -> AsyncIterator[Play]:
    """*places*: how many connections; 0: none."""
    if not places:
        context = NodeContext(tree=Tree())
        yield Play({"x": context, "y": context}, nothing_to_wait_for)
        return
    async with connections(places) as opened:
        x, y = opened[0], opened[-1]

        async def settle() -> None:
            """What was published before has arrived: a router hands on events and calls as they came."""
            for session in {x.session, y.session}:
                undo = await session.register("test.settled", lambda invoked: None)
                for other in (x.session, y.session):
                    await other.apply("test.settled", [], {})
                await undo()

        yield Play({"x": x.new_context(), "y": y.new_context()}, settle)


async def nothing_to_wait_for() -> None: ...


@pytest.mark.parametrize("places", [0, 1, 2], ids=["without-a-connection", "of-one-connection", "of-a-connection-each"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["name"])
async def test_nodes_do(scenario: dict[str, Any], places: int) -> None:
    async with placed(places) as play:
        for i, step in enumerate(scenario["steps"]):
            try:
                await play.step(step)
            except BaseException as error:
                error.add_note(f"step {i + 1}: {step}")
                raise


@pytest.mark.parametrize("scenario", CONTEXTS, ids=lambda scenario: scenario["name"])
async def test_contexts_do(scenario: dict[str, Any]) -> None:
    made: dict[str, NodeContext] = {}

    def wrapper(name: str) -> Callable[..., Awaitable[str]]:
        async def around(last: Any, text: str, args: Any, kwargs: Any) -> str:
            return f"{name}({await last(text, args, kwargs)})"

        return around

    async def last(text: str, args: Any, kwargs: Any) -> str:
        return text

    for step in scenario["steps"]:
        match step:
            case {"context": name, "names": names}:
                said = {**names, **{kind: wrapper(one) for kind, one in step.get("wraps", {}).items()}}
                made[name] = made[step["below"]].new(**said) if "below" in step else NodeContext(**said)
            case {"get": name, "of": of}:
                assert made[of].get(name) == step["is"]
            case {"has": name, "of": of}:
                assert (name in made[of]) == step["is"]
            case {"set": name, "of": of}:
                setattr(made[of], name, step["to"])
            case {"wrapped": kind, "of": of}:
                assert await made[of].wrapped(kind, last)("x", (), {}) == step["is"]
            case {"names": of}:
                assert list(made[of]) == step["are"]
