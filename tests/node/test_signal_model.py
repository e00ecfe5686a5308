"""Whatever handlers connect, disconnect and drop, while others are called too: those are called whom a list names."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from limen.node.signal import Signal

NAMES = st.integers(0, 5)
ACTIONS = st.lists(st.tuples(st.sampled_from(["connect", "disconnect", "undo", "drop", "throw"]), NAMES), max_size=3)


class Failed(Exception):
    """What handlers of this test raise."""


class Owner:
    on_x = Signal()


class Listener:
    """Its method is held weakly."""

    def __init__(self, machine: Connecting, name: int) -> None:
        self.machine, self.name = machine, name

    def hear(self, number: int) -> None:
        self.machine.called(self.name, number)


class Connecting(RuleBasedStateMachine):
    """Handlers of even names are functions, of odd ones methods of an object that may go. The model of who is connected
    is a list of (name, number of the connection)."""

    undos = Bundle("undos")

    def __init__(self) -> None:
        super().__init__()
        self.owner = Owner()
        self.functions = {name: self.function(name) for name in range(0, 6, 2)}
        self.listeners = {name: Listener(self, name) for name in range(1, 6, 2)}
        self.connected: list[tuple[int, int]] = []
        self.made = 0
        self.latest: dict[int, tuple[Any, tuple[int, int]]] = {}
        self.acts: dict[int, list[tuple[str, int]]] = {}
        self.seen: list[tuple[int, int]] = []

    def function(self, name: int) -> Any:
        return lambda number: self.called(name, number)

    def handler(self, name: int) -> Any:
        return self.listeners[name].hear if name % 2 else self.functions[name]

    def called(self, name: int, number: int) -> None:
        self.seen.append((name, number))
        for act, other in self.acts.get(name, ()):
            if act == "throw":
                raise Failed(name)
            self.act(act, other)

    def act(self, act: str, name: int) -> None:
        match act:
            case "connect":
                self.connect(name)
            case "disconnect":
                self.disconnect(name)
            case "undo" if name in self.latest:
                self.undo(self.latest[name])
            case "drop" if name % 2:
                self.drop(name)

    # -- each rule does it to both ---------------------------------------------------------------------------------
    @rule(target=undos, name=NAMES)
    def connect(self, name: int) -> Any:
        undo = self.owner.on_x.connect(self.handler(name))
        connection = next((one for one in self.connected if one[0] == name), None)
        if connection is None:
            self.made += 1
            connection = (name, self.made)
            self.connected.append(connection)
        self.latest[name] = (undo, connection)
        return self.latest[name]

    @rule(name=NAMES)
    def disconnect(self, name: int) -> None:
        there = [one for one in self.connected if one[0] == name]
        assert self.owner.on_x.disconnect(self.handler(name)) is bool(there)
        self.connected = [one for one in self.connected if one not in there]

    @rule(pair=undos)
    def undo(self, pair: Any) -> None:
        undo, connection = pair
        undo()
        self.connected = [one for one in self.connected if one != connection]

    @rule(pair=consumes(undos))
    def forget_the_undo(self, pair: Any) -> None:
        """What was connected stays so."""

    @rule(name=st.sampled_from([1, 3, 5]))
    def drop(self, name: int) -> None:
        """The object goes; another one of the same name comes."""
        self.listeners[name] = Listener(self, name)
        self.connected = [one for one in self.connected if one[0] != name]

    @rule(number=st.integers(), acts=st.dictionaries(NAMES, ACTIONS, max_size=3))
    def notify(self, number: int, acts: dict[int, list[tuple[str, int]]]) -> None:
        before, expected = Copy(self), []
        failures = before.walk(acts, expected)
        self.seen, self.acts = [], acts
        try:
            self.owner.on_x.notify(number).send(None)
        except StopIteration:  # it has ended: nothing of it is async
            raised: list[int] = []
        except ExceptionGroup as group:
            raised = [error.args[0] for error in group.exceptions]
        finally:
            self.acts = {}
        assert self.seen == [(name, number) for name in expected]
        assert raised == failures

    @invariant()
    def it_says_who_is_connected(self) -> None:
        signal = self.owner.on_x
        assert len(signal) == len(self.connected)
        names = {name for name, _ in self.connected}
        assert {name for name in range(6) if signal.is_connected(self.handler(name))} == names


class Copy:
    """What a notification should do, worked out on lists alone."""

    def __init__(self, machine: Connecting) -> None:
        self.connected = list(machine.connected)
        self.latest = {name: connection for name, (_, connection) in machine.latest.items()}
        self.made = machine.made

    def walk(self, acts: dict[int, list[tuple[str, int]]], expected: list[int]) -> list[int]:
        failures = []
        for connection in tuple(self.connected):
            if connection not in self.connected:
                continue
            expected.append(connection[0])
            for act, name in acts.get(connection[0], ()):
                if act == "throw":
                    failures.append(connection[0])
                    break
                self.act(act, name)
        return failures

    def act(self, act: str, name: int) -> None:
        there = next((one for one in self.connected if one[0] == name), None)
        if act == "connect":
            if there is None:
                self.made += 1
                there = (name, self.made)
                self.connected.append(there)
            self.latest[name] = there
            return
        gone = self.latest.get(name) if act == "undo" else there
        if gone in self.connected and (act != "drop" or name % 2):
            self.connected.remove(gone)


TestConnecting = Connecting.TestCase
TestConnecting.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
