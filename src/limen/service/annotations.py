"""From annotations to readers of values: msgspec does the work, compiled once for each parameter.

    >>> from decimal import Decimal
    >>> price = reader_for(Decimal)
    >>> price.read("1.50"), price.read(Decimal(2))
    (Decimal('1.50'), Decimal('2'))
    >>> list(price.wrong("price", [], False))
    [('price', 'Expected `decimal`, got `array`')]

A value must have the type already, or be what a plain peer has for it (ISO text for a date, a list for a set). A text
from a URL or a form is read more freely: '5' for an int, 'true' for a bool, one text for a list of one.
"""

from __future__ import annotations

import functools
import inspect
import math
import operator
import types
import typing
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Union, get_args, get_origin

import msgspec

from limen.base.files import Upload
from limen.base.hints import hints, signature
from limen.base.values import MAX_DIGITS, MAX_EXPONENT
from limen.service import pydantics

Read = Callable[[Any], Any]


class _Nothing:
    """No value is one."""


class Reader:
    """*read*: a value to the annotated type; *read_text*: the same for text of URLs and forms. Both raise
    msgspec.ValidationError (or what a type of the program's own raises)."""

    __slots__ = ("exact", "kind", "read", "read_text")

    def __init__(self, read: Read, read_text: Read, kind: Any = Any) -> None:
        self.read, self.read_text, self.kind = read, read_text, kind
        self.exact = kind if kind in (str, int, bool, bytes) else _Nothing

    def wrong(self, path: str, value: Any, text: bool) -> Iterator[tuple[str, str]]:
        """Each part of *value* that does not fit: its path and why."""
        try:
            (self.read_text if text else self.read)(value)
        except Exception as error:
            found = False
            for name, part, kind in () if text else parts(value, self.kind):
                for wrong in reader_for(kind).wrong(path + name, part, False) if part is not _MISSING else ():
                    found = True
                    yield wrong
                if part is _MISSING:
                    found = True
                    yield path + name, "This field is missing."
            if not found:
                named = list(pydantics.wrong(error)) or list(pydantics.wrong(error.__cause__))
                yield from ((path + at, why) for at, why in named) if named else [(path, _why(error))]


def _same(value: Any) -> Any:
    return value


raw = Reader(_same, _same)
"""Takes anything as it is."""

_MISSING = object()


def readers(function: Callable[..., Any], kinds: Callable[[Any], Any] | None = None) -> dict[str, Reader]:
    """Parameter to reader, for the parameters of *function* that have an annotation which can be resolved. *kinds*:
    what each annotation is taken for.

    Names that stand only under `TYPE_CHECKING`, or only inside of another function, can't be: such a parameter counts
    as having no annotation, and the log says so.
    """
    target = inspect.unwrap(function)
    while isinstance(target, functools.partial):
        target = inspect.unwrap(target.func)
    if not inspect.isroutine(target):
        target = getattr(type(target), "__call__", target)  # noqa: B004 an object that can be called
    found = {}
    parameters = signature(function).parameters
    for name, hint in hints(target).items():
        if name in parameters:
            hint = hint if kinds is None else kinds(hint)
            kind = hint | None if parameters[name].default is None and hint is not Any else hint
            found[name] = reader_for(kind)
    return found


def reader_for(kind: Any) -> Reader:
    """The reader for an annotation."""
    if kind is Any or kind is object or isinstance(kind, typing.TypeVar):
        return raw
    if kind is None:
        kind = type(None)
    members = get_args(kind)
    convert = _converter(kind, strict=True)
    if convert is None and _is_union(kind):
        # A union that msgspec can't tell apart (date | str): the first that fits, str last.
        ordered = [reader_for(member) for member in sorted(members, key=lambda member: member is str)]
        return Reader(_first([r.read for r in ordered], members), _first([r.read_text for r in ordered], ()), kind)
    if convert is None:
        return _by_class(kind)
    convert_text = _converter(kind, strict=False) or convert
    if mentions(kind, Decimal):
        convert = _bounded(convert)
    if mentions(kind, Decimal) or mentions(kind, float):
        convert_text = _bounded(convert_text)
    if mentions(kind, int):
        convert = _whole(convert)
    if _holds_many(kind):
        convert_text = _wrapping(convert_text)
    return Reader(_quick(kind, convert), convert_text, kind)


def _converter(kind: Any, strict: bool) -> Read | None:
    """None if msgspec does not support *kind*. Inside a Struct of one field it remembers how to read the type."""
    try:
        box: Any = msgspec.defstruct("Box", [("value", kind)], array_like=True, gc=False)
        msgspec.inspect.type_info(box)
    except Exception:
        return None
    convert = msgspec.convert

    def read(value: Any) -> Any:
        return convert((value,), box, strict=strict, dec_hook=_own_class).value

    return read


def _own_class(kind: Any, value: Any) -> Any:
    """For classes that msgspec does not know: an instance passes; a dict becomes a Hict, a pydantic model or the
    like."""
    origin = get_origin(kind) or kind
    if isinstance(value, origin):
        return value
    if pydantics.is_model(origin):
        return pydantics.validate(origin, value)
    if isinstance(origin, type) and issubclass(origin, dict) and isinstance(value, dict):
        return origin(value)
    raise msgspec.ValidationError(f"Expected `{getattr(origin, '__name__', origin)}`, got `{type(value).__name__}`")


def _by_class(kind: Any) -> Reader:
    def read(value: Any) -> Any:
        return _own_class(kind, value)

    return Reader(read, read, kind) if isinstance(get_origin(kind) or kind, type) else raw


