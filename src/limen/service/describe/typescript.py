"""`services.d.ts`: which services there are, for `safe_call("…")`, `call("…")` and the tree `services.todo.add(…)`.

It adds to the interfaces of `js/types/typed.d.ts`, whose functions look up there what a name takes and gives.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from msgspec import inspect as mi

from limen.service.describe.both import Both, Way
from limen.service.describe.description import Description, Parameter, ServiceDescription
from limen.service.describe.tree import Branch, tree
from limen.service.describe.types import FIELDS, NAMED, FileType, Foreign, UploadType

_ANY = "any"
_RESERVED = {
    *(
        "Stream",
        "Call",
        "Tagged",
        "LimenFile",
        "File",
        "Blob",
        "Promise",
        "Array",
        "Set",
        "Map",
        "Date",
        "Uint8Array",
        "ArrayBuffer",
    ),
    *("any", "unknown", "string", "number", "boolean", "object", "symbol", "bigint", "void", "never", "undefined"),
}
"""What a type of the program's cannot be called."""
_WORDS = {
    *(
        "case",
        "catch",
        "const",
        "debugger",
        "default",
        "delete",
        "do",
        "enum",
        "export",
        "extends",
        "false",
        "function",
    ),
    *("infer", "instanceof", "keyof", "new", "null", "readonly", "super", "switch", "this", "throw", "true", "typeof"),
    *("unique", "var", "void", "abstract", "asserts", "let", "static", "implements", "interface", "package", "private"),
    *("protected", "public"),
}
"""What Python lets a parameter be called, and TypeScript does not."""
_JSON = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)

_PLAIN: dict[type[mi.Type], tuple[str, str]] = {
    # as it is sent, as it comes
    mi.NoneType: ("null", "null"),
    mi.BoolType: ("boolean", "boolean"),
    mi.IntType: ("number | bigint", "number"),
    mi.FloatType: ("number", "number"),
    mi.StrType: ("string", "string"),
    mi.BytesType: ("Uint8Array | ArrayBuffer", "Uint8Array"),
    mi.ByteArrayType: ("Uint8Array | ArrayBuffer", "Uint8Array"),
    mi.MemoryViewType: ("Uint8Array | ArrayBuffer", "Uint8Array"),
    mi.DecimalType: ("Tagged | string", "Tagged"),
    mi.UUIDType: ("string", "string"),
    mi.DateType: ("Tagged | string", "Tagged"),
    mi.TimeType: ("Tagged | string", "Tagged"),
    mi.DateTimeType: ("Date | Tagged | string", "Date | Tagged"),
    UploadType: ("File | Blob", "any"),
    FileType: ("never", "LimenFile"),
    mi.TimeDeltaType: ("Tagged | string", "Tagged"),
}


def typescript(description: Description) -> str:
    """The file's text."""
    writer = TypeScript(description)
    return "".join(writer.lines())


