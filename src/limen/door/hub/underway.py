"""Calls that callees are answering, for who watches them: what is kept of each, from its INVOCATION to its answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from limen.core.wamp.messages import MAX_ID

if TYPE_CHECKING:
    from limen.core.wamp.calls.pending import PendingCall
    from limen.core.wamp.messages import Invocation
    from limen.core.wamp.session import Session

T = TypeVar("T")

FEW = 1024
"""Calls that need not be looked through for those that nobody will end."""


class UnderWay(Generic[T]):
    """*left*: is given what was kept of a call whose caller has left, of whose end nobody is told."""

    def __init__(self, left: Callable[[T], None]) -> None:
        self._left = left
        self._begun: dict[tuple[int, int], tuple[PendingCall, T]] = {}
        self._sweep_at = FEW

    def begin(self, callee: Session, message: Invocation, make: Callable[[PendingCall, str], T]) -> T | None:
        """What is kept of the call that *callee* is told of: made of the call and its registration's URI, or what there
        is where this is a further part of it. None: another process has an eye on that call."""
        call = callee.invocations.get(message.request)
        registration = callee.registrations.get(message.registration)
        if call is None or registration is None or call.caller.id > MAX_ID:
            return None
        key = call.caller.id, call.request
        before = self._begun.get(key)
        if before is not None and before[0] is call:
            return before[1]
        made = make(call, registration.uri)
        self._begun[key] = call, made
        if len(self._begun) >= self._sweep_at:
            self.sweep()
        return made

    def end(self, caller: Session, request: int) -> T | None:
        """What was kept of the call, which is over."""
        begun = self._begun.pop((caller.id, request), None)
        return None if begun is None else begun[1]

    def sweep(self) -> None:
        """Lets go of calls whose callers have left."""
        for key, (call, kept) in tuple(self._begun.items()):
            if call.caller.calls.get(key[1]) is not call:
                del self._begun[key]
                self._left(kept)
        self._sweep_at = max(FEW, 2 * len(self._begun))
