"""The session meta API: who is in the realm, and ending them (section "Session Meta API")."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from limen.core.wamp.effects import Effect, Effects, Happened, MetaError, Told
from limen.core.wamp.messages import Goodbye
from limen.core.wamp.meta.meta import Args, Kwargs, Table, at, the_id, the_text, visible
from limen.core.wamp.session import Session
from limen.core.wamp.uris import is_uri

KILLED = "wamp.close.killed"
NO_SESSION = "wamp.error.no_such_session"

End = Callable[[Session, Goodbye, bool], Effects]
"""(session, what it hears, whether others hear nothing of it)"""


class SessionMeta:
    """*sessions*: the realm's. *end*: ends one of them."""

    def __init__(self, sessions: Mapping[int, Session], end: End, happened: Happened) -> None:
        self._sessions, self._end, self._happened = sessions, end, happened
        self.meta: Table = {
            "wamp.session.count": lambda session, args, kwargs: len(self._listed(session, args, kwargs)),
            "wamp.session.list": lambda session, args, kwargs: [s.id for s in self._listed(session, args, kwargs)],
            "wamp.session.get": self._get,
            "wamp.session.kill": self._kill,
            "wamp.session.kill_by_authid": self._kill_by_authid,
            "wamp.session.kill_by_authrole": self._kill_by_authrole,
            "wamp.session.kill_all": self._kill_all,
        }

    def came(self, session: Session) -> Effects:
        return self._happened("wamp.session.on_join", [about(session)], about=session)

    def left(self, session: Session) -> Effects:
        return self._happened("wamp.session.on_leave", [session.id, session.authid, session.authrole], about=session)

    def _listed(self, asker: Session, args: Args, kwargs: Kwargs) -> list[Session]:
        roles = at(args, 0, list, kwargs, "filter_authroles")
        seen = [session for session in self._sessions.values() if visible(asker, session)]
        if roles is None:
            return seen
        wanted = {role for role in roles if type(role) is str}
        return [session for session in seen if not wanted.isdisjoint(session.authroles)]

    def _one(self, asker: Session, args: Args) -> Session:
        session = self._sessions.get(the_id(args))
        if session is None or not visible(asker, session):
            raise MetaError(NO_SESSION)
        return session

    def _get(self, asker: Session, args: Args, kwargs: Kwargs) -> dict[str, Any]:
        return about(self._one(asker, args))

    # -- ending -------------------------------------------------------------------------------------------------
    def _kill(self, asker: Session, args: Args, kwargs: Kwargs) -> Told:
        goodbye = _goodbye(kwargs)
        session = self._one(asker, args)
        if session is asker:
            raise MetaError(NO_SESSION, "There is no other session with this id.")
        return Told([], self._end(session, goodbye, False))

    def _kill_by_authid(self, asker: Session, args: Args, kwargs: Kwargs) -> Told:
        authid = the_text(args)
        killed, effects = self._kill_some(asker, kwargs, lambda session: session.authid == authid)
        return Told([[session.id for session in killed]], effects)

    def _kill_by_authrole(self, asker: Session, args: Args, kwargs: Kwargs) -> Told:
        role = the_text(args)
        killed, effects = self._kill_some(asker, kwargs, lambda session: role in session.authroles)
        return Told([len(killed)], effects)

    def _kill_all(self, asker: Session, args: Args, kwargs: Kwargs) -> Told:
        killed, effects = self._kill_some(asker, kwargs, lambda session: True)
        return Told([len(killed)], effects)

    def _kill_some(
        self, asker: Session, kwargs: Kwargs, wanted: Callable[[Session], bool]
    ) -> tuple[list[Session], list[Effect]]:
        goodbye = _goodbye(kwargs)
        others = [session for session in self._sessions.values() if session is not asker]
        killed = [session for session in others if visible(asker, session) and wanted(session)]
        # Where all others go, nobody is left to hear of it.
        return killed, list(_joined(self._end(session, goodbye, len(killed) == len(others)) for session in killed))


def about(session: Session) -> dict[str, Any]:
    """What is told of a session."""
    return {
        "session": session.id,
        "authid": session.authid,
        "authrole": session.authrole,
        "authmethod": None,
        "authprovider": None,
        **session.details,
    }


def _goodbye(kwargs: Kwargs) -> Goodbye:
    reason, message = kwargs.get("reason"), at([], 0, str, kwargs, "message")
    if reason is None:
        reason = KILLED
    if type(reason) is not str or not is_uri(reason):
        raise MetaError("wamp.error.invalid_uri", "reason is a URI.")
    return Goodbye({} if message is None else {"message": message}, reason)


def _joined(many: Iterable[Effects]) -> Iterable[Effect]:
    return (effect for effects in many for effect in effects)
