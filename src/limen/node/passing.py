"""Nodes, proxies and paths as arguments and results: on the wire they are their address.

    a node, a proxy     {"$path": "test.third", "$base": "test"}      whoever gets it has a proxy
    a path              {"$path": "test.third", "$as": "path"}        … has the path

`$base` is left out where the path is its own base. Any other WAMP client sees a dictionary, and can make one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from limen import exc
from limen.base.path import Path
from limen.base.values import tag

from .frozen import FrozenDict
from .proxy import Proxy

if TYPE_CHECKING:
    from .calling import Calling
    from .node import Node

LEAVES: Final = frozenset((str, int, float, bool, type(None), bytes))
_MOST_DEPTH: Final = 64
_NO_NODES: Final = ("wamp", "limen")
"""Who gets a proxy calls it as itself: nobody shall have a server call `wamp.session.kill_all` for them."""


def outgoing(value: Any) -> Any:
    """*value* with addresses in the place of nodes, proxies and paths. What needs no change is given back as it is."""
    return value if type(value) in LEAVES else _out(value, 0)


def incoming(value: Any, node: Calling) -> Any:
    """What came, with proxies (of *node*: its identity, its wrappers) and paths in the place of addresses."""
    return value if type(value) in LEAVES else _in(value, node, 0)


def across(value: Any, node: Calling) -> Any:
    """*value* as *node* would get it over the wire: a copy, with proxies in the place of nodes. Raises `InvalidValue`
    for what could not travel."""
    return value if type(value) in LEAVES else _in(_copied(_out(value, 0)), node, 0)


def _out(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind in LEAVES:
        return value
    if depth > _MOST_DEPTH:
        raise exc.InvalidValue(f"This is deeper than {_MOST_DEPTH} levels, or contains itself.")
    if kind is list or kind is tuple:
        return value if LEAVES.issuperset(map(type, value)) else kind([_out(each, depth + 1) for each in value])
    if kind is dict or kind is FrozenDict:
        return {key: _out(each, depth + 1) for key, each in value.items()}
    if isinstance(value, Path):
        return {**_address(value), "$as": "path"}
    if not getattr(type(value), "_limen_node_", False):
        return value
    try:
        return _address(value.node_path)
    except exc.InvalidCall:
        raise exc.InvalidValue(
            f"{value!r} is bound nowhere, so it has no address to be passed by; bind it first."
        ) from None


def _address(path: Path) -> dict[str, Any]:
    base = path.base
    return {"$path": str(path)} if base is path else {"$path": str(path), "$base": str(base)}


def _in(value: Any, node: Calling, depth: int) -> Any:
    kind = type(value)
    if kind in LEAVES:
        return value
    if depth > _MOST_DEPTH:
        raise exc.InvalidValue(f"This is deeper than {_MOST_DEPTH} levels.")
    if kind is list or kind is tuple:
        return value if LEAVES.issuperset(map(type, value)) else kind([_in(each, node, depth + 1) for each in value])
    if kind is not dict:
        return value
    if "$path" in value and value.keys() <= {"$path", "$base", "$as"}:
        found = Path(_text(value, "$path"), _text(value, "$base") if "$base" in value else None)
        if found[0] in _NO_NODES:
            raise exc.InvalidAddress(f"No node stands at {found}: {found[0]}. is the router's own.")
        if value.get("$as") == "path":
            return found
        return Proxy(cast("Node", node), str(found), found.base)
    return {key: _in(each, node, depth + 1) for key, each in value.items()}


def _text(value: Mapping[str, Any], key: str) -> str:
    found = value[key]
    if not isinstance(found, str):
        raise exc.InvalidValue(f"{key} of an address must be a text, not {type(found).__name__}.")
    return found


def _copied(value: Any) -> Any:
    """A copy that shares nothing that could be changed."""
    kind = type(value)
    if kind in LEAVES:
        return value
    if kind is list or kind is tuple:
        return kind(map(_copied, value))
    if kind is dict:
        return {key: _copied(each) for key, each in value.items()}
    tag(value, "msgpack")  # raises for what can't travel
    return value


def is_plain(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether all arguments are near what they are from far, as they are."""
    return LEAVES.issuperset(map(type, args)) and (not kwargs or LEAVES.issuperset(map(type, kwargs.values())))


def passed(
    way: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], *more: Any
) -> tuple[list[Any], dict[str, Any]]:
    """All arguments by *way* (`outgoing`, `incoming`, `across`)."""
    leaves = LEAVES
    if leaves.issuperset(map(type, args)):
        plain = list(args)
    else:
        plain = [value if type(value) in leaves else way(value, *more) for value in args]
    if not kwargs:
        return plain, {}
    return plain, {name: way(value, *more) for name, value in kwargs.items()}
