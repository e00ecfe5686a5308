"""The router's own procedures and topics: `wamp.session.*`, `wamp.subscription.*`, `wamp.registration.*` (the sections
"Session Meta API", "Subscriptions Meta API", "Registration Meta API", "Session Testament").

Each machine of the realm has a table of those that it answers, `meta`: URI to method(session, args, kwargs), which
gives the value of the RESULT, or a `Told`, or raises `MetaError`. The realm joins them here. What happens they tell by
`Happened`: no effects follow where nobody listens.

Of sessions that stand for those of other processes nothing is told; of sealed ones, to sealed ones only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from msgspec import Struct

from limen.core.wamp.effects import NOBODY, Ask, Effects, Gather, MetaError, Send, Told, refuse, refuse_call
from limen.core.wamp.messages import CALL, MAX_ID, Call, Result, integer
from limen.core.wamp.meta.merging import MERGES, merged
from limen.core.wamp.session import Session
from limen.core.wamp.verdict import ALLOWED, Authorize, Verdict

INVALID: Final = "wamp.error.invalid_argument"
UNKNOWN: Final = frozenset({"wamp.error.no_such_session", "wamp.error.no_such_subscription"})
"""What one process says of what another may know."""

Args: TypeAlias = list[Any]
Kwargs: TypeAlias = dict[str, Any]
Need: TypeAlias = "tuple[str, str, Mapping[str, Any]] | None"
"""What else the session must be allowed to do: action, URI, options."""


class Needing(Struct, frozen=True):
    """A method that needs more than the right to call it: what *need* says. The verdict about that is its last
    argument, `ALLOWED` where nothing was needed."""

    need: Callable[[Session, Args, Kwargs], Need]
    method: Callable[[Session, Args, Kwargs, Verdict], Any]


Method: TypeAlias = Callable[[Session, Args, Kwargs], Any] | Needing
Table: TypeAlias = Mapping[str, Method]


def visible(asker: Session, session: Session) -> bool:
    """Whether *asker* is told of *session*."""
    return session.id <= MAX_ID and (asker.sealed or not session.sealed)


class Meta:
    """Answers calls of the router's own procedures, which *methods* are."""

    def __init__(self, authorize: Authorize, methods: Table, shared: bool = False) -> None:
        self._authorize = authorize
        self._shared = shared
        self.methods = methods
        self._let_in: set[Session] = set()
        """Those who may call what they called, and are asked about for what it needs besides."""

    def leave(self, session: Session) -> None:
        self._let_in.discard(session)

    def call(self, session: Session, message: Call, verdict: Verdict | None) -> Effects:
        request, uri = message.request, message.procedure
        method = self.methods.get(uri)
        if method is None:
            return refuse_call(session, message, NOBODY)
        args, kwargs = message.args or [], message.kwargs or {}
        try:
            if session in self._let_in:
                self._let_in.discard(session)
            else:
                if verdict is None and (verdict := self._authorize(session, "call", uri, message.options)) is None:
                    return (Ask(session, "call", uri, message.options),)
                if not verdict.allow:
                    return refuse_call(session, message, verdict.error)
                verdict = None
            if not isinstance(method, Needing):
                if self._shared and uri in MERGES:
                    return self._gather(session, message, args, kwargs)
                told = method(session, args, kwargs)
            else:
                need = method.need(session, args, kwargs)
                if need is not None and verdict is None and (verdict := self._authorize(session, *need)) is None:
                    self._let_in.add(session)
                    return (Ask(session, *need),)
                if verdict is not None and not verdict.allow:
                    return refuse_call(session, message, verdict.error)
                told = method.method(session, args, kwargs, verdict or ALLOWED)
        except MetaError as error:
            return refuse(session, CALL, request, error.reason, error.sentence)
        if type(told) is not Told:
            return (Send(session, Result(request, {}, [told])),)
        return (Send(session, Result(request, {}, told.args, told.kwargs)), *told.effects)

    # -- where several processes are one router -----------------------------------------------------------------
    def _gather(self, session: Session, message: Call, args: Args, kwargs: Kwargs) -> Effects:
        """It is answered when all processes have said what they know."""
        here, effects = self.answer(session, message.procedure, args, kwargs)
        if isinstance(here, MetaError) and here.reason not in UNKNOWN:
            return refuse(session, CALL, message.request, here.reason, here.sentence)
        return (Gather(session, message.request, message.procedure, args, kwargs, here), *effects)

    def answer(self, asker: Session, uri: str, args: Args, kwargs: Kwargs) -> tuple[Told | MetaError, Effects]:
        """What this process knows, and what follows here. *asker* may stand for a session of another process."""
        method = self.methods[uri]
        assert not isinstance(method, Needing)
        try:
            value = method(asker, args, kwargs)
        except MetaError as error:
            return error, ()
        told = value if type(value) is Told else Told([value])
        return Told(told.args, (), told.kwargs), told.effects

    def gathered(self, gather: Gather, others: Sequence[Told | MetaError]) -> Effects:
        """What follows when the other processes have answered."""
        session, request = gather.session, gather.request
        if not session.attached:
            return ()
        answer = merged(gather.uri, [gather.here, *others])
        if isinstance(answer, MetaError):
            return refuse(session, CALL, request, answer.reason, answer.sentence)
        return (Send(session, Result(request, {}, answer.args, answer.kwargs)),)


# -- arguments --------------------------------------------------------------------------------------------------
def the_id(args: Args, place: int = 0) -> int:
    """The argument at *place*, which must be an id."""
    id = integer(args[place]) if len(args) > place else None
    if id is None:
        raise MetaError(INVALID, f"Argument {place + 1} is an id.")
    return id


def the_text(args: Args) -> str:
    """The first argument, which must be a text."""
    text = args[0] if args else None
    if type(text) is not str:
        raise MetaError(INVALID, "The first argument is a text.")
    return text


def at(args: Args, place: int, kind: type, kwargs: Kwargs | None = None, name: str = "") -> Any:
    """The argument at *place*, or by *name*; None where there is none."""
    value = args[place] if len(args) > place >= 0 else (kwargs or {}).get(name)
    if value is not None and type(value) is not kind:
        raise MetaError(INVALID, f"Argument {name or place + 1} is no {kind.__name__}.")
    return value
