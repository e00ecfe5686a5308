"""`vectors/signals.json`: what signals do, in both languages."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from limen import exc
from limen.node.declared import call, declared, handler
from limen.node.signal import Signal, signal
from vectors import vectors


class World:
    def __init__(self) -> None:
        self.classes: dict[str, Any] = {}
        self.objects: dict[str, Any] = {}
        self.functions: dict[str, Any] = {}
        self.undos: dict[str, Callable[[], object]] = {}
        self.gates: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.under_way: dict[str, asyncio.Task[None]] = {}
        self.log: list[list[Any]] = []

    # -- what is made ----------------------------------------------------------------------------------------------
    def function(self, name: str, spec: dict[str, Any]) -> Callable[..., Any]:
        """What is logged as *name*."""
        if "async" in spec:

            async def wait(*args: Any) -> None:
                await self.gates[name].wait()
                self.log.append([name, *args])
                for step in spec.get("does", ()):
                    await self.take(step)
                if "throws" in spec:
                    raise ValueError(spec["throws"])

            return wait

        def run(*args: Any) -> None:
            self.log.append([name, *args])
            for step in spec.get("does", ()):
                self.do(step)
            if "throws" in spec:
                raise ValueError(spec["throws"])

        return run

    def method(self, name: str, spec: dict[str, Any]) -> Any:
        run = self.function(spec.get("logs", name), spec)

        def method(owner: Any, *args: Any) -> Any:
            return run(*args)

        handles = spec.get("handles", [])
        for address in reversed([handles] if isinstance(handles, str) else handles):
            method = handler(address)(method)
        if "call" in spec:
            method = call(method) if spec["call"] is True else call(spec["call"])(method)
        return method

    def signal(self, spec: dict[str, Any]) -> Signal:
        made = Signal(spec.get("order", "top-down"))
        if spec.get("takes"):

            @signal
            def made(owner: Any, one: Any, other: Any) -> None:
                if one == "refuse":
                    raise exc.InvalidCall("The body refuses.")

        if spec.get("notifying"):

            @made.notifying
            async def _(owner: Any, notify: Any, number: int) -> None:
                self.log.append(["before", number])
                if number:
                    await notify(number * 10)
                    self.log.append(["after", number])

        if spec.get("connecting"):

            @made.connecting
            def _(owner: Any, connect: Any, handler: Any) -> Any:
                handler("is connected")
                return connect(lambda *args: handler("round", *args))

        return made

    def cls(self, step: dict[str, Any]) -> Any:
        bases = (self.classes[step["of"]],) if "of" in step else ()
        content: dict[str, Any] = {name: self.signal(spec) for name, spec in step.get("signals", {}).items()}
        content |= {name: self.method(name, spec) for name, spec in step.get("methods", {}).items()}
        content |= dict.fromkeys(step.get("without", ()))
        if step.get("publishes"):

            def publish(owner: Any, name: str, args: tuple[Any, ...], kwargs: Any) -> None:
                if "never" in args:
                    raise exc.InvalidValue
                self.log.append(["published", name, *args])

            content["_signal_notified"] = publish
        made = type(step["class"], bases, content)
        declared(made)
        return made

    # -- steps -----------------------------------------------------------------------------------------------------
    def bound(self, address: str) -> Any:
        name, signal = address.split(".")
        return getattr(self.objects[name], signal)

    def handler(self, name: str, step: dict[str, Any]) -> Any:
        if "of" in step:
            return getattr(self.objects[step["of"]], step["method"])
        if name not in self.functions:
            self.functions[name] = self.function(name, step)
        return self.functions[name]

    def do(self, step: dict[str, Any]) -> None:
        match step:
            case {"class": name, "wrong": why}:
                with pytest.raises((TypeError, exc.InvalidAddress), match=re.escape(why)):
                    self.classes[name] = self.cls(step)
            case {"class": name}:
                self.classes[name] = self.cls(step)
            case {"declared": name}:
                table = declared(self.classes[name])
                assert table.calls == step["calls"]
                assert list(table.signals) == step["signals"]
                assert {name: list(methods) for name, methods in table.own.items()} == step["own"]
                assert [list(one) for one in table.elsewhere] == step["elsewhere"]
            case {"object": name, "of": cls}:
                self.objects[name] = self.classes[cls]()
            case {"connect": name, "to": address}:
                self.undos[name] = self.bound(address).connect(self.handler(name, step))
            case {"disconnect": name, "from": address}:
                gave = self.bound(address).disconnect(self.handler(name, step))
                assert gave == step.get("gives", gave)
            case {"is_connected": name, "to": address, "gives": gives}:
                assert self.bound(address).is_connected(self.handler(name, step)) is gives
            case {"keep": name, "as": other}:
                self.undos[other] = self.undos[name]
            case {"undo": name}:
                self.undos[name]()
            case {"connected": numbers}:
                assert {address: len(self.bound(address)) for address in numbers} == numbers
            case {"open": name}:
                self.gates[name].set()
            case {"log": log}:
                assert self.log == log
                self.log.clear()
            case _:
                raise AssertionError(step)

    async def take(self, step: dict[str, Any]) -> None:
        match step:
            case {"notify": address, "as": name}:
                self.under_way[name] = asyncio.create_task(self.bound(address).notify(*step.get("args", ())))
            case {"notify": address}:
                await self.ends(step, self.bound(address).notify(*step.get("args", ())))
            case {"heard": address}:
                await self.ends(step, self.hear(address, step["args"]))
            case {"ends": name}:
                await self.ends(step, self.under_way.pop(name))
            case {"settle": _}:
                for _ in range(10):
                    await asyncio.sleep(0)
            case _:
                self.do(step)

    async def hear(self, address: str, args: list[Any]) -> None:
        left = self.bound(address).heard(args, {})
        if left is not None:
            await left

    async def ends(self, step: dict[str, Any], work: Any) -> None:
        async with asyncio.timeout(10):
            if "raises" in step:
                with pytest.raises(ExceptionGroup) as caught:
                    await work
                assert [str(error) for error in caught.value.exceptions] == step["raises"]
            elif "refused" in step:
                with pytest.raises(exc.TABLE[step["refused"]]):
                    await work
            else:
                await work


@pytest.mark.parametrize("scenario", vectors("signals")["scenarios"], ids=lambda scenario: scenario["name"])
async def test_scenario(scenario: dict[str, Any]) -> None:
    world = World()
    for step in scenario["steps"]:
        await world.take(step)
    assert world.log == []
    assert world.under_way == {}
