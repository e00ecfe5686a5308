"""A module of typed clients, sync and async: thin, over the clients that Limen has (`limen.client.typed`)."""

from __future__ import annotations

import builtins
import json
import keyword
import re
from collections.abc import Iterator

from msgspec import inspect as mi

from limen.service.describe.both import Both, Way
from limen.service.describe.description import Description, Parameter, ServiceDescription
from limen.service.describe.tree import Branch, tree
from limen.service.describe.types import FIELDS, NAMED, FileType, Foreign, UploadType, identifier

_HEAD = '''\
"""Typed clients of a program's services. Written by `limen types`; don't edit it, write it anew.

    client = Client(limen.PyClient())              or any other client whose methods wait
    client = AsyncClient(session)                  a session of limen.connect
"""

from __future__ import annotations

import builtins as _b
import datetime as _dt
import decimal as _dec
import uuid as _uuid
from collections.abc import AsyncIterator as _AsyncIterator
from collections.abc import Iterator as _Iterator
from typing import Any as _Any
from typing import Literal as _Literal
from typing import NotRequired as _NotRequired
from typing import TypedDict as _TypedDict

import limen as _limen
from limen.client.files import Download as _Download
from limen.client.files import SyncDownload as _SyncDownload
from limen.client.typed import UNSET as _UNSET
from limen.client.typed import AsyncBranch as _AsyncBranch
from limen.client.typed import Branch as _Branch

__all__ = ["AsyncClient", "Client"]

'''
_PLAIN: dict[type[mi.Type], str] = {
    mi.NoneType: "None",
    mi.BoolType: "bool",
    mi.IntType: "int",
    mi.FloatType: "float",
    mi.StrType: "str",
    mi.BytesType: "bytes",
    mi.ByteArrayType: "bytes",
    mi.MemoryViewType: "bytes",
    mi.DecimalType: "_dec.Decimal",
    mi.UUIDType: "_uuid.UUID",
    mi.DateType: "_dt.date",
    mi.TimeType: "_dt.time",
    mi.DateTimeType: "_dt.datetime",
    UploadType: "_limen.Upload",
    FileType: "_Download",
    mi.TimeDeltaType: "_dt.timedelta",
}
_JSON = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_OWN = frozenset({"_client", "_call", "_stream", "self"})
_RESERVED = frozenset({"Client", "AsyncClient", *dir(builtins), *keyword.kwlist})


def python(description: Description) -> str:
    """The module's text."""
    return "".join(_Writer(description).lines())


