"""From the arguments of a call to the parameters of its function: worked out once for each service.

    >>> from datetime import date
    >>> def add(text: str, due: date, times=1): ...
    >>> binding = Binding(add)
    >>> binding.bind(["milk"], {"due": "2026-11-21", "times": "3"})
    (['milk'], {'due': datetime.date(2026, 11, 21), 'times': 3})
    >>> try:
    ...     binding.bind([7], {"due": "soon"})
    ... except exc.InvalidArguments as error:
    ...     print(error.facts["fields"])
    {'text': 'Expected `str`, got `int`', 'due': 'Invalid RFC3339 encoded date'}

Annotations decide the types (`limen.service.annotations`); where there is none, auto_parse does. The way without errors
keeps no books; only when something does not fit is everything looked at again, to name each wrong field.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Iterator
from typing import Any

import msgspec

from limen import exc
from limen.base.files import Upload
from limen.base.hints import signature
from limen.base.parse import auto_parse
from limen.service.annotations import Reader, mentions, raw, readers

_MOST_FIELDS = 50
"""Most wrong fields named at once."""

_P = inspect.Parameter
_MISSING = "This argument is missing."


class _Misfit(Exception):
    """Something does not fit; what, is found out afterwards."""


class Binding:
    """How *function* takes its arguments. *parse*: texts without annotation go through auto_parse. *kinds*: what each
    annotation is taken for."""

    __slots__ = (
        "_by_name",
        "_by_position",
        "_exact",
        "_must_name",
        "_names",
        "_quick",
        "_rest_named",
        "_rest_positional",
        "_taken",
        "_too_few",
        "body",
        "files",
    )

    def __init__(
        self, function: Callable[..., Any], parse: bool = True, kinds: Callable[[Any], Any] | None = None
    ) -> None:
        otherwise = Reader(auto_parse, auto_parse) if parse else raw
        hints = readers(function, kinds)
        parameters = list(signature(function).parameters.values())
        by_parameter = {p.name: hints.get(p.name, otherwise) for p in parameters}
        files = {name: reader.kind for name, reader in hints.items() if mentions(reader.kind, Upload)}
        self.files = frozenset(files)
        """The parameters that take an `Upload`, or several."""
        single = [name for name, kind in files.items() if kind in (Upload, Upload | None)]
        self.body = single[0] if len(files) == len(single) == 1 else None
        """The one parameter that takes a file, where there is just that one: it may be a request's whole body."""
        positional = [p for p in parameters if p.kind in (_P.POSITIONAL_ONLY, _P.POSITIONAL_OR_KEYWORD)]
        self._names = [p.name for p in positional]
        self._by_position = [by_parameter[p.name] for p in positional]
        self._quick = [(reader.exact, reader.read) for reader in self._by_position]
        self._by_name = {
            p.name: by_parameter[p.name] for p in parameters if p.kind in (_P.POSITIONAL_OR_KEYWORD, _P.KEYWORD_ONLY)
        }
        self._rest_positional = next((by_parameter[p.name] for p in parameters if p.kind is _P.VAR_POSITIONAL), None)
        self._rest_named = next((by_parameter[p.name] for p in parameters if p.kind is _P.VAR_KEYWORD), None)
        # For each number of positional arguments: what must come by name then, and what must not.
        required = [p.name for p in parameters if p.default is _P.empty and p.name in self._by_name]
        self._must_name: list[tuple[str, ...]] = []
        self._too_few: list[tuple[str, ...]] = []
        self._taken: list[frozenset[str]] = []
        for count in range(len(positional) + 1):
            by_position = {p.name for p in positional[:count]}
            self._too_few.append(
                tuple(p.name for p in positional[count:] if p.kind is _P.POSITIONAL_ONLY and p.default is _P.empty)
            )
            self._must_name.append(tuple(name for name in required if name not in by_position))
            self._taken.append(frozenset(by_position & self._by_name.keys()))
        whole = not self._must_name[-1]
        self._exact = [reader.exact for reader in self._by_position] if whole else None
        """The types of a call that needs no further look: all in order, each just what its annotation says."""

    def bind(
        self, args: list[Any], kwargs: dict[str, Any] | None = None, text: Container[int | str] = ()
    ) -> tuple[list[Any], dict[str, Any]]:
        """What to call the function with. *text*: positions and names of the arguments that came as text, from a URL or
        a form: those become the annotated type as far as that can be told ('5' an int); others must have it.

        Raises InvalidArguments; its fact `fields` names everything that does not fit.
        """
        try:
            if not kwargs and not text and list(map(type, args)) == self._exact:
                return args, {}
            return self._bind(args, kwargs, text)
        except (_Misfit, msgspec.ValidationError, ValueError, TypeError) as error:
            fields = dict(zip(range(_MOST_FIELDS), self._wrong(args, kwargs or {}, text), strict=False)).values()
            if not fields:
                raise
            raise exc.InvalidArguments(*(f"{name}: {why}" for name, why in fields), fields=dict(fields)) from (
                None if isinstance(error, _Misfit) else error
            )

    def _bind(
        self, args: list[Any], kwargs: dict[str, Any] | None, text: Container[int | str]
    ) -> tuple[list[Any], dict[str, Any]]:
        count = len(args)
        if text:
            values = [
                reader.read_text(value) if i in text else reader.read(value) for i, reader, value in self._placed(args)
            ]
        else:
            # What has the annotated type exactly passes without a further call.
            values = [
                value if type(value) is kind else read(value)
                for (kind, read), value in zip(self._quick, args, strict=False)
            ]
            if count > len(values):
                rest = self._rest_positional
                if rest is None:
                    raise _Misfit
                values += [rest.read(value) for value in args[len(values) :]]
        count = min(count, len(self._names))
        named = {}
        if kwargs:
            by_name, taken = self._by_name, self._taken[count]
            for name, value in kwargs.items():
                reader = by_name.get(name) or self._rest_named
                if reader is None or name in taken:
                    raise _Misfit
                named[name] = reader.read_text(value) if name in text else reader.read(value)
        for name in self._must_name[count]:
            if name not in named:
                raise _Misfit
        if self._too_few[count]:
            raise _Misfit
        return values, named

    def _placed(self, args: list[Any]) -> Iterator[tuple[int, Reader, Any]]:
        for i, value in enumerate(args):
            reader = self._by_position[i] if i < len(self._by_position) else self._rest_positional
            if reader is None:
                raise _Misfit
            yield i, reader, value

    # -- what does not fit --------------------------------------------------------------------------------------
    def _wrong(self, args: list[Any], kwargs: dict[str, Any], text: Container[int | str]) -> Iterator[tuple[str, str]]:
        count = min(len(args), len(self._names))
        for i, value in enumerate(args):
            if i < len(self._names):
                yield from self._by_position[i].wrong(self._names[i], value, i in text)
            elif self._rest_positional is not None:
                yield from self._rest_positional.wrong(f"[{i}]", value, i in text)
            else:
                yield f"[{i}]", f"At most {len(self._names)} arguments are taken in order."
                break
        for name, value in kwargs.items():
            reader = self._by_name.get(name) or self._rest_named
            if reader is None:
                yield name[:64], "There is no argument of this name."
            elif name in self._taken[count]:
                yield name, "This argument was given twice."
            else:
                yield from reader.wrong(name, value, name in text)
        for name in self._too_few[count]:
            yield name, _MISSING
        for name in self._must_name[count]:
            if name not in kwargs:
                yield name, _MISSING
