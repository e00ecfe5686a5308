"""The trace that a call or an event belongs to, handed on as it came (W3C Trace Context).

It travels as `_traceparent` and `_tracestate`: in the Options of CALL and PUBLISH, and in the Details of the INVOCATION
and the EVENT that follow. WAMP leaves keys that match `_[a-z0-9_]{3,}` to implementations, and has all others ignore
them (basic profile, section "Extensibility").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from limen.base.spans import HEADERS

PARENT: Final = "_traceparent"
STATE: Final = "_tracestate"
MAX_STATE: Final = 512
"""Characters of a trace state that are handed on (W3C Trace Context, section 3.3.1.5); of a longer one none are."""

_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def carried(options: Mapping[str, Any]) -> dict[str, Any]:
    """What of a CALL's or PUBLISH's options goes on: nothing where there is no trace, or what there is, is none.

    >>> carried({"_traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "timeout": 7})
    {'_traceparent': '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'}
    >>> carried({"_traceparent": "00-00-00-00"}), carried({"_tracestate": "a=1"})
    ({}, {})
    """
    parent = options.get(PARENT)
    if type(parent) is not str or _PARENT.fullmatch(parent) is None:
        return {}
    state = options.get(STATE)
    if type(state) is str and 0 < len(state) <= MAX_STATE and state.isascii() and state.isprintable():
        return {PARENT: parent, STATE: state}
    return {PARENT: parent}


def headers(options: Mapping[str, Any]) -> dict[str, str] | None:
    """The trace in options or details as W3C names it; None where there is none.

    >>> headers({"_traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
    {'traceparent': '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'}
    """
    if PARENT not in options:
        return None
    return {name[1:]: value for name, value in carried(options).items()} or None


def options(headers: Mapping[str, str]) -> dict[str, Any]:
    """… and the other way round.

    >>> options({"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "accept": "*/*"})
    {'_traceparent': '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'}
    """
    return carried({f"_{name}": headers[name] for name in HEADERS if name in headers})
