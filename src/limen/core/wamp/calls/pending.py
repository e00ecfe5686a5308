"""A call on its way: what the dealer knows of it until its one final answer."""

from __future__ import annotations

from typing import Any

from limen.core.wamp.calls.registrations import Endpoint
from limen.core.wamp.session import Session


class PendingCall:
    """A CALL without its final answer.

    *callee*: None where a local service answers; *invocation*: id of the INVOCATION. *progress*: the caller asked for
    progressive results. *timeout*: seconds, 0: none; *due*: when it is over, if there is one. *endpoint*: where the
    calls of the callee are counted. *parts*: of a progressive call.
    """

    __slots__ = ("callee", "caller", "due", "endpoint", "invocation", "parts", "progress", "request", "timeout")

    def __init__(self, caller: Session, request: int, callee: Session | None, invocation: int, progress: bool) -> None:
        self.caller = caller
        self.request = request
        self.callee = callee
        self.invocation = invocation
        self.progress = progress
        self.timeout = 0.0
        self.due = 0.0
        self.endpoint: Endpoint | None = None
        self.parts: Parts | None = None


class Parts:
    """The arguments of a call come in parts (section "Progressive Call Invocations"). *details*: what all INVOCATIONs
    say, frozen with the first; *count*: how many there were; *over*: the last has come."""

    __slots__ = ("count", "details", "over", "registration", "uri")

    def __init__(self, uri: str, registration: int, details: dict[str, Any]) -> None:
        self.uri = uri
        self.registration = registration
        self.details = details
        self.count = 1
        self.over = False
