"""The parameters of a header's value (Content-Disposition, Content-Type), in time that grows with its length only.

    form-data; name="a"; filename="b.png"        RFC 9110, 5.6.6
    attachment; filename*=UTF-8''%C3%BC.png      RFC 8187

The standard library's parser for these (email.message) is for letters: it is quadratic, joins continuations, knows all
of Python's encodings, and raises what it will. Whoever writes these headers here is a stranger.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

_NEXT: Final = re.compile(
    r'[ \t]*;[ \t]*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s";]*))[ \t]*(?=;|$)', re.DOTALL
)
_ESCAPED: Final = re.compile(r'\\(["\\])')
_EXTENDED: Final = re.compile(r"(?i)(utf-8|iso-8859-1)'[A-Za-z0-9-]*'((?:[!#$&+.^_`|~0-9A-Za-z-]|%[0-9A-Fa-f]{2})*)")


def parameters(value: str) -> tuple[str, dict[str, str]]:
    """*value* as (what stands first, parameters), names in lower case. `name*` (RFC 8187) stands in place of `name`.

    Raises ValueError for what is not written so, for a parameter that comes twice, and for control characters.

    >>> parameters('form-data; name="a \\\\"b\\\\""; filename=x.png')
    ('form-data', {'name': 'a "b"', 'filename': 'x.png'})
    >>> parameters("attachment; filename=\\"_.png\\"; filename*=UTF-8''%C3%BC.png")
    ('attachment', {'filename': 'ü.png'})
    """
    if any((c < " " and c != "\t") or c == "\x7f" for c in value):
        raise ValueError("a header holds no control characters")
    first, semicolon, _ = value.partition(";")
    at, end = len(first), len(value.rstrip(" \t;")) if semicolon else len(first)
    found: dict[str, str] = {}
    extended: dict[str, str] = {}
    while at < end:
        match = _NEXT.match(value, at)
        if match is None:
            raise ValueError("these are no parameters")
        name, quoted, plain = match.groups()
        name, text = name.lower(), plain if quoted is None else _ESCAPED.sub(r"\1", quoted)
        into = extended if name.endswith("*") else found
        if name in into:
            raise ValueError(f"the parameter {name} comes twice")
        into[name] = text
        at = match.end()
    return first.strip(" \t").lower(), found | {name[:-1]: _decoded(text) for name, text in extended.items()}


def _decoded(text: str) -> str:
    match = _EXTENDED.fullmatch(text)
    if match is None:
        raise ValueError("this is not written as RFC 8187 says")
    return unquote_to_bytes(match[2]).decode(match[1].lower())  # UnicodeDecodeError is a ValueError
