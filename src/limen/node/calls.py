"""Calls of a class of nodes, with what their arguments must be: made once a class."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial, reduce
from inspect import getattr_static
from operator import or_
from types import MappingProxyType, UnionType
from typing import Any, Union, get_args, get_origin

from limen.service.binding import Binding

from .declared import declared
from .proxy import Proxy

_TABLE = "_limen_calls"


class Called:
    """*attribute*: the method. *bind*: its arguments as it takes them; see `limen.service.binding`."""

    __slots__ = ("attribute", "bind")

    def __init__(self, cls: type, attribute: str) -> None:
        self.attribute = attribute
        method = getattr(cls, attribute)
        if not isinstance(getattr_static(cls, attribute), (staticmethod, classmethod)):
            method = partial(method, None)  # its self
        self.bind = Binding(method, parse=False, kinds=received).bind


def calls(cls: type) -> Mapping[str, Called]:
    """What can be called of a node of *cls*, by the name that callers use."""
    found: Mapping[str, Called] | None = cls.__dict__.get(_TABLE)
    if found is None:
        table = {name: Called(cls, attribute) for name, attribute in declared(cls).calls.items()}
        found = MappingProxyType(table)
        setattr(cls, _TABLE, found)
    return found


def received(kind: Any) -> Any:
    """The annotation *kind* as what a call gets for it: a proxy for a node.

    >>> from limen.node.node import Node
    >>> received(list[Node]), received(dict[str, int]), received(Node | None)
    (list[limen.node.proxy.Proxy], dict[str, int], limen.node.proxy.Proxy | None)
    """
    if isinstance(kind, type) and get_origin(kind) is None:
        return Proxy if getattr(kind, "_limen_node_", False) else kind
    inside = get_args(kind)
    seen = tuple(received(part) for part in inside)
    if seen == inside:
        return kind
    if get_origin(kind) in (Union, UnionType):
        return reduce(or_, seen)
    return kind.copy_with(seen) if hasattr(kind, "copy_with") else get_origin(kind)[seen]
