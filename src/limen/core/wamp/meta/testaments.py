"""Testaments: what a session wants published when it is gone, however it goes (section "Session Testament").

Whether it may publish that is asked when it says so; then it stands, unless the realm denies it by now. Here a session
that is detached is destroyed as well: both scopes are published, "detached" first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from limen.core.wamp.effects import Effects, MetaError, Told
from limen.core.wamp.events.broker import flaw
from limen.core.wamp.events.kept import ROW, packed, unpacked
from limen.core.wamp.messages import Publish
from limen.core.wamp.meta.meta import INVALID, Args, Kwargs, Need, Needing, Table, at, the_text
from limen.core.wamp.passthru import SCHEME, may_pass
from limen.core.wamp.session import Session
from limen.core.wamp.verdict import Verdict

if TYPE_CHECKING:
    from limen.core.wamp.events.broker import Broker

SCOPES: Final = ("detached", "destroyed")


class Testament(Struct, frozen=True):
    topic: str
    body: bytes
    """Packed: arguments, keyword arguments, options."""
    verdict: Verdict

    @property
    def size(self) -> int:
        return ROW + len(self.topic) + len(self.body)


class Testaments:
    """*most*, *most_bytes*: of one session, in both scopes."""

    def __init__(self, broker: Broker, most: int, most_bytes: int) -> None:
        self._broker, self._most, self._most_bytes = broker, most, most_bytes
        self._of: dict[Session, dict[str, list[Testament]]] = {}
        self.meta: Table = {
            "wamp.session.add_testament": Needing(self._need, self._add),
            "wamp.session.flush_testaments": self._flush,
        }

    def __len__(self) -> int:
        return sum(len(of_scope) for scopes in self._of.values() for of_scope in scopes.values())

    def _need(self, session: Session, args: Args, kwargs: Kwargs) -> Need:
        topic, options = the_text(args), at([], 0, dict, kwargs, "publish_options") or {}
        if SCHEME in options and not may_pass(session, "publisher"):
            raise MetaError(INVALID, "The options say ppt_scheme, and HELLO did not announce payload_passthru_mode.")
        if reason := flaw(topic, options):
            raise MetaError(reason)
        return "publish", topic, options

    def _add(self, session: Session, args: Args, kwargs: Kwargs, verdict: Verdict) -> Told:
        options = kwargs.get("publish_options") or {}
        if options.get("disclose_me") is True and not verdict.may_disclose:
            raise MetaError("wamp.error.option_disallowed.disclose_me")
        scope = _scope(kwargs)
        said = [
            at(args, 1, list, kwargs, "args"),
            at(args, 2, dict, kwargs, "kwargs"),
            {**options, "acknowledge": False},
        ]
        body = packed(said)
        if body is None:
            raise MetaError(INVALID, "These arguments can't be kept.")
        new = Testament(args[0], body, verdict)
        scopes = self._of.get(session, {})
        there = [testament for of_scope in scopes.values() for testament in of_scope]
        if len(there) >= self._most or sum(t.size for t in there) + new.size > self._most_bytes:
            sentence = f"A session has at most {self._most} testaments of {self._most_bytes} bytes; flush some."
            raise MetaError("wamp.error.unavailable", sentence)
        self._of.setdefault(session, {name: [] for name in SCOPES})[scope].append(new)
        return Told([])

    def _flush(self, session: Session, args: Args, kwargs: Kwargs) -> Told:
        scope = _scope(kwargs)
        scopes = self._of.get(session)
        if scopes is not None:
            scopes[scope] = []
            if not any(scopes.values()):
                del self._of[session]
        return Told([])

    def drop(self, session: Session) -> None:
        """It is gone, and nobody is to hear of it."""
        self._of.pop(session, None)

    def read(self, session: Session) -> Effects:
        """*session* has gone."""
        scopes = self._of.pop(session, None)
        if scopes is None:
            return ()
        effects: list[Any] = []
        for scope in SCOPES:
            for testament in scopes[scope]:
                args, kwargs, options = unpacked(testament.body)
                effects += self._broker.will(
                    session, Publish(1, options, testament.topic, args, kwargs), testament.verdict
                )
        return effects


def _scope(kwargs: Kwargs) -> str:
    scope = kwargs.get("scope")
    if scope is None:
        return "destroyed"
    if scope not in SCOPES:
        raise MetaError(INVALID, "scope is 'detached' or 'destroyed'.")
    return str(scope)
