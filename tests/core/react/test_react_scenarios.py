"""`vectors/react.json`: what reactive values do, in both languages."""

from __future__ import annotations

import asyncio
import operator
import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from limen.core.react import Computed, Cycle, Effect, Value, batch, effect
from vectors import vectors

DEEP = 10_000
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {"+": operator.add, "*": operator.mul, ">": operator.gt}


class World:
    def __init__(self) -> None:
        self.nodes: dict[str, Any] = {}
        self.effects: dict[str, Effect] = {}
        self.runs: dict[str, int] = defaultdict(int)
        self.saw: dict[str, list[Any]] = defaultdict(list)
        self.gates: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def find(self, what: Any) -> Any:
        match what:
            case str():
                return self.nodes[what].value
            case ["if", test, yes, no]:
                return self.find(yes if self.find(test) else no)
            case ["throw", text]:
                raise ValueError(text)
            case [sign, one, other]:
                return OPERATORS[sign](self.find(one), self.find(other))
        return what

    def compute(self, name: str, what: Any) -> Computed[Any]:
        def function() -> Any:
            self.runs[name] += 1
            return self.find(what)

        return Computed(function, name=name)

    def react(self, step: dict[str, Any]) -> Effect:
        name = step["effect"]

        def function() -> None:
            self.runs[name] += 1
            found = self.find(step["of"])
            self.saw[name].append(found)
            if "sets" in step:
                target, what = step["sets"]
                self.nodes[target].value = self.find(what)
            if step.get("ends", [None, None])[1] == found:
                self.effects[step["ends"][0]]()

        return effect(function, name=name)

    def follow(self, step: dict[str, Any]) -> Effect:
        name = step["async"]

        async def function() -> None:
            found = self.find(step["of"])
            self.saw[name].append(f"begins {found}")
            gate = self.gates[name]
            try:
                await gate.wait()
                self.saw[name].append(f"ends {found}")
            except asyncio.CancelledError:
                self.saw[name].append(f"is called off {found}")
                if step.get("lingers"):
                    await gate.wait()
                raise
            finally:
                gate.clear()

        return effect(function, name=name)

    async def take(self, step: dict[str, Any]) -> None:
        if "cycle" in step:
            with pytest.raises(Cycle) as refused:
                await self.do(step)
            assert set(step["cycle"]) <= set(refused.value.names)
        elif "raises" in step:
            with pytest.raises(ValueError, match=re.escape(step["raises"])):
                await self.do(step)
        else:
            await self.do(step)

    async def do(self, step: dict[str, Any]) -> None:
        match step:
            case {"value": name}:
                self.nodes[name] = Value(step["is"], name=name)
            case {"computed": name}:
                self.nodes[name] = self.compute(name, step["of"])
            case {"effect": name}:
                self.effects[name] = self.react(step)
            case {"async": name}:
                self.effects[name] = self.follow(step)
            case {"open": name}:
                self.gates[name].set()
            case {"settle": _}:
                for _ in range(10):
                    await asyncio.sleep(0)
            case {"set": name}:
                self.nodes[name].value = self.find(step["to"])
            case {"batch": steps}:
                with batch():
                    for inner in steps:
                        await self.take(inner)
            case {"throw": text}:
                raise ValueError(text)
            case {"dispose": name}:
                self.effects[name].dispose()
            case {"wide": name}:
                first = self.nodes[step["from"]]
                all_of_them = [Computed(lambda: first.value) for _ in range(step["number"])]
                self.nodes[name] = Computed(lambda: sum(node.value for node in all_of_them))
            case {"chain": name}:
                node: Any = self.nodes[step["from"]]
                for _ in range(DEEP):
                    node = Computed(lambda above=node: above.value + 1)
                self.nodes[name] = node
            case _:
                self.expect(step)

    def expect(self, step: dict[str, Any]) -> None:
        match step:
            case {"read": name}:
                assert self.nodes[name].value == step.get("gives")
            case {"rises": name}:
                assert self.nodes[name].value == step["from"] + DEEP
            case {"runs": counts}:
                assert {name: self.runs[name] for name in counts} == counts
            case {"saw": lists}:
                assert {name: self.saw.pop(name, []) for name in lists} == lists
            case {"grown": lists}:
                assert {name: [n - DEEP for n in self.saw.pop(name)] for name in lists} == lists
            case {"last": lasts}:
                assert {name: self.saw[name][-1] for name in lasts} == lasts
            case _:
                raise AssertionError(f"What is {step}?")


@pytest.mark.parametrize("scenario", vectors("react")["scenarios"], ids=lambda row: row["name"])
async def test_scenario(scenario: dict[str, Any]) -> None:
    world = World()
    for step in scenario["steps"]:
        await world.take(step)
    for running in world.effects.values():
        running.dispose()
