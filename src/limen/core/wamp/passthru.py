"""Payload passthru: payloads of which the router knows nothing (section "Payload Passthru Mode").

What they are is said in four options; they go on as they came, and the payload is never looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from limen.core.wamp.effects import Violation
from limen.core.wamp.session import Session

_OPTIONS: Final = ("ppt_scheme", "ppt_serializer", "ppt_cipher", "ppt_keyid")
SCHEME: Final = _OPTIONS[0]
"""Where it is said, and not empty, a payload is one of these."""


def passthru(session: Session, options: Mapping[str, Any], role: str) -> dict[str, Any]:
    """What the receiver has to be told of the payload; {} if it is a plain one. *role*: as what *session* says it.

    What is no text is left out. Raises Violation where it has not announced that it does so.

    >>> able = Session(1, roles={"caller": {"features": {"payload_passthru_mode": True}}})
    >>> passthru(able, {"ppt_scheme": "mqtt", "ppt_keyid": None, "timeout": 5}, "caller")
    {'ppt_scheme': 'mqtt'}
    >>> passthru(Session(2), {"ppt_scheme": "mqtt"}, "caller")
    Traceback (most recent call last):
    limen.core.wamp.effects.Violation: ppt_scheme came from a caller that has not announced payload_passthru_mode
    """
    if not options.get("ppt_scheme"):
        return {}
    if not may_pass(session, role):
        raise Violation(f"ppt_scheme came from a {role} that has not announced payload_passthru_mode")
    if type(options["ppt_scheme"]) is not str:
        return {}
    return {name: options[name] for name in _OPTIONS if type(options.get(name)) is str}


def may_pass(session: Session, role: str) -> bool:
    """Whether *session* has announced that it does so."""
    return f"{role}.payload_passthru_mode" in session.features