def _quick(kind: Any, convert: Read) -> Read:
    if kind in (int, str, bool, bytes, float, dict, list):

        def read(value: Any) -> Any:
            return value if type(value) is kind else convert(value)

        return read
    return convert


def _first(reads: list[Read], members: tuple[Any, ...]) -> Read:
    classes = tuple(member for member in members if isinstance(member, type) and member is not str)

    def read(value: Any) -> Any:
        if classes and type(value) in classes:
            return value
        last: Exception | None = None
        for read in reads:
            try:
                return read(value)
            except Exception as error:
                last = error
        raise last or msgspec.ValidationError("Nothing fits")

    return read


def _wrapping(convert: Read) -> Read:
    """One text (or file of a form) for a list is a list of that one: `?tag=a` as well as `?tag=a&tag=b`."""
    return lambda value: convert([value] if isinstance(value, str | Upload) else value)


def _whole(convert: Read) -> Read:
    """A whole float serves for an int, wherever it stands: JSON does not tell them apart, and some JavaScript encoders
    write large integers as floats."""

    def read(value: Any) -> Any:
        try:
            return convert(value)
        except msgspec.ValidationError:
            again = _integral(value)
            if again is value:
                raise
            return convert(again)

    return read


def _integral(value: Any) -> Any:
    """*value* with its whole floats as ints; the same object if it holds none."""
    if type(value) is float:
        return int(value) if value.is_integer() and abs(value) <= 2**53 else value
    if type(value) is list:
        items = [_integral(item) for item in value]
        return value if all(map(operator.is_, items, value)) else items
    if type(value) is dict:
        found = {key: _integral(item) for key, item in value.items()}
        return value if all(found[key] is item for key, item in value.items()) else found
    return value


def _bounded(convert: Read) -> Read:
    """No NaN, infinity or bomb among floats and Decimals that were read from text."""

    def read(value: Any) -> Any:
        converted = convert(value)
        _check_numbers(converted)
        return converted

    return read


def _check_numbers(value: Any) -> None:
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise msgspec.ValidationError("Expected a finite number")
        if not -MAX_EXPONENT <= value.adjusted() <= MAX_EXPONENT or len(value.as_tuple().digits) > MAX_DIGITS:
            raise msgspec.ValidationError("Expected a number of fewer digits")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise msgspec.ValidationError("Expected a finite number")
    elif isinstance(value, dict):
        for item in value.items():
            _check_numbers(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            _check_numbers(item)
    elif (names := _field_names(type(value))) is not None:
        for name in names:
            _check_numbers(getattr(value, name, None))


# -- looking into types -----------------------------------------------------------------------------------------
def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, types.UnionType)


def _holds_many(kind: Any) -> bool:
    if _is_union(kind):
        return any(map(_holds_many, get_args(kind)))
    return (get_origin(kind) or kind) in (list, tuple, set, frozenset)


def _field_names(kind: Any) -> list[str] | None:
    """Names of the fields of a Struct, dataclass, attrs class or TypedDict; None for other types."""
    for attribute in ("__struct_fields__", "__dataclass_fields__"):
        if isinstance(kind, type) and hasattr(kind, attribute):
            return list(getattr(kind, attribute))
    if isinstance(kind, type) and hasattr(kind, "__attrs_attrs__"):
        return [field.name for field in kind.__attrs_attrs__]
    return list(hints(kind)) if typing.is_typeddict(kind) else None


def mentions(kind: Any, what: type, seen: tuple[Any, ...] = ()) -> bool:
    """Whether a value of *kind* may hold a *what*."""
    if kind is what:
        return True
    if kind in seen:
        return False
    inside = list(get_args(kind))
    if _field_names(get_origin(kind) or kind) is not None:
        inside += hints(get_origin(kind) or kind).values()
    return any(mentions(part, what, (*seen, kind)) for part in inside if not isinstance(part, str | int | bytes))


def parts(value: Any, kind: Any) -> Iterator[tuple[str, Any, Any]]:
    """What *value* is made of, if it has the shape of *kind*: (path, part or _MISSING, its annotation)."""
    origin, members = get_origin(kind) or kind, get_args(kind)
    if origin is typing.Annotated:
        yield from parts(value, members[0])
    elif _is_union(kind):
        others = [member for member in members if member is not type(None)]
        if len(others) == 1 and value is not None:
            yield from parts(value, others[0])
    elif isinstance(value, dict) and _field_names(origin) is not None:
        yield from _fields(value, origin)
    elif isinstance(value, dict) and origin is dict and len(members) == 2:
        for key, item in value.items():
            yield f".{str(key)[:64]}", item, members[1]
    elif isinstance(value, list | tuple) and members and origin in (list, set, frozenset, tuple):
        if origin is tuple and members[-1] is not Ellipsis:
            yield from ((f"[{i}]", item, each) for i, (item, each) in enumerate(zip(value, members, strict=False)))
        else:
            yield from ((f"[{i}]", item, members[0]) for i, item in enumerate(value))


def _fields(value: dict[str, Any], kind: Any) -> Iterator[tuple[str, Any, Any]]:
    kinds = hints(kind)
    for field in getattr(msgspec.inspect.type_info(kind), "fields", ()):
        name = field.encode_name
        if name in value:
            yield f".{name}", value[name], kinds.get(field.name, Any)
        elif field.required:
            yield f".{name}", _MISSING, Any


def _why(error: Exception) -> str:
    """A sentence about *error*. What a type of the program's own raised is told only if it is a ValueError or a
    TypeError, as msgspec does."""
    if not isinstance(error, ValueError | TypeError):
        return "This does not fit."
    return str(error).partition(" - at `")[0][:200] or "This does not fit."
