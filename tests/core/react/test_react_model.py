"""Any graph, written and read in any order, gives what computing everything anew would give."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from limen.core.react import Computed, Effect, Value, batch, effect


class Odd(Exception):
    """What the computed values of this test raise at times."""


class Graph(RuleBasedStateMachine):
    """The model is `naive`: a tree of expressions that is evaluated from the values each time."""

    def __init__(self) -> None:
        super().__init__()
        self.nodes: list[Any] = []
        self.inputs: list[int] = []
        self.formulas: list[tuple[str, int, int, int]] = []
        self.running: list[tuple[Effect, int, list[Any]]] = []
        self.open = ExitStack()
        self.deep = 0

    @initialize(values=st.lists(st.integers(0, 3), min_size=2, max_size=4))
    def inputs_are_made(self, values: list[int]) -> None:
        self.inputs = values
        self.nodes = [Value(value, name=f"v{at}") for at, value in enumerate(values)]

    def naive(self, at: int) -> Any:
        if at < len(self.inputs):
            return self.inputs[at]
        return self.formula(*self.formulas[at - len(self.inputs)], self.naive)

    def formula(self, kind: str, one: int, other: int, third: int, read: Callable[[int], Any]) -> Any:
        match kind:
            case "add":
                return (read(one) + read(other)) % 5
            case "if":
                return read(other) if read(one) % 2 else read(third)
            case "small":
                return int(read(one) > 1)
            case "turn":
                rest = (other, third) if read(one) % 2 else (third, one, other, third)
                return (2 * read(rest[0]) + sum(read(at) for at in rest)) % 5
            case "guard":
                try:
                    return read(one)
                except Odd:
                    return read(other)
        if read(one) == 3:
            raise Odd
        return read(other)

    def outcome(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except Odd:
            return "odd"

    @rule(
        kind=st.sampled_from(["add", "if", "small", "turn", "guard", "odd"]),
        picks=st.tuples(*[st.integers(0, 999)] * 3),
    )
    def a_computed_value_is_made(self, kind: str, picks: tuple[int, int, int]) -> None:
        one, other, third = (pick % len(self.nodes) for pick in picks)
        self.formulas.append((kind, one, other, third))
        self.nodes.append(
            Computed(
                lambda: self.formula(kind, one, other, third, lambda at: self.nodes[at].value),
                name=f"c{len(self.nodes)}",
            )
        )

    @rule(pick=st.integers(0, 999), value=st.integers(0, 3))
    def a_value_is_set(self, pick: int, value: int) -> None:
        at = pick % len(self.inputs)
        self.inputs[at] = value
        self.nodes[at].value = value

    @rule(pick=st.integers(0, 999))
    def one_reads(self, pick: int) -> None:
        at = pick % len(self.nodes)
        assert self.outcome(lambda: self.nodes[at].value) == self.outcome(lambda: self.naive(at))

    @rule(pick=st.integers(0, 999))
    def an_effect_is_made(self, pick: int) -> None:
        at = pick % len(self.nodes)
        saw: list[Any] = []

        def run() -> None:
            found = self.outcome(lambda: self.nodes[at].value)
            assert found == self.outcome(lambda: self.naive(at))  # whole, never half old
            saw.append(found)

        self.running.append((effect(run), at, saw))

    @precondition(lambda self: self.running)
    @rule(pick=st.integers(0, 999))
    def an_effect_ends(self, pick: int) -> None:
        stop, _, saw = self.running.pop(pick % len(self.running))
        stop()
        saw.append("ended")

    @rule()
    def a_batch_begins(self) -> None:
        self.open.enter_context(batch())
        self.deep += 1

    @precondition(lambda self: self.deep)
    @rule()
    def the_batches_end(self) -> None:
        self.deep = 0
        self.open.close()

    @invariant()
    def who_watches_has_seen_the_latest_and_no_value_twice(self) -> None:
        for _, at, saw in self.running:
            if not self.deep:
                assert saw[-1] == self.outcome(lambda at=at: self.naive(at))

    @invariant()
    def sources_know_their_targets_while_watched_and_only_then(self) -> None:
        watched = {id(node): set(node._targets) for node in self.nodes}
        for node in self.nodes:
            for target in node._targets:
                assert node in target._sources
            for source in node._sources or ():
                assert (node in watched[id(source)]) == bool(node._targets)

    def teardown(self) -> None:
        self.open.close()
        for stop, _, _ in self.running:
            stop()
        assert not any(node._targets for node in self.nodes)


TestGraph = Graph.TestCase
TestGraph.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