class TypeScript:
    """Writes what *description* says as TypeScript."""

    def __init__(self, description: Description) -> None:
        self._description, self._types = description, description.types
        self._both = Both(description, self._declare)

    def declarations(self) -> dict[str, str]:
        """The named types that services take and give, by name."""
        return {_safe(name): declared for name, _, declared in self._both.declarations()}

    # -- the file -----------------------------------------------------------------------------------------------
    def lines(self) -> Iterator[str]:
        yield "// Written by `limen types`: what this program offers. Don't edit it; write it anew.\n"
        yield 'import type { Call, LimenFile, Stream, Tagged } from "./limen/typed.js";\n\n'
        for name, node, declared in self._both.declarations():
            yield from _comment(_doc_of(node), "")
            yield f"export type {_safe(name)} = {declared};\n\n"
        safe = [each for each in self._description.services if each.service.safe]
        plain = [each for each in self._description.services if not each.service.safe]
        yield 'declare module "./limen/typed.js" {\n'
        yield "  interface Services {\n"
        # Sealed sessions may call what anybody may call.
        yield from self._entries(self._description.services)
        yield "  }\n  interface PlainServices {\n"
        yield from (f"    {_quoted(each.uri)}: Services[{_quoted(each.uri)}];\n" for each in plain)
        yield "  }\n  interface Topics {\n"
        yield from (f"    {_quoted(topic)}: any[];\n" for topic in self._description.topics)
        yield "  }\n  interface ServiceTree {\n"
        yield from _branch(tree(each.uri for each in self._description.services), "Services", "    ")
        yield "  }\n  interface PlainTree {\n"
        yield from _branch(tree(each.uri for each in plain), "PlainServices", "    ")
        yield "  }\n}\n"
        if not safe and not plain:
            yield "export {};\n"

    def _entries(self, services: Iterable[ServiceDescription]) -> Iterator[str]:
        for service in services:
            yield from _comment("\n\n".join(filter(None, (service.summary, service.body))), "    ")
            yield f"    {_quoted(service.uri)}: {{\n"
            yield f"      args: {self._arguments(service.parameters)};\n"
            yield f"      named: {self._by_name(service.parameters)};\n"
            yield f"      gives: {self._gives(service)};\n"
            yield "    };\n"

    def _gives(self, service: ServiceDescription) -> str:
        result = self.type(service.result, "out")
        return f"Stream<{result}>" if service.streams else f"Promise<{result}>"

    # -- arguments ----------------------------------------------------------------------------------------------
    def _arguments(self, parameters: tuple[Parameter, ...]) -> str:
        """What may stand behind the name in a call: exactly one plain object means by name."""
        spellings = [*self._in_order(parameters)]
        named = self._by_name(parameters)
        if named != "never":
            spellings.append(f"[named: {named}]")
        return " | ".join(dict.fromkeys(spellings)) or "never"

    def _in_order(self, parameters: tuple[Parameter, ...]) -> Iterator[str]:
        if any(p.how == "named" and p.required for p in parameters):
            return
        ordered = [p for p in parameters if p.how in ("positional", "either")]
        rest = next((p for p in parameters if p.how == "rest"), None)
        least = sum(p.required for p in ordered)
        if ordered and least < 2 and self._is_object(ordered[0].type):
            # One plain object would be taken for arguments by name: none, or two and more.
            if least == 0:
                yield "[]"
            if len(ordered) == 1 and rest is None:
                return
            least = 2
        told = []
        for i, parameter in enumerate(ordered):
            told.append(f"{_label(parameter.name)}{'' if i < least else '?'}: {self.type(parameter.type, 'in')}")
        if rest is not None:
            told.append(f"...{_label(rest.name)}: ({self.type(rest.type, 'in')})[]")
        yield f"[{', '.join(told)}]"

    def _by_name(self, parameters: tuple[Parameter, ...]) -> str:
        if any(p.how == "positional" and p.required for p in parameters):
            return "never"
        told = [
            f"{_key(p.name)}{'' if p.required else '?'}: {self.type(p.type, 'in')}"
            for p in parameters
            if p.how in ("either", "named")
        ]
        rest = next((p for p in parameters if p.how == "rest named"), None)
        if rest is None:
            return f"{{ {'; '.join(told)} }}" if told else "{}" if not parameters else "never"
        more = f"{{ [name: string]: {_ANY if told else self.type(rest.type, 'in')} }}"
        return f"{{ {'; '.join(told)} }} & {more}" if told else more

    def _is_object(self, node: mi.Type) -> bool:
        node = self._types.known(node)
        if isinstance(node, mi.UnionType):
            return any(map(self._is_object, node.types))
        return isinstance(node, (*FIELDS, mi.DictType)) and not isinstance(node, mi.NamedTupleType)

    # -- types --------------------------------------------------------------------------------------------------
    def type(self, node: mi.Type, way: Way) -> str:
        """*node* as TypeScript."""
        node = self._types.known(node)
        if isinstance(node, NAMED):
            return _safe(self._both.name(node, way))
        match node:
            case Foreign():
                return _json_type(node.schema)
            case mi.LiteralType():
                return " | ".join(json.dumps(value) for value in node.values)
            case mi.UnionType():
                return " | ".join(dict.fromkeys(self.type(each, way) for each in node.types))
            case mi.TupleType():
                return f"readonly [{', '.join(self.type(each, way) for each in node.item_types)}]"
            case mi.DictType():
                return self._dict(node, way)
            case mi.SetType() | mi.FrozenSetType():
                item = self.type(node.item_type, way)
                return f"Set<{item}> | ({item})[]" if way == "in" else f"Set<{item}>"
            case mi.ListType() | mi.VarTupleType() | mi.CollectionType():
                item = self.type(node.item_type, way)
                frozen = way == "in" or isinstance(node, mi.VarTupleType)
                return (
                    f"{'readonly ' if frozen else ''}({item})[]"
                    if " " in item
                    else (f"{'readonly ' if frozen else ''}{item}[]")
                )
        told = _PLAIN.get(type(node))
        return _ANY if told is None else told[way == "out"]

    def _dict(self, node: mi.DictType, way: Way) -> str:
        key, value = self._types.known(node.key_type), self.type(node.value_type, way)
        if isinstance(key, mi.StrType | mi.AnyType | mi.EnumType | mi.LiteralType | mi.UUIDType):
            return f"{{ [key: string]: {value} }}"
        return f"Map<{self.type(key, way)}, {value}>"

    def _declare(self, both: Both, node: mi.Type, way: Way) -> str:
        self._both = both
        if isinstance(node, mi.EnumType):
            return " | ".join(json.dumps(member.value) for member in node.cls) or "never"
        assert isinstance(node, FIELDS)
        if isinstance(node, mi.NamedTupleType) or getattr(node, "array_like", False):
            optional = "?" if way == "in" else ""
            told = [f"{self.type(f.type, way)}{'' if f.required else optional}" for f in node.fields]
            return f"readonly [{', '.join(told)}]"
        partly = isinstance(node, mi.TypedDictType)
        told = [
            f"  {_key(f.encode_name)}{'' if f.required or (way == 'out' and not partly) else '?'}: "
            f"{self.type(f.type, way)};\n"
            for f in node.fields
        ]
        if (tag := getattr(node, "tag", None)) is not None:
            told.insert(0, f"  {_key(str(node.tag_field))}: {json.dumps(tag)};\n")  # type: ignore[union-attr]
        return "{\n" + "".join(told) + "}"


