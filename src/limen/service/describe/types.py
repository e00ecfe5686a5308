"""Annotations as a tree of `msgspec.inspect` types: as the binding sees them, so that what is told is what is taken.

    >>> types = Types()
    >>> types.of(list[int], "numbers")
    ListType(item_type=IntType(gt=None, ge=None, lt=None, le=None, multiple_of=None), min_length=None, max_length=None)

What msgspec has no word for: unions that it can't tell apart become a union here as well; a dict of one's own (`Hict`)
a dict; a pydantic model a class with fields. All else is anything, and `Types.notes` says where.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from enum import Enum
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from msgspec import inspect as mi

from limen.base.files import File, Upload
from limen.service import pydantics

FIELDS = (mi.StructType, mi.DataclassType, mi.TypedDictType, mi.NamedTupleType)
NAMED = (*FIELDS, mi.EnumType)
UNKNOWN = mi.AnyType()

_INSIDE = ("type", "types", "item_type", "item_types", "key_type", "value_type", "fields")


class UploadType(mi.Type):
    """`limen.Upload`: a file that comes with a call."""


class FileType(mi.Type):
    """`limen.File`: a file that a call answers with."""


class Foreign(mi.Type):
    """A type that says of itself what it is: *schema* is its JSON Schema."""

    schema: dict[str, Any]


class Types:
    """All types of one description. `notes`: sentences about those that can't be described."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._named: dict[Any, mi.Type] = {}
        self._custom: dict[Any, mi.Type] = {}
        self._names: dict[Any, str] | None = None

    def of(self, kind: Any, where: str) -> mi.Type:
        """The type of the annotation *kind*, which stands at *where* (for the notes)."""
        node = self._node(kind, where)
        self._register(node, where)
        return node

    def _node(self, kind: Any, where: str) -> mi.Type:
        if kind is object or isinstance(kind, TypeVar):
            return UNKNOWN
        try:
            return mi.type_info(kind)
        except Exception as error:
            why = error
        if get_origin(kind) is Annotated:
            return self._node(get_args(kind)[0], where)
        if get_origin(kind) in (Union, types.UnionType):
            return mi.UnionType(tuple(self._node(member, where) for member in get_args(kind)))
        if isinstance(kind, type) and issubclass(kind, Enum):
            return mi.EnumType(kind)
        self.notes.append(f"{where}: {_text(kind)} can't be described, and is told as anything: {why}")
        return UNKNOWN

    def _register(self, node: mi.Type, where: str) -> None:
        if isinstance(node, mi.CustomType) and node.cls not in self._custom:
            self._custom[node.cls] = UNKNOWN  # a model may hold itself
            self._custom[node.cls] = self._resolve(node.cls, where)
            self._register(self._custom[node.cls], where)
        if isinstance(node, NAMED):
            if node.cls in self._named:
                return
            self._named[node.cls] = node
            self._names = None
        for inner in inside(node):
            self._register(inner, where)

    def _resolve(self, kind: Any, where: str) -> mi.Type:
        """What stands for a class that msgspec does not know."""
        if pydantics.is_model(kind):
            fields = [self._pydantic_field(each, f"{where}, {kind.__name__}") for each in pydantics.fields(kind)]
            return mi.DataclassType(kind, tuple(fields))
        origin = get_origin(kind) or kind
        if isinstance(origin, type) and issubclass(origin, dict):
            return mi.DictType(mi.StrType(), UNKNOWN)
        if origin in (Upload, File):
            return UploadType() if origin is Upload else FileType()
        if origin is not object:
            self.notes.append(
                f"{where}: {_text(kind)} can't be described, and is told as anything: annotate a type of "
                "docs/values.md, a dataclass or a TypedDict."
            )
        return UNKNOWN

    def _pydantic_field(self, field: pydantics.Field, where: str) -> mi.Field:
        node = Foreign(field.schema) if field.schema is not None else self._node(field.kind, f"{where}.{field.name}")
        return mi.Field(field.name, field.alias, node, field.required)

    # -- names --------------------------------------------------------------------------------------------------
    def known(self, node: mi.Type) -> mi.Type:
        """*node* without what is only round it: metadata, and the stand-in for a class that msgspec does not know."""
        while isinstance(node, mi.Metadata | mi.CustomType):
            node = node.type if isinstance(node, mi.Metadata) else self._custom.get(node.cls, UNKNOWN)
        return node

    def name(self, node: mi.Type) -> str:
        """The name of a type with fields or members; an identifier in Python, JavaScript and OpenAPI. Of two classes
        of one name each has its module's name before it."""
        if self._names is None:
            self._names = _names(list(self._named))
        return self._names[node.cls]  # type: ignore[attr-defined]

    def named(self) -> Iterator[tuple[str, mi.Type]]:
        """All types that have a name, by name."""
        yield from sorted((self.name(node), node) for node in self._named.values())


def inside(node: mi.Type) -> Iterator[mi.Type]:
    """The types that *node* is made of."""
    for attribute in _INSIDE:
        found = getattr(node, attribute, ())
        for each in found if isinstance(found, tuple) else (found,):
            if isinstance(each, mi.Field):
                yield each.type
            elif isinstance(each, mi.Type):
                yield each


def mentions(types: Types, node: mi.Type, what: type[mi.Type]) -> bool:
    """Whether *node* is a *what*, or a list or choice of some."""
    node = types.known(node)
    return isinstance(node, what) or (
        not isinstance(node, NAMED) and any(mentions(types, each, what) for each in inside(node))
    )


def identifier(text: str) -> str:
    """*text* as an ASCII identifier.

    >>> identifier("a-b"), identifier("3d"), identifier("Page[int]")
    ('a_b', '_3d', 'Page_int')
    """
    name = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_") or "_"
    return f"_{name}" if name[0].isdigit() else name


def _names(kinds: list[Any]) -> dict[Any, str]:
    by_short: dict[str, list[Any]] = {}
    for kind in kinds:
        by_short.setdefault(identifier(_short(kind)), []).append(kind)
    names: dict[Any, str] = {}
    taken: set[str] = set()
    for short, same in sorted(by_short.items()):
        for kind in sorted(same, key=lambda each: (_module(each), getattr(each, "__qualname__", ""))):
            wanted = short if len(same) == 1 else identifier(f"{_module(kind)}_{short}")
            name, number = wanted, 2
            while name in taken or (name in by_short and len(same) > 1):
                name, number = f"{wanted}_{number}", number + 1
            taken.add(name)
            names[kind] = name
    return names


def _short(kind: Any) -> str:
    origin = get_origin(kind)
    if origin is None:
        return getattr(kind, "__name__", str(kind))
    return "_".join([_short(origin), *map(_short, get_args(kind))])


def _module(kind: Any) -> str:
    return str(getattr(get_origin(kind) or kind, "__module__", ""))


def _text(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind)
