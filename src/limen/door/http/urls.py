"""The URL of a call: `get_url`, which reads what it has written, as the HTTP door would, before it gives it away."""

from __future__ import annotations

import datetime
import enum
import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from limen import exc

from .arguments import parse_fields
from .request import Refused, path_segments

if TYPE_CHECKING:
    from limen.service.pipeline import Pipeline
    from limen.service.registry import Registry
    from limen.service.service import Service


def url_of(
    registry: Registry,
    pipeline: Pipeline,
    target: Any,
    args: Sequence[Any],
    params: Mapping[str, Any],
    extension: str | None = None,
) -> str:
    """Path and query that reach the service *target* with just these arguments: *args* as segments, *params* as query.

    Raises `exc.NotFound` for what is no service here, `exc.InvalidCall` for a sealed one, which has no URL, and
    `exc.InvalidArguments` for arguments that do not fit or would not come back the same.
    """
    service = _find(registry, target)
    if service.safe:
        raise exc.InvalidCall(f"{service.uri} is sealed: no URL reaches it, safe_call does.")
    handler = service.handlers.get("GET") or next(iter(service.handlers.values()), service)
    wanted = pipeline.plan(handler).bind(list(args), dict(params))
    path = "/".join(["", service.urlpath, *(quote(_text(value, n), safe="") for n, value in enumerate(args))])
    path += f".{extension}" if extension else ""
    query = urlencode([pair for name, value in params.items() for pair in _pairs(name, value)], quote_via=quote)
    try:
        segments = path_segments(path.encode())
        match = registry.by_path(segments) if segments[-1] else None  # a service has no slash at its end
    except (exc.InvalidAddress, Refused) as error:
        raise exc.InvalidArguments(f"{path} is no path ({error}): give that argument by name.") from None
    if match is None or match.service is not service:
        other = "nothing" if match is None else f"/{match.service.urlpath}"
        raise exc.InvalidArguments(f"{path} would reach {other}: give that argument by name.")
    if match.extension != extension:
        raise exc.InvalidArguments(
            f"{path} would answer as {match.extension or 'json'}: give the argument by name, or say extension='json'."
            if extension is None
            else f"{service.uri} knows no format {extension!r}."
        )
    fields = parse_fields(query.encode())
    text = {*range(len(match.rest)), *fields}
    back = pipeline.plan(handler).bind(match.rest, fields, text)
    if not _same(back, wanted):
        raise exc.InvalidArguments(
            f"{path}{'?' + query if query else ''} would call {service.uri} with {_shown(back)}, not {_shown(wanted)}: "
            "annotate the parameter with its type, or call it another way."
        )
    return path + (f"?{query}" if query else "")


def _find(registry: Registry, target: Any) -> Service:
    if isinstance(target, str):
        path = target.strip("/").replace(".", "/")
        match = registry.by_path(path)
        if match is not None and match.service.urlpath == path:
            return match.service
    else:
        for service in registry.paths():
            if service.function is target:
                return service
    raise exc.NotFound(f"{target!r} is no service here.")


def _pairs(name: str, value: Any) -> list[tuple[str, str]]:
    values = value if isinstance(value, list | tuple) else [value]
    return [(name, _text(item, name)) for item in values]


def _text(value: Any, where: int | str) -> str:
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, int | float | Decimal | uuid.UUID):
        return str(value)
    what = f"argument {where + 1}" if isinstance(where, int) else where
    raise exc.InvalidArguments(f"{what}: a {type(value).__name__} can't stand in a URL.")


def _same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(value, other[name]) for name, value in one.items())
    return bool(one == other)


def _shown(bound: tuple[list[Any], dict[str, Any]]) -> str:
    args, kwargs = bound
    return "(" + ", ".join([*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())]) + ")"
