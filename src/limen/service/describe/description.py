"""What a registry offers, in plain rows.

>>> from limen.service.registry import Registry
>>> from limen.service.service import make_service_decorator
>>> registry = Registry()
>>> @make_service_decorator(registry.add)("todo/add", safe=False)
... def add(text: str, done: bool = False) -> int:
...     "Adds a line. Raises TooLarge for a long one."
>>> service = describe(registry).services[0]
>>> service.uri, service.summary, [(p.name, p.required) for p in service.parameters], service.raises
('todo.add', 'Adds a line. Raises TooLarge for a long one.', [('text', True), ('done', False)], ('TooLarge',))
"""

from __future__ import annotations

import functools
import inspect
import re
from collections import abc
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec import inspect as mi

from limen import exc
from limen.base.hints import hints, signature
from limen.base.values import natural
from limen.service.describe.types import UNKNOWN, Types
from limen.service.registry import Registry
from limen.service.service import Kind, Service

How = Literal["positional", "either", "named", "rest", "rest named"]

_P = inspect.Parameter
_HOW: dict[Any, How] = {
    _P.POSITIONAL_ONLY: "positional",
    _P.POSITIONAL_OR_KEYWORD: "either",
    _P.KEYWORD_ONLY: "named",
    _P.VAR_POSITIONAL: "rest",
    _P.VAR_KEYWORD: "rest named",
}
_STREAMS = (
    abc.Iterator,
    abc.Iterable,
    abc.Generator,
    abc.AsyncIterator,
    abc.AsyncIterable,
    abc.AsyncGenerator,
)
_RAISES = re.compile(r"\bRaises?\b:?(.*?)(?:\n\s*\n|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Parameter:
    """*how*: in order, by name or both; "rest" and "rest named" are *args and **kwargs. *default*: as natural JSON;
    msgspec.NODEFAULT where there is none, or none that can be told."""

    name: str
    how: How
    type: mi.Type
    required: bool
    default: Any
    annotated: bool


@dataclass(frozen=True, slots=True)
class ServiceDescription:
    """One service. *result*: what it returns; of a stream each of its values. *raises*: errors that its docstring
    names, after the word "Raises"."""

    service: Service
    summary: str
    body: str
    parameters: tuple[Parameter, ...]
    result: mi.Type
    streams: bool
    raises: tuple[str, ...]

    @property
    def uri(self) -> str:
        return self.service.uri


@dataclass(frozen=True, slots=True)
class Description:
    """All services by address, all topics, and the types that they speak of."""

    services: tuple[ServiceDescription, ...]
    topics: tuple[str, ...]
    types: Types


def describe(registry: Registry, only: Callable[[Service], bool] = lambda service: True) -> Description:
    """The services of *registry* for which *only* holds, sorted by address."""
    types = Types()
    services = sorted(filter(only, registry), key=lambda service: service.uri)
    return Description(tuple(_service(service, types) for service in services), tuple(sorted(registry.topics)), types)


def _service(service: Service, types: Types) -> ServiceDescription:
    function = service.function
    target: Any = inspect.unwrap(function)
    while isinstance(target, functools.partial):
        target = inspect.unwrap(target.func)
    if not inspect.isroutine(target):
        target = getattr(type(target), "__call__", target)  # noqa: B004 an object that can be called
    annotations = hints(target)
    parameters = tuple(
        _parameter(parameter, annotations, types, service.uri) for parameter in signature(function).parameters.values()
    )
    streams = service.kind in (Kind.STREAM, Kind.ASYNC_STREAM)
    kind = annotations.get("return", Any)
    if streams:
        kind = next(iter(get_args(kind)), Any) if get_origin(kind) in _STREAMS else Any
    doc = inspect.getdoc(function) or ""
    summary, _, body = doc.partition("\n\n")
    return ServiceDescription(
        service,
        " ".join(summary.split()),
        body.strip(),
        parameters,
        UNKNOWN if kind is Any else types.of(kind, f"{service.uri}, what it returns"),
        streams,
        _raised(doc),
    )


def _parameter(parameter: inspect.Parameter, annotations: dict[str, Any], types: Types, uri: str) -> Parameter:
    name, default = parameter.name, parameter.default
    kind = annotations.get(name, Any)
    if default is None and kind is not Any:
        kind = kind | None  # as the binding does
    told = msgspec.NODEFAULT
    if default is not _P.empty:
        try:
            told = natural(default, "json")
        except exc.InvalidValue:
            pass  # a sentinel, say: the parameter may be left out, and that is all there is to tell
    return Parameter(
        name,
        _HOW[parameter.kind],
        types.of(kind, f"{uri}, {name}"),
        default is _P.empty and parameter.kind not in (_P.VAR_POSITIONAL, _P.VAR_KEYWORD),
        told,
        name in annotations,
    )


def _raised(doc: str) -> tuple[str, ...]:
    """Names of errors that a docstring says are raised, in order.

    >>> _raised("Buys. Raises `NotFound` where there is none, and Forbidden.")
    ('NotFound', 'Forbidden')
    """
    said: Iterable[str] = (name for part in _RAISES.findall(doc) for name in re.findall(r"[A-Z]\w+", part))
    return tuple(dict.fromkeys(name for name in said if name in exc.TABLE))
