"""OpenAPI 3.1 of what plain HTTP answers: the services with `safe=False`. docs/http.md says the same in words.

For each: its path with the arguments as a JSON object or a form; with GET (where it is answered) by query; the same
with one of its formats as extension; and with the arguments that have to be there as further segments. What plain
HTTP never answers, the sealed services, is listed by address in `x-limen-sealed`, so that nobody looks for it.

The text is stable: the same program gives the same bytes.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import Any

import msgspec
from msgspec import inspect as mi

from limen import exc
from limen.service.describe.description import Description, Parameter, ServiceDescription
from limen.service.describe.schema import FILE, Schema, Schemas, array
from limen.service.describe.types import FileType, UploadType, mentions
from limen.service.formats import BUILT_IN, content_type

_ALWAYS = {
    400: "Malformed: the address, a body or a value that is none; an argument given twice.",
    401: "Unauthorized: the address leads to a sealed service, or the service itself asks for more.",
    403: "Forbidden, to another site's page; RequireSSL, where TLS is asked for.",
    404: "Nothing stands at this address, or not in this format; or what was asked for is not there.",
    408: "The body did not come in time.",
    413: "The body is too large.",
    414: "The path or the query is too long.",
    415: "The body is of a type that is not taken.",
    421: "The Host is none of this server's.",
    422: "The arguments do not fit; `fields` names each wrong one.",
    429: "Too many bad requests came from this address.",
    500: "The service failed; `incident` is the number under which that was logged.",
    503: "The server has as many calls under way as it can take.",
}
_TIMEOUT = {504: "The call took longer than was allowed."}
_RETRY = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}}}
_ERROR: Schema = {
    "type": "object",
    "description": "An error: its name, sentences for a person, and facts.",
    "properties": {"exc": {"type": "string"}, "err": {"type": "array", "items": {"type": "string"}}},
    "required": ["exc", "err"],
}
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_CHARACTER = r"/\\\x00-\x1f\x7f-\x9f"
_WORD = f"^[^.{_CHARACTER}](?:[^{_CHARACTER}]*[^.{_CHARACTER}])?$"
"""What one segment of a path can say."""


def openapi(description: Description, *, title: str = "Limen", server: str = "/") -> dict[str, Any]:
    """The document, as plain data. *server*: where the services stand."""
    return _Writer(description).document(title, server)


def openapi_text(description: Description, *, title: str = "Limen") -> str:
    """The document as a file."""
    data = msgspec.json.encode(openapi(description, title=title), order="sorted")
    return msgspec.json.format(data, indent=2).decode() + "\n"


_SIGNED: dict[str, Any] = {
    "type": "apiKey",
    "in": "header",
    "name": "Authorization",
    "description": "`Limen key=…,timestamp=…,nonce=…,signature=…`: a signed request, by a user with a role "
    "(docs/http.md, Signed requests).",
}


class _Writer:
    def __init__(self, description: Description) -> None:
        self._description = description
        self._schemas = Schemas(description.types)
        self._codes: dict[int, str] = {}
        self._ids: dict[str, str] = {}

    def document(self, title: str, server: str) -> dict[str, Any]:
        paths: dict[str, Any] = {}
        shapes: dict[str, str] = {}
        for service in self._description.services:
            if not service.service.safe:
                for path, in_path, formats in self._spellings(service):
                    # Methods of a class share their paths; of two that differ in a segment's name only one is told.
                    if shapes.setdefault(re.sub("{.*?}", "{}", path), path) == path:
                        at = paths.setdefault(path, {})
                        for method, told in self._operations(service, path, in_path, formats).items():
                            at.setdefault(method, told)
        sealed = [each.service.urlpath for each in self._description.services if each.service.safe]
        error = "Error_" if "Error" in self._schemas.components else "Error"
        return {
            "openapi": "3.1.0",
            "info": {
                "title": title,
                "version": "0",
                "description": "What plain HTTP answers. Sealed services are called in a session of Limen's client; "
                "`x-limen-sealed` has their addresses.",
                "x-limen-version": version("limen"),
            },
            "servers": [{"url": server}],
            "security": [],
            "x-limen-sealed": sealed,
            "paths": paths,
            "components": {
                "schemas": {**self._schemas.components, error: _ERROR},
                "responses": {f"E{code}": self._error(code, error) for code in sorted(self._codes)},
                "securitySchemes": {"signed": _SIGNED},
            },
        }

    # -- paths --------------------------------------------------------------------------------------------------
    def _spellings(self, service: ServiceDescription) -> list[tuple[str, list[Parameter], list[str]]]:
        """(path, the parameters that are segments of it, formats): plain, with an extension, with what must be there in
        the path."""
        base = f"/{service.service.urlpath}"
        found: list[tuple[str, list[Parameter], list[str]]] = []
        in_path = self._segments(service)
        if not any(p.how == "positional" and p.required for p in service.parameters):
            found.append((base, [], []))
            found.append((f"{base}.{{format}}", [], self._formats(service)))
        if in_path:
            found.append(("/".join([base, *(f"{{{p.name}}}" for p in in_path)]), in_path, []))
        return found

    def _segments(self, service: ServiceDescription) -> list[Parameter]:
        """The parameters in order that must be there; where none must, the first that may."""
        if service.service.verb:
            return self._common(service)
        ordered = _ordered(service)
        required = [p for p in ordered if p.required] or ordered[:1]
        return required if all(self._segment(p) is not None for p in required) else []

    def _common(self, service: ServiceDescription) -> list[Parameter]:
        """Of a method of a class: what all its methods that begin alike begin with, and one of them must have."""
        path, own = service.service.urlpath, _ordered(service)
        methods = [_ordered(each) for each in self._description.services if each.service.urlpath == path]
        methods = [ordered for ordered in methods if ordered and own and ordered[0].name == own[0].name]
        found = []
        for same in zip(*methods, strict=False):
            if len({p.name for p in same}) > 1 or not any(p.required for p in same):
                break
            if any(self._segment(p) is None for p in same):
                break
            found.append(next(p for p in same if p in service.parameters))
        return found

    def _segment(self, parameter: Parameter) -> Schema | None:
        """The parameter as a segment of a path, None for what can't be one."""
        if not parameter.annotated:
            return {"type": "string", "pattern": _WORD}
        schema = self._schemas.word(parameter.type)
        if schema is None or any("." in value for value in schema.get("enum", ()) if isinstance(value, str)):
            return None  # an end that looks like an extension is one
        if schema.get("type") != "string" or "format" in schema:
            return schema
        if "pattern" in schema:
            return None  # who knows whether its texts have slashes
        return {**schema, "pattern": _WORD, "minLength": max(1, schema.get("minLength", 1))}

    def _formats(self, service: ServiceDescription) -> list[str]:
        """Extensions of the service's own, and the built-in ones that its result fits."""
        result = self._description.types.known(service.result)
        fits = isinstance(result, mi.StrType | mi.BytesType) and not service.streams
        return sorted({*service.service.output, "json", "txt", *(["raw"] if fits else [])})

    # -- operations ---------------------------------------------------------------------------------------------
    def _operations(
        self, service: ServiceDescription, path: str, in_path: list[Parameter], formats: list[str]
    ) -> dict[str, Any]:
        at: dict[str, Any] = {}
        placed = [_in_path(p.name, self._segment(p) or {}) for p in in_path]
        if formats:
            placed = [_in_path("format", {"enum": formats})]
        rest = [p for p in service.parameters if p not in in_path and p.how in ("either", "named")]
        for method in service.service.allowed_methods:
            told: dict[str, Any] = {
                "operationId": self._operation_id(method, path),
                "responses": self._responses(service, formats or ["json"], method),
            }
            if service.service.roles:
                told["security"] = [{"signed": []}]
            if service.summary:
                told["summary"] = service.summary
            if service.body:
                told["description"] = service.body
            if "." in service.uri:
                told["tags"] = [service.uri.rpartition(".")[0]]
            if method in ("GET", "HEAD", "DELETE"):
                asked = [found for p in rest if (found := self._query_parameter(p)) is not None]
                if not {p.name for p in rest if p.required} <= {found["name"] for found in asked}:
                    continue  # some argument can't be said in a query
                placed_here = [*placed, *asked]
            else:
                placed_here = placed
                if body := self._body(service, rest, bool(in_path)):
                    told["requestBody"] = body
            if placed_here:
                told["parameters"] = placed_here
            at[method.lower()] = told
        return at

    def _operation_id(self, method: str, path: str) -> str:
        """An identifier that no other operation has."""
        wanted = name = _words(method, path)
        number = 2
        while self._ids.setdefault(name, f"{method} {path}") != f"{method} {path}":
            name, number = f"{wanted}_{number}", number + 1
        return name

    def _query_parameter(self, parameter: Parameter) -> Schema | None:
        schema = self._schemas.text(parameter.type)
        if schema is None or mentions(self._description.types, parameter.type, UploadType):
            return None
        told = {"name": parameter.name, "in": "query", "required": parameter.required, "schema": schema}
        return told if parameter.required else {**told, "schema": {**schema, **_default(parameter)}}

    def _body(self, service: ServiceDescription, rest: list[Parameter], has_path: bool) -> Schema | None:
        more = next((p for p in service.parameters if p.how == "rest named"), None)
        if not rest and more is None and has_path:
            return None
        properties = {p.name: {**self._schemas.json(p.type), **_default(p)} for p in rest}
        whole: Schema = {"type": "object", "properties": properties}
        whole["additionalProperties"] = False if more is None else self._schemas.json(more.type)
        required = [p.name for p in rest if p.required]
        if required:
            whole["required"] = required
        in_order = [p for p in rest if p.how == "either"]
        json = whole
        if more is None and {p.name for p in in_order} >= set(required):
            least = sum(p.required for p in in_order)
            ordered = array([self._schemas.json(p.type) for p in in_order], least)
            if (others := next((p for p in service.parameters if p.how == "rest"), None)) is not None:
                del ordered["maxItems"]
                ordered["items"] = self._schemas.json(others.type)
            json = {"anyOf": [whole, ordered]}
        files = {p.name for p in rest if mentions(self._description.types, p.type, UploadType)}
        content: Schema = {} if files & {*required} else {"application/json": {"schema": json}}
        texts = {p.name: schema for p in rest if (schema := self._schemas.text(p.type)) is not None}
        if texts and texts.keys() >= set(required) and more is None:
            form = {**whole, "properties": texts}
            for kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
                if kind == "multipart/form-data" or not files:
                    content[kind] = {"schema": form}
        if len(files) == 1 and {*required} <= files:
            content["application/octet-stream"] = {"schema": FILE}
        return {"required": bool(required), "content": content}

    # -- answers ------------------------------------------------------------------------------------------------
    def _responses(self, service: ServiceDescription, formats: list[str], method: str) -> dict[str, Any]:
        result = self._loosely(self._schemas.json(service.result))
        if service.streams:
            result = {"type": "array", **({"items": result} if result else {})}
        good: Schema = {"description": "What the service gives."}
        if mentions(self._description.types, service.result, FileType):
            good["content"] = {"*/*": {"schema": FILE}}
        elif method != "HEAD":
            contents = (self._content(service, extension, result) for extension in formats)
            good["content"] = {kind: {"schema": schema} for kind, schema in contents}
            if service.streams and "json" in formats:
                good["content"]["application/x-ndjson"] = {"schema": {"type": "string"}}
        told: dict[str, Any] = {"200": good}
        codes = dict(_ALWAYS)
        if service.service.timeout is not None:
            codes |= _TIMEOUT
        for name in service.raises:
            error = exc.TABLE[name]
            codes.setdefault(error.status, (error.__doc__ or name).strip().splitlines()[0])
        for code in sorted(codes):
            self._codes.setdefault(code, codes[code])
            told[str(code)] = {"$ref": f"#/components/responses/E{code}"}
        return told

    def _loosely(self, schema: Schema) -> Schema:
        """An answer that is a tuple: schemathesis 4.32 can't read `prefixItems` there."""
        told = self._schemas.components.get(str(schema.get("$ref", "")).rpartition("/")[2], schema)
        if "prefixItems" not in told:
            return schema
        items = told["prefixItems"]
        distinct = [item for i, item in enumerate(items) if item not in items[:i]]
        loose = {key: value for key, value in told.items() if key != "prefixItems"}
        return {**loose, "items": distinct[0] if len(distinct) == 1 else {"anyOf": distinct}} if items else loose

    def _content(self, service: ServiceDescription, extension: str, result: Schema) -> tuple[str, Schema]:
        formatter = service.service.output.get(extension) or BUILT_IN[extension]
        kind = content_type(extension, formatter).partition(";")[0]
        if kind == "application/json" and extension == "json" and extension not in service.service.output:
            return kind, result
        if kind.startswith("text/"):
            return kind, {"type": "string"}
        return kind, {}

    def _error(self, code: int, error: str) -> Schema:
        told: Schema = {
            "description": self._codes[code],
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{error}"}}},
        }
        return {**told, "headers": _RETRY} if code in (429, 503) else told


def _ordered(service: ServiceDescription) -> list[Parameter]:
    return [p for p in service.parameters if p.how in ("positional", "either")]


def _in_path(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _default(parameter: Parameter) -> Schema:
    return {} if parameter.default is msgspec.NODEFAULT else {"default": parameter.default}


def _words(method: str, path: str) -> str:
    """
    >>> _words("GET", "/todo/add/{text}.json")
    'get_todo_add_text_json'
    """
    words = "".join(c if c.isalnum() and c.isascii() else "_" for c in path.replace("}", "")).split("_")
    return "_".join([method.lower(), *filter(None, words)])
