"""From query, form and JSON to the arguments of a call.

| where | what |
|---|---|
| further segments of the path | positional, text |
| query, form (urlencoded, multipart) | by name, text; a name that comes several times is a list of texts |
| JSON object | by name |
| JSON array | positional, after those of the path |
| JSON `{"$call": [[…], {…}]}` (only `application/limen+json`) | positional and by name |

The same name from two places is refused. Whatever these bytes are, they end as plain values or as an `exc.InvalidCall`.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote_to_bytes

from limen import exc
from limen.base.limits import load_json
from limen.base.values import binary, untag
from limen.web.multipart import BrokenForm, Multipart, TooManyParts

from .request import check_escapes

MAX_FIELDS: Final = 1000
"""Most fields of a query or form."""

Fields = dict[str, Any]


class Malformed(Exception):
    """These bytes are not at all what their type says: the ledger weighs that more than a wrong value.

    *error*: what the caller is told.
    """

    def __init__(self, *err: str) -> None:
        super().__init__(*err)
        self.error = exc.InvalidValue(*err)


def parse_fields(data: bytes, what: str = "query") -> Fields:
    """The fields of `application/x-www-form-urlencoded` (WHATWG URL, 5.1; but strict: broken escapes are refused).

    >>> parse_fields(b"a=1&b=x+y%21&a=2")
    {'a': ['1', '2'], 'b': 'x y!'}
    """
    fields: Fields = {}
    if not data:
        return fields
    pairs = data.split(b"&", MAX_FIELDS)
    if len(pairs) > MAX_FIELDS:
        raise exc.InvalidCall(f"The {what} has more than {MAX_FIELDS} fields.")
    plain = b"%" not in data and b"+" not in data
    try:
        for pair in pairs:
            if not pair:
                continue
            name, _, value = pair.partition(b"=")
            if plain:
                put_field(fields, name.decode(), value.decode())
            else:
                put_field(fields, _unquoted(name), _unquoted(value))
    except UnicodeDecodeError:
        raise exc.InvalidCall(f"The {what} is not UTF-8.") from None
    return fields


def _unquoted(text: bytes) -> str:
    if b"%" in text:
        check_escapes(text.decode("latin-1"))
        return unquote_to_bytes(text.replace(b"+", b" ")).decode()
    return text.replace(b"+", b" ").decode()


def put_field(fields: Fields, name: str, value: Any) -> None:
    """One more field; a name that comes several times holds a list. Raises `exc.InvalidCall` for what no answer could
    say again."""
    if type(value) is str and value[:1] == "\0":
        raise exc.InvalidCall("A text that begins with U+0000 would be taken for bytes where it is answered in JSON.")
    if name not in fields:
        fields[name] = value
    elif isinstance(fields[name], list):
        fields[name].append(value)
    else:
        fields[name] = [fields[name], value]


def parse_multipart(data: bytes, boundary: bytes | None) -> Fields:
    """The fields of `multipart/form-data` (RFC 7578). Raises `exc.UnsupportedMediaType` for files, `Malformed`.

    >>> parse_multipart(b'--x\\r\\nContent-Disposition: form-data; name="a"\\r\\n\\r\\n1\\r\\n--x--\\r\\n', b"x")
    {'a': '1'}
    """
    fields: Fields = {}
    name, pieces = None, []
    try:
        form = Multipart(boundary, MAX_FIELDS)
        for event in (*form.feed(data), None):
            if isinstance(event, bytes):
                pieces.append(event)
                continue
            if name is not None:
                put_field(fields, name, b"".join(pieces).decode())
            if event is not None:
                name, pieces = event.name, []
                if event.filename is not None:
                    raise exc.UnsupportedMediaType("Files are not taken here.")
        form.finish()
    except BrokenForm as broken:
        raise Malformed(str(broken)) from None
    except TooManyParts:
        raise exc.InvalidCall(f"The form has more than {MAX_FIELDS} fields.") from None
    except UnicodeDecodeError:
        raise Malformed("The form is not UTF-8.") from None
    return fields


def media_type(value: bytes) -> tuple[bytes, bytes | None]:
    """A Content-Type as (type in lower case, boundary). Raises `exc.UnsupportedMediaType` for other texts than UTF-8.

    >>> media_type(b'Application/JSON; charset="UTF-8"')
    (b'application/json', None)
    """
    kind, *parameters = value.split(b";")
    boundary = None
    for parameter in parameters:
        name, _, setting = parameter.partition(b"=")
        name, setting = name.strip().lower(), setting.strip().strip(b'"')
        if name == b"charset" and setting.lower() not in (b"utf-8", b"utf8"):
            raise exc.UnsupportedMediaType("Text is taken in UTF-8 only.")
        if name == b"boundary":
            boundary = setting
    return kind.strip().lower(), boundary


def from_body(data: bytes, content_type: bytes | None) -> tuple[list[Any], Fields, bool]:
    """The arguments that a body holds, positional and by name, and whether they are text (a form).

    Raises `exc.UnsupportedMediaType` for types that are not in the table above, `Malformed`, `exc.InvalidCall`.
    """
    if content_type == b"application/json":  # nearly always, letter for letter
        return *from_json(data, tagged=False), False
    if content_type is None:
        if data:
            raise exc.UnsupportedMediaType("A body needs a Content-Type, e.g. application/json.")
        return [], {}, False
    kind, boundary = media_type(content_type)
    if kind == b"application/json":
        return *from_json(data, tagged=False), False
    if kind == b"application/limen+json":
        return *from_json(data, tagged=True), False
    if kind == b"application/x-www-form-urlencoded":
        return [], parse_fields(data, "form"), True
    if kind == b"multipart/form-data":
        return [], parse_multipart(data, boundary), True
    raise exc.UnsupportedMediaType(
        "The body is to be application/json, application/limen+json, application/x-www-form-urlencoded or "
        "multipart/form-data."
    )


def from_json(data: bytes, *, tagged: bool) -> tuple[list[Any], Fields]:
    """See the module. No bytes at all are no arguments."""
    if not data:
        return [], {}
    try:
        value = load_json(data)
    except exc.InvalidValue as error:
        raise Malformed(*error.err) from None
    if not tagged and b"\\u0000" in data:
        value = _with_bytes(value)
    kind = type(value)
    if kind is dict:
        if not tagged:
            return [], value
        if len(value) == 1 and "$call" in value:
            return _both(value["$call"])
        return [], {name: untag(item, "json") for name, item in value.items()}
    if kind is list:
        return ([untag(item, "json") for item in value] if tagged else value), {}
    raise exc.InvalidCall("The body is to be an object (arguments by name) or an array (arguments in order).")


def _with_bytes(value: Any) -> Any:
    """A text that begins with U+0000 holds bytes, as in answers and as WAMP has it in JSON."""
    try:
        return binary(value)
    except exc.InvalidValue as error:
        raise Malformed(*error.err) from None


def _both(value: Any) -> tuple[list[Any], Fields]:
    match value:
        case [list() as args, dict() as kwargs]:
            return [untag(item, "json") for item in args], {name: untag(item, "json") for name, item in kwargs.items()}
    raise exc.InvalidCall('"$call" holds an array and an object.')
