"""What the log is told of sessions (`limen.app.calllog`): who joined a realm, who left and why, who was turned away.

    {"t":…,"event":"joined","domain":"realm1","session":7,"user":"ada","role":"user","method":"ticket",…}

Of connections only: a request over plain HTTP, or of the sealed HTTP lane, has its line as a call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from limen.core.wamp.messages import Abort
    from limen.core.wamp.session import Session

    from .hub import Hub
    from .seat import Wired

LONG: Final = 200
"""Characters of what a client has chosen that are written."""


def joined(hub: Hub, connection: Wired, session: Session) -> None:
    """A session has begun on *connection*."""
    method = str(session.details.get("authmethod", ""))
    hub.gate.note("joined", **_about(connection, session), role=session.authrole[:LONG], method=method)


def left(hub: Hub, connection: Wired, session: Session, why: str) -> None:
    """… and is over. *why*: the URI of GOODBYE or ABORT, or what became of the connection."""
    seconds = round(hub.loop.time() - connection.since, 3)
    hub.gate.note("left", **_about(connection, session), why=why[:LONG], seconds=seconds)


def aborted(hub: Hub, connection: Wired, session: Session | None, abort: Abort) -> None:
    """ABORT: somebody is turned away, or has broken the protocol in a session."""
    sentence = str(abort.details.get("message", ""))[:LONG]
    if session is None:
        hub.counts.refused[abort.reason] += 1
        about = {"domain": connection.domain, "origin": connection.origin, "transport": connection.transport}
        hub.gate.note("refused", **about, why=abort.reason, says=sentence)
    else:
        hub.counts.violations += 1
        hub.gate.note("violation", **_about(connection, session), why=abort.reason, says=sentence)


def _about(connection: Wired, session: Session) -> dict[str, Any]:
    return {
        "domain": connection.domain,
        "session": session.id,
        "user": session.authid[:LONG],
        "origin": connection.origin,
        "transport": connection.transport,
    }
