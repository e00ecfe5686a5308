"""A node is a reactive dictionary of immutable values."""

from __future__ import annotations

import asyncio
import gc
import pickle
import sys
from datetime import date
from typing import Any

import msgspec
import pytest

from limen import Computed, Node, batch, effect, exc
from limen.base.path import Path
from limen.base.values import natural, tag
from limen.core.react import ABSENT
from limen.node.frozen import FrozenDict
from vectors import vectors


def test_a_node_is_a_dictionary() -> None:
    node = Node()
    assert (len(node), list(node), "a" in node, node.get("a", 5)) == (0, [], False, 5)
    node["a"] = 1
    node.update({"b": 2}, c=3)
    assert dict(node) == {"a": 1, "b": 2, "c": 3}
    assert (node.pop("a"), node.setdefault("d", 4), sorted(node.items())) == (1, 4, [("b", 2), ("c", 3), ("d", 4)])
    del node["b"]
    node.clear()
    assert dict(node) == {}
    with pytest.raises(KeyError, match="'b'"):
        node["b"]
    with pytest.raises(KeyError, match="'b'"):
        del node["b"]


def test_a_node_is_true_and_equal_to_itself_alone() -> None:
    one, other = Node(), Node()
    assert one
    assert one != other
    one["a"] = other["a"] = 1
    assert one != other
    assert one == one
    assert len({one, other, one}) == 2


def test_nothing_is_made_of_a_node_s_state_until_it_holds_something_or_is_followed() -> None:
    node = Node()
    assert (node.get("a"), len(node), "a" in node, list(node)) == (None, 0, False, [])
    assert node._state is None
    node["a"] = 1
    assert node._state is not None
    gc.collect()
    assert sum(sys.getsizeof(part) for part in (node._state, node._state._data, node._state._shape)) < 1024


def test_who_reads_a_node_follows_it_also_before_it_holds_anything() -> None:
    node, saw = Node(), []
    stop = effect(lambda: saw.append(node.get("a")))
    twice = Computed(lambda: node.get("a", 0) * 2)
    assert twice.value == 0
    node["a"] = 1
    with batch():
        node["a"] = 2
        node["a"] = 3
    assert (saw, twice.value) == ([None, 1, 3], 6)
    stop()


def test_a_node_tells_precise_changes_once_a_batch() -> None:
    node, told = Node(), []
    undo = node.watch(lambda changes: told.append({change.key: (change.old, change.new) for change in changes}))
    node["a"] = [1]
    node["a"] = (1,)
    node.update(a=2, b=3)
    undo()
    node["c"] = 1
    assert told == [{"a": (ABSENT, (1,))}, {"a": ((1,), 2), "b": (ABSENT, 3)}]


def test_what_is_put_in_is_frozen() -> None:
    node = Node()
    given = {"list": [1, [2]], "dict": {"x": [3]}, "set": {4}, "date": date(2026, 11, 22), "path": Path("a.b")}
    node["it"] = given
    given["list"].append(5)  # type: ignore[attr-defined]
    held = node["it"]
    assert held == {
        "list": (1, (2,)), "dict": {"x": (3,)}, "set": frozenset({4}), "date": date(2026, 11, 22), "path": Path("a.b"),
    }  # fmt: skip
    assert node["it"]["dict"] is held["dict"]
    node["it"] = {**held, "list": ()}
    assert node["it"]["dict"] is held["dict"]  # what is frozen is not copied again


@pytest.mark.parametrize(
    "change",
    [
        lambda held: held.update(a=2),
        lambda held: held.__setitem__("a", 2),
        lambda held: held.__delitem__("a"),
        lambda held: held.__ior__({"a": 2}),
        lambda held: held.pop("a"),
        lambda held: held.popitem(),
        lambda held: held.setdefault("b", 1),
        lambda held: held.clear(),
    ],
)
def test_a_frozen_dictionary_is_not_changed(change: Any) -> None:
    held = FrozenDict(a=1)
    with pytest.raises(TypeError, match="Put a new one"):
        change(held)
    assert held == {"a": 1}


def test_a_frozen_dictionary_is_one_for_all_who_read() -> None:
    held = FrozenDict(a=(1,), b=FrozenDict())
    assert isinstance(held, dict)
    assert {held: 1}[FrozenDict(b=FrozenDict(), a=(1,))] == 1
    assert pickle.loads(pickle.dumps(held)) == held
    assert type(dict(held)) is dict
    for encoding in ("json", "msgpack", "cbor"):
        assert natural(held, encoding) == {"a": [1], "b": {}}
        assert tag(held, encoding) == {"a": {"$tuple": [1]}, "b": {}}
    assert msgspec.json.encode(held) == b'{"a":[1],"b":{}}'


class Cup:
    pass


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (Cup(), r"\['cart'\] cannot be a Cup: it may be changed without anybody .*Put texts"),
        ([1, {"cup": Cup()}], r"\['cart'\]\[1\]\['cup'\] cannot be a Cup"),
        (bytearray(b"x"), r"\['cart'\] cannot be a bytearray"),
        (object, r"\['cart'\] cannot be a type"),
        ({"x": [float("nan")]}, r"\['cart'\]\['x'\]\[0\] cannot be nan"),
        ({1: 2}, r"\['cart'\] has the key 1"),
        (Node(), r"\['cart'\] cannot be a node, which changes by itself: put its node_path"),
    ],
)
def test_what_could_change_is_refused_with_its_place(value: Any, why: str) -> None:
    node = Node()
    with pytest.raises(exc.InvalidValue, match=why):
        node["cart"] = value
    assert dict(node) == {}


def test_what_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(exc.InvalidValue, match=r"\['a'\]\[0\]\[0\].* contains itself"):
        Node()["a"] = loop


async def test_whatever_a_node_holds_can_be_mirrored() -> None:
    """Else one value that somebody gives, kept by a call, would end the mirrors of all."""
    node, deep, deepest = Node(), 1, 0
    for level in range(1, 70):
        deep: Any = [deep]
        try:
            node["deep"] = deep
        except exc.InvalidValue:
            break
        deepest = level
    assert deepest > 50
    async with Node().bound("test.reader") as reader, node.bound("test.held", reader.node_context):
        mirror = await reader.remote("test.held").stream()
        assert dict(mirror) == dict(node)
        node["deep"] = [node["deep"][0]]
        node["more"] = node["deep"]
        while "more" not in mirror:
            await asyncio.sleep(0)
        assert mirror.synced


def test_keys_are_texts() -> None:
    with pytest.raises(exc.InvalidValue, match="The key 1 is no text"):
        Node()[1] = 2  # type: ignore[index]


@pytest.mark.parametrize("scenario", vectors("state")["scenarios"], ids=lambda row: row["name"])
def test_scenario(scenario: dict[str, Any]) -> None:
    node, told = Node(), []
    node.watch(lambda changes: told.append(sorted([change.kind, change.key] for change in changes)))
    for step in scenario["steps"]:
        take(node, step, told)


def take(node: Node, step: dict[str, Any], told: list[Any]) -> None:
    match step:
        case {"set": key, "to": value}:
            node[key] = value
        case {"delete": key}:
            node.pop(key, None)
        case {"update": data}:
            node.update(data)
        case {"clear": _}:
            node.clear()
        case {"batch": steps}:
            with batch():
                for inner in steps:
                    take(node, inner, told)
        case {"holds": data}:
            assert natural(dict(node), "json") == data
        case {"told": changes}:
            assert told == changes
            told.clear()
        case _:
            raise AssertionError(f"What is {step}?")