def _branch(branch: Branch, of: str, indent: str) -> Iterator[str]:
    for name, inner in branch.items():
        if name == "then":
            continue  # an object with a method of this name would be taken for a promise
        called = f"Call<{of}, {_quoted(inner.uri)}>" if inner.uri else ""
        if not inner.branches:
            yield f"{indent}{_key(name)}: {called};\n"
            continue
        yield f"{indent}{_key(name)}: {called + ' & ' if called else ''}{{\n"
        yield from _branch(inner.branches, of, indent + "  ")
        yield f"{indent}}};\n"


def _safe(name: str) -> str:
    return f"{name}_" if name in _RESERVED else name


def _label(name: str) -> str:
    """The name of a parameter, as editors show it."""
    return f"{name}_" if name in _WORDS or not _IDENTIFIER.fullmatch(name) else name


def _quoted(text: str) -> str:
    return json.dumps(text)


def _key(name: str) -> str:
    return name if _IDENTIFIER.fullmatch(name) else json.dumps(name)


def _comment(text: str, indent: str) -> Iterator[str]:
    if text:
        lines = text.replace("*/", "*\u200b/").split("\n")
        yield f"{indent}/**\n"
        yield from (f"{indent} * {line}".rstrip() + "\n" for line in lines)
        yield f"{indent} */\n"


def _doc_of(node: mi.Type) -> str:
    import inspect

    kind = getattr(node, "cls", None)
    doc = inspect.cleandoc(getattr(kind, "__doc__", "") or "") if isinstance(kind, type) else ""
    return "" if doc.startswith(f"{getattr(kind, '__name__', '')}(") else doc  # what dataclasses write themselves


def _json_type(schema: dict[str, object]) -> str:
    if "anyOf" in schema and isinstance(schema["anyOf"], list):
        return " | ".join(dict.fromkeys(map(_json_type, schema["anyOf"])))
    if "enum" in schema and isinstance(schema["enum"], list):
        return " | ".join(map(json.dumps, schema["enum"]))
    return _JSON.get(str(schema.get("type")), _ANY)
