"""The three names that both sides must write the same way: domain, user, password.

docs/security.md, Names and passwords, says the rules; `vectors/names.json` decides, in Python and in JavaScript.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final
from unicodedata import category, normalize

from limen import exc

MAX_USER: Final = 255
"""Bytes of a user name in UTF-8."""
MAX_PASSWORD: Final = 1024
"""Bytes of a password in UTF-8."""

_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_DOTS: Final = re.compile("[.\u3002\uff0e\uff61]")
_WIDE: Final = re.compile("[\u3000\uff01-\uffee]")


def domain_name(text: str) -> str:
    """The domain that a URL's host name stands for; exc.InvalidAddress when it is none.

    >>> domain_name("Bücher.Example."), domain_name("[::1]"), domain_name("LOCALHOST")
    ('xn--bcher-kva.example', '::1', 'localhost')
    """
    if ":" in text:
        return _ipv6(text)
    labels = [_label(label, text) for label in _DOTS.split(text)]
    if len(labels) > 1 and not labels[-1]:
        labels.pop()  # the root's dot
    name = ".".join(labels)
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise exc.InvalidAddress(f"{text[:80]!r} is not a host name.")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(IPv4Address(name))
        except AddressValueError:
            raise exc.InvalidAddress(f"{text[:80]!r} is not an IP address.") from None
    return name


def _label(label: str, text: str) -> str:
    if label.isascii():
        return label.lower()
    # Not all of UTS #46: what browsers hand over is an A-label already, so this is for names that people type.
    label = normalize("NFC", normalize("NFKC", label).lower())
    if label.isascii():
        return label
    if any(category(c)[0] in "CZ" for c in label):  # controls, surrogates, unassigned, spaces
        raise exc.InvalidAddress(f"{text[:80]!r} is not a host name.")
    return "xn--" + label.encode("punycode").decode("ascii")


def _ipv6(text: str) -> str:
    inner = text[1:-1] if text[:1] == "[" and text[-1:] == "]" else text
    try:
        address = IPv6Address(inner)
    except AddressValueError:
        raise exc.InvalidAddress(f"{text[:80]!r} is not an IP address; a domain has no port.") from None
    if address.scope_id is not None:
        raise exc.InvalidAddress(f"{text[:80]!r} has a zone; a domain has none.")
    if address.ipv4_mapped is not None:  # Python 3.13 writes these with dots, browsers in hexadecimal
        number = int(address.ipv4_mapped)
        return f"::ffff:{number >> 16:x}:{number & 0xFFFF:x}"
    return address.compressed


def user_name(text: str) -> str:
    """A user's name in the form in which names are compared and kept; exc.InvalidCredential when it cannot be one.

    >>> user_name("Ａda"), user_name("ÅSA") == user_name("a\u030asa")
    ('ada', True)
    """
    name = _WIDE.sub(lambda match: normalize("NFKC", match[0]), text).lower()
    name = normalize("NFC", name)
    data = _encoded(name, "user name")
    if not 0 < len(data) <= MAX_USER:
        raise exc.InvalidCredential(f"A user name has 1 to {MAX_USER} bytes.")
    if category(name[0]) == "Zs" or category(name[-1]) == "Zs":
        raise exc.InvalidCredential("A user name does not begin or end with a space.")
    return name


def password_bytes(text: str) -> bytes:
    """The bytes that a typed password stands for; exc.InvalidCredential when it cannot be one.

    >>> password_bytes("Über\u00a0alles") == password_bytes("U\u0308ber alles")
    True
    """
    if not text.isascii():
        text = normalize("NFC", "".join(" " if category(c) == "Zs" else c for c in text))
    data = _encoded(text, "password")
    if not 0 < len(data) <= MAX_PASSWORD:
        raise exc.InvalidCredential(f"A password has 1 to {MAX_PASSWORD} bytes.")
    return data


def long_enough(password: str, least: int) -> None:
    """exc.InvalidCredential where a new password has less than *least* characters.

    >>> long_enough("correct horse", 12)
    >>> long_enough("horse", 12)
    Traceback (most recent call last):
    limen.exc.InvalidCredential: A new password has at least 12 characters; a few words nobody would guess are best.
    """
    if len(password) < least:
        raise exc.InvalidCredential(
            f"A new password has at least {least} characters; a few words nobody would guess are best."
        )


def _encoded(text: str, what: str) -> bytes:
    """UTF-8; the message never shows *text*."""
    if any(category(c) == "Cc" for c in text):
        raise exc.InvalidCredential(f"A {what} holds no control characters.")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise exc.InvalidCredential(f"A {what} holds no half characters (lone surrogates).") from None