class _Writer:
    def __init__(self, description: Description) -> None:
        self._description, self._types = description, description.types
        self._services = {service.uri: service for service in description.services}
        segments = {segment for uri in self._services for segment in uri.split(".")}
        self._hidden = segments & set(dir(builtins))
        """Builtins that a method of the same name hides in its class."""
        self._both = Both(description, self._declare)
        self._models = {self._model(name) for name, _, _ in self._both.declarations()}
        self._classes: set[str] = set()

    def lines(self) -> Iterator[str]:
        yield _HEAD
        for name, _, declared in self._both.declarations():
            yield "\n" + declared.replace("$NAME", self._model(name)) + "\n"
        branch = tree(self._services)
        for is_async in (False, True):
            yield from self._branch(branch, "AsyncClient" if is_async else "Client", "All services.", None, is_async)

    # -- the tree -----------------------------------------------------------------------------------------------
    def _branch(
        self, branch: Branch, name: str, doc: str, own: ServiceDescription | None, is_async: bool
    ) -> Iterator[str]:
        """The class *name* after those of the branches below it."""
        body: list[str] = []
        taken: set[str] = set()
        if own is not None:
            body += self._method(own, "__call__", is_async)
        for segment, node in branch.items():
            attribute = self._attribute(segment, taken)
            service = self._services.get(node.uri)
            if not node.branches:
                assert service is not None
                body += self._method(service, attribute, is_async)
                continue
            inner = self._class(f"{name}_{identifier(segment)}" if "_" in name else f"_{name}_{identifier(segment)}")
            below = f"What stands below {segment!r}."
            yield from self._branch(node.branches, inner, below, service, is_async)
            body += ["    @property\n", f"    def {attribute}(self) -> {inner}:\n"]
            body += [f"        return {inner}(self._client)\n\n"]
        yield f"\nclass {name}({'_AsyncBranch' if is_async else '_Branch'}):\n"
        yield f"    {_docstring(doc, '    ')}\n\n    __slots__ = ()\n\n"
        yield "".join(body)

    def _class(self, wanted: str) -> str:
        while wanted in self._classes:
            wanted += "_"
        self._classes.add(wanted)
        return wanted

    def _attribute(self, segment: str, taken: set[str]) -> str:
        name = identifier(segment) if not segment.isidentifier() else segment
        if keyword.iskeyword(name) or name in _OWN or name in self._models:
            name += "_"
        if name.startswith("__"):
            name = f"{name.strip('_')}_"
        while name in taken:
            name += "_"
        taken.add(name)
        return name

    def _method(self, service: ServiceDescription, name: str, is_async: bool) -> list[str]:
        result = self.type(service.result, "out")
        if not is_async:
            result = re.sub(r"\b_Download\b", "_SyncDownload", result)
        me = "self" if all(p.name != "self" for p in service.parameters) else "_self"
        own = {p.name for p in service.parameters}
        out = next(name for name in ("result", "result_", "result__") if name not in own)
        signature = ", ".join([me, *self._signature(service.parameters)])
        args, named = _passed(service.parameters)
        asked = f"{json.dumps(service.uri)}, {service.service.safe}, {args}, {named}"
        doc = "\n\n".join(filter(None, (service.summary, service.body)))
        if service.streams:
            gives = f"{'_AsyncIterator' if is_async else '_Iterator'}[{result}]"
            lines = [f"    def {name}({signature}) -> {gives}:\n"]
            body = [f"        {out}: {gives} = {me}._stream({asked})\n        return {out}\n\n"]
        else:
            wait = "await " if is_async else ""
            lines = [f"    {'async ' if is_async else ''}def {name}({signature}) -> {result}:\n"]
            if result == "None":
                body = [f"        {wait}{me}._call({asked})\n\n"]
            else:
                body = [f"        {out}: {result} = {wait}{me}._call({asked})\n        return {out}\n\n"]
        return [*lines, *([f"        {_docstring(doc, '        ')}\n"] if doc else []), *body]

    def _signature(self, parameters: tuple[Parameter, ...]) -> Iterator[str]:
        starred = False
        for i, p in enumerate(parameters):
            if p.how == "named" and not starred:
                starred = True
                yield "*"
            starred = starred or p.how == "rest"
            stars = {"rest": "*", "rest named": "**"}.get(p.how, "")
            default = "" if p.required or stars else " = _UNSET"
            yield f"{stars}{p.name}: {self.type(p.type, 'in')}{default}"
            after = parameters[i + 1].how if i + 1 < len(parameters) else None
            if p.how == "positional" and after != "positional":
                yield "/"

    # -- types --------------------------------------------------------------------------------------------------
    def _builtin(self, name: str) -> str:
        return f"_b.{name}" if name in self._hidden else name

    def _model(self, name: str) -> str:
        return f"{name}_" if name in _RESERVED or name.startswith("_") else name

    def type(self, node: mi.Type, way: Way) -> str:
        """*node* as an annotation."""
        node = self._types.known(node)
        if isinstance(node, NAMED):
            return self._model(self._both.name(node, way))
        match node:
            case Foreign():
                told = _JSON.get(str(node.schema.get("type")))
                return "_Any" if told is None else told if told == "None" else self._builtin(told)
            case mi.LiteralType():
                return _literal(list(node.values))
            case mi.UnionType():
                return " | ".join(dict.fromkeys(self.type(each, way) for each in node.types))
            case mi.TupleType():
                items = ", ".join(self.type(each, way) for each in node.item_types) or "()"
                return f"{self._builtin('tuple')}[{items}]"
            case mi.VarTupleType():
                return f"{self._builtin('tuple')}[{self.type(node.item_type, way)}, ...]"
            case mi.DictType():
                return f"{self._builtin('dict')}[{self.type(node.key_type, way)}, {self.type(node.value_type, way)}]"
            case mi.SetType() | mi.FrozenSetType() | mi.ListType() | mi.CollectionType():
                kind = {mi.SetType: "set", mi.FrozenSetType: "frozenset"}.get(type(node), "list")
                return f"{self._builtin(kind)}[{self.type(node.item_type, way)}]"
        told = _PLAIN.get(type(node), "_Any")
        return self._builtin(told) if told in dir(builtins) and told != "None" else told

    def _declare(self, both: Both, node: mi.Type, way: Way) -> str:
        self._both = both
        if isinstance(node, mi.EnumType):
            return f"$NAME = {_literal([member.value for member in node.cls])}"
        assert isinstance(node, FIELDS)
        if isinstance(node, mi.NamedTupleType) or getattr(node, "array_like", False):
            told = [self.type(field.type, way) for field in node.fields]
            least = sum(field.required for field in node.fields) if way == "in" else len(told)
            counts = range(least, len(told) + 1)
            return "$NAME = " + " | ".join(f"tuple[{', '.join(told[:count]) or '()'}]" for count in counts)
        partly = way == "in" or isinstance(node, mi.TypedDictType)
        fields = {
            field.encode_name: self.type(field.type, way)
            if field.required or not partly
            else f"_NotRequired[{self.type(field.type, way)}]"
            for field in node.fields
        }
        if (tag := getattr(node, "tag", None)) is not None:
            fields = {str(node.tag_field): _literal([tag]), **fields}  # type: ignore[union-attr]
        if all(name.isidentifier() and not keyword.iskeyword(name) and name[:2] != "__" for name in fields):
            lines = "".join(f"    {name}: {told}\n" for name, told in fields.items()) or "    pass\n"
            return f"class $NAME(_TypedDict):\n{lines}"
        inside = ", ".join(f"{json.dumps(name)}: {json.dumps(told)}" for name, told in fields.items())
        return f'$NAME = _TypedDict("$NAME", {{{inside}}})'


def _passed(parameters: tuple[Parameter, ...]) -> tuple[str, str]:
    """The arguments as they are handed on: those in order, those by name."""
    rest = any(p.how == "rest" for p in parameters)
    in_order = [p.name for p in parameters if p.how == "positional" or (rest and p.how == "either")]
    in_order += [f"*{p.name}" for p in parameters if p.how == "rest"]
    by_name = [f'"{p.name}": {p.name}' for p in parameters if p.how == "named" or (not rest and p.how == "either")]
    by_name += [f"**{p.name}" for p in parameters if p.how == "rest named"]
    return f"[{', '.join(in_order)}]", f"{{{', '.join(by_name)}}}"


def _literal(values: list[object]) -> str:
    if not values or not all(value is None or isinstance(value, str | int | bytes) for value in values):
        return "_Any"
    return f"_Literal[{', '.join(map(repr, values))}]"


def _docstring(text: str, indent: str) -> str:
    """*text* as a docstring at *indent*."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    lines = "\n".join(f"{indent}{line}".rstrip() for line in escaped.split("\n")).strip()
    end = f"\n{indent}" if "\n" in lines else ""
    return f'"""{lines}{end}"""'
