"""A type as JSON Schema (2020-12, as OpenAPI 3.1 has it), the way its values cross in natural JSON, or as text.

>>> from datetime import date
>>> types = Types()
>>> schema = Schemas(types)
>>> schema.json(types.of(dict[str, date | None], "due"))
{'type': 'object', 'additionalProperties': {'anyOf': [{'type': 'string', 'format': 'date'}, {'type': 'null'}]}}
>>> schema.text(types.of(list[int], "numbers"))
{'type': 'array', 'items': {'type': 'integer'}, 'minItems': 1}
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import inspect as mi

from limen import exc
from limen.base.values import natural
from limen.service import pydantics
from limen.service.describe.types import FIELDS, NAMED, Foreign, Types, UploadType

Schema = dict[str, Any]

_DIGITS = r"^[+-]?(?:[0-9]{1,300}(?:[.][0-9]{0,300})?|[.][0-9]{1,300})(?:[eE][+-]?[0-9]{1,3})?$"
_DECIMAL: Schema = {"type": "string", "format": "decimal", "pattern": _DIGITS}
_SECONDS = "[0-9]{1,6}(?:[.][0-9]{1,6})?S"
_CLOCK = f"T(?:[0-9]{{1,6}}H(?:[0-9]{{1,6}}M)?(?:{_SECONDS})?|[0-9]{{1,6}}M(?:{_SECONDS})?|{_SECONDS})"
_DURATION = f"^-?P(?:[0-9]{{1,6}}D(?:{_CLOCK})?|{_CLOCK})$"
FILE: Schema = {"type": "string", "format": "binary"}
"""A file: a part of a form that has a name, or the whole answer."""
_BASE64 = r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
_BYTES: Schema = {"type": "string", "contentEncoding": "base64", "pattern": r"^\u0000?" + _BASE64}
"""In natural JSON, bytes go out as WAMP writes them there: U+0000 and base64. Without U+0000 they are taken, too."""

_PLAIN: dict[type[mi.Type], Schema] = {
    mi.AnyType: {},
    mi.NoneType: {"type": "null"},
    mi.BoolType: {"type": "boolean"},
    mi.BytesType: _BYTES,
    mi.ByteArrayType: _BYTES,
    mi.MemoryViewType: _BYTES,
    mi.DecimalType: {"anyOf": [_DECIMAL, {"type": "number"}]},
    mi.UUIDType: {"type": "string", "format": "uuid"},
    mi.DateType: {"type": "string", "format": "date"},
    mi.TimeType: {"type": "string", "format": "time"},
    mi.DateTimeType: {"type": "string", "format": "date-time"},
    mi.TimeDeltaType: {"type": "string", "pattern": _DURATION, "description": "ISO 8601, of days and less"},
}
_BOUNDS = {
    "gt": "exclusiveMinimum",
    "ge": "minimum",
    "lt": "exclusiveMaximum",
    "le": "maximum",
    "multiple_of": "multipleOf",
}
_SIMPLE: tuple[type[mi.Type], ...] = (mi.IntType, mi.FloatType, mi.StrType, mi.EnumType, mi.LiteralType, *_PLAIN)


class Schemas:
    """Schemas of *types*; those with a name are told in `components` and referred to."""

    def __init__(self, types: Types, prefix: str = "#/components/schemas/") -> None:
        self._types, self._prefix = types, prefix
        self.components: dict[str, Schema] = {}

    def json(self, node: mi.Type) -> Schema:
        """As it crosses in natural JSON."""
        if isinstance(node, mi.Metadata):
            return {**self.json(node.type), **(node.extra_json_schema or {})}
        node = self._types.known(node)
        if isinstance(node, NAMED):
            name = self._types.name(node)
            if name not in self.components:
                self.components[name] = {}  # it may hold itself
                self.components[name] = self._named(node)
            return {"$ref": self._prefix + name}
        match node:
            case Foreign():
                return node.schema
            case mi.IntType() | mi.FloatType():
                return {"type": "integer" if isinstance(node, mi.IntType) else "number", **_bounds(node)}
            case mi.StrType():
                return {
                    "type": "string",
                    **_length(node, "Length"),
                    **({"pattern": node.pattern} if node.pattern else {}),
                }
            case mi.LiteralType():
                return {"enum": list(node.values)}
            case mi.UnionType():
                return _any_of(self._members(node.types))
            case mi.DictType():
                value = self.json(node.value_type)
                return {
                    "type": "object",
                    **({"additionalProperties": value} if value else {}),
                    **_length(node, "Properties"),
                }
            case mi.TupleType():
                return array([self.json(each) for each in node.item_types], len(node.item_types))
            case mi.ListType() | mi.SetType() | mi.FrozenSetType() | mi.VarTupleType() | mi.CollectionType():
                item = self.json(node.item_type)
                return {"type": "array", **({"items": item} if item else {}), **_length(node, "Items")}
        return dict(_PLAIN.get(type(node), {}))

    def text(self, node: mi.Type) -> Schema | None:
        """As it can be said in a query or form, where all is text: a plain value, or several under one name; None for
        what has no such spelling."""
        node = self._types.known(node)
        if isinstance(node, UploadType):
            return FILE
        if isinstance(node, mi.UnionType):
            told = [self.text(each) for each in node.types if not isinstance(each, mi.NoneType)]
            return None if None in told else _any_of([each for each in told if each is not None])
        if isinstance(node, mi.ListType | mi.SetType | mi.FrozenSetType | mi.VarTupleType | mi.CollectionType):
            item = self.word(node.item_type)
            return (
                None if item is None else {**self.json(node), "items": item, "minItems": max(1, node.min_length or 1)}
            )
        return self.word(node)

    def word(self, node: mi.Type) -> Schema | None:
        """As one text; None for what has no such spelling."""
        node = self._types.known(node)
        if isinstance(node, mi.UnionType):
            told = [self.word(each) for each in node.types if not isinstance(each, mi.NoneType)]
            return None if None in told else _any_of([each for each in told if each is not None])
        if isinstance(node, mi.AnyType):
            return {"type": "string"}
        if isinstance(node, mi.DecimalType):
            return _DECIMAL
        if isinstance(node, mi.BoolType):
            return {"anyOf": [{"type": "boolean"}, {"enum": [0, 1]}]}
        if isinstance(node, mi.BytesType | mi.ByteArrayType | mi.MemoryViewType):
            return {"type": "string", "pattern": f"^{_BASE64}"}
        if isinstance(node, mi.NoneType):
            return None
        return self.json(node) if isinstance(node, _SIMPLE) else None

    def _members(self, nodes: tuple[mi.Type, ...]) -> list[Schema]:
        known = [self._types.known(node) for node in nodes]
        tagged = {id(each) for each in known if isinstance(each, mi.StructType) and each.tag is not None}
        if len(tagged) < 2:
            return [self.json(node) for node in nodes]
        return [
            {**self.json(each), "required": [each.tag_field]} if id(each) in tagged else self.json(each)  # type: ignore[attr-defined]
            for each in known
        ]

    def _pydantic(self, model: Any, name: str) -> Schema:
        """What pydantic says of its own; the models that it speaks of become components below *name*."""
        schema: Schema = model.model_json_schema(ref_template=f"{self._prefix}{name}.{{model}}")
        for inner, told in schema.pop("$defs", {}).items():
            self.components[f"{name}.{inner}"] = told
        return schema

    def _named(self, node: mi.Type) -> Schema:
        if isinstance(node, mi.EnumType):
            return {"enum": [member.value for member in node.cls]}
        assert isinstance(node, FIELDS)
        if pydantics.is_model(node.cls):
            return self._pydantic(node.cls, self._types.name(node))
        if isinstance(node, mi.NamedTupleType) or getattr(node, "array_like", False):
            items = [self.json(field.type) for field in node.fields]
            return array(items, sum(field.required for field in node.fields))
        properties: dict[str, Schema] = {}
        required = []
        if (tag := getattr(node, "tag", None)) is not None:  # must be there only where it tells one from another
            properties[str(getattr(node, "tag_field", ""))] = {"const": tag}
        for field in node.fields:
            properties[field.encode_name] = {**self.json(field.type), **_default(field.default)}
            if field.required:
                required.append(field.encode_name)
        closed = {"additionalProperties": False} if getattr(node, "forbid_unknown_fields", False) else {}
        return {"type": "object", "properties": properties, **({"required": required} if required else {}), **closed}


def array(items: list[Schema], least: int) -> Schema:
    """An array of *items* in this order, of which the first *least* must be there.

    >>> array([], 0)
    {'type': 'array', 'maxItems': 0}
    """
    in_order: Schema = {"prefixItems": items} if items else {}
    return {"type": "array", **in_order, **({"minItems": least} if least else {}), "maxItems": len(items)}


def _default(value: Any) -> Schema:
    if value is msgspec.NODEFAULT:
        return {}
    try:
        return {"default": natural(value, "json")}
    except exc.InvalidValue:
        return {}


def _any_of(members: list[Schema]) -> Schema:
    distinct = [member for i, member in enumerate(members) if member not in members[:i]]
    if {} in distinct:
        return {}
    return distinct[0] if len(distinct) == 1 else {"anyOf": distinct}


def _bounds(node: Any) -> Schema:
    return {word: getattr(node, key) for key, word in _BOUNDS.items() if getattr(node, key) is not None}


def _length(node: Any, of: str) -> Schema:
    least, most = node.min_length, node.max_length
    return {**({f"min{of}": least} if least else {}), **({f"max{of}": most} if most is not None else {})}
