"""pydantic's models where they are annotated (extra `pydantic`). Nothing here imports pydantic before a program has.

>>> import pydantic
>>> class Item(pydantic.BaseModel):
...     name: str
...     pieces: int = pydantic.Field(1, ge=1)
>>> is_model(Item), is_model(int)
(True, False)
>>> [(field.name, field.required) for field in fields(Item)]
[('name', True), ('pieces', False)]
>>> try:
...     validate(Item, {"pieces": 0})
... except ValueError as error:
...     list(wrong(error))
[('.name', 'Field required'), ('.pieces', 'Input should be greater than or equal to 1')]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

_BOUNDS = ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern")


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a model: *alias* is its name on the wire. *kind*: its annotation, which msgspec can read; or else
    *schema*, its JSON Schema."""

    name: str
    alias: str
    required: bool
    kind: Any
    schema: dict[str, Any] | None


def is_model(kind: Any) -> bool:
    """Whether *kind* is a model of pydantic's."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(kind, type) and issubclass(kind, pydantic.BaseModel)


def validate(model: Any, value: Any) -> Any:
    """*value* as a *model*. Raises pydantic.ValidationError, which is a ValueError."""
    return model.model_validate(value)


def wrong(error: BaseException | None) -> Iterator[tuple[str, str]]:
    """Path and sentence of each thing that a pydantic.ValidationError names; nothing of other errors."""
    pydantic = sys.modules.get("pydantic")
    if pydantic is None or not isinstance(error, pydantic.ValidationError):
        return
    for each in error.errors(include_url=False, include_context=False, include_input=False):
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{str(part)[:64]}" for part in each["loc"])
        yield path, str(each["msg"])[:200]


def fields(model: Any) -> Iterator[Field]:
    """The fields of *model*, in order."""
    for name, info in model.model_fields.items():
        alias = info.validation_alias if isinstance(info.validation_alias, str) else info.alias
        kind, schema = _described(info)
        yield Field(name, alias or name, info.is_required(), kind, schema)


def _described(info: Any) -> tuple[Any, dict[str, Any] | None]:
    """The annotation, if it and its constraints can be said in msgspec's words; else the JSON Schema that pydantic
    makes of it."""
    constraints = {key: getattr(each, key) for each in info.metadata for key in _BOUNDS if _has(each, key)}
    kind = Annotated[info.annotation, msgspec.Meta(**constraints)] if constraints else info.annotation
    try:
        if isinstance(msgspec.inspect.type_info(kind), msgspec.inspect.CustomType) and not is_model(info.annotation):
            raise TypeError(info.annotation)
        return kind, None
    except Exception:
        pydantic = sys.modules["pydantic"]
        whole = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
        try:
            schema: dict[str, Any] = pydantic.TypeAdapter(whole).json_schema()
        except Exception:
            return info.annotation, None
        return Any, schema if "$defs" not in schema else {}


def _has(each: Any, key: str) -> bool:
    return getattr(each, key, None) is not None and not callable(getattr(each, key))
