"""What sessions may do in a realm of `limen serve`: closed by default (`App.authorize`).

Local services guard themselves; to subscribe takes a declared topic, all else a rule. A pattern stands for what there
is and for what may yet come: it is allowed where all of that is. On the grounds of application sessions (`parties.py`)
no rule counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from limen.base.uris import EXACT, matches

if TYPE_CHECKING:
    from limen.base.principal import Principal
    from limen.core.wamp.session import Session
    from limen.core.wamp.verdict import Verdict

    from .app import App


def authorize(app: App, session: Session, action: str, uri: str, options: Mapping[str, Any]) -> Verdict | None:
    """What the realm is told (`core/wamp/verdict.py`). None: another process is asked, the answer follows."""
    on_grounds = False
    if app.parties.grounds and session.principal is not None:
        match = EXACT if action in ("call", "publish") else options.get("match") or EXACT
        ground = app.parties.ground(session.principal.domain, uri, match)
        if ground is not None:
            on_grounds, allowed = True, app.parties.verdict(ground, session, action, uri, match)
            if allowed is None:
                return None
            allowed = allowed and app.permissions.rulebook.allows(session.principal, uri)
    if not on_grounds:
        allowed = allows(app, session, action, uri, options)
    if allowed:
        return app.verdicts.reaches if on_grounds else app.verdicts.allowed
    if app.hub is not None:
        app.hub.denied(session, action, uri)
    return app.verdicts.of(False, action)


def allows(app: App, session: Session, action: str, uri: str, options: Mapping[str, Any]) -> bool:
    """Whether *session* may do *action* at *uri*."""
    principal = session.principal
    if principal is None:  # the program itself (`near.py`), or what stands for sessions of other processes
        from limen.core.wamp.messages import MAX_ID  # loaded by whoever made the session

        return session.id <= MAX_ID
    if action == "register" and options.get("force_reregister") is True:
        calmly = {"match": options.get("match")}
        return all(allows(app, session, what, uri, calmly) for what in ("register", "force_reregister"))
    if action in ("subscribe", "register", "force_reregister"):
        match = options.get("match") or EXACT
        if match != EXACT:
            return _allows_all(app, principal, action, uri, match)
    if not app.permissions.rulebook.allows(principal, uri):
        return False
    topic = app.registry.topic(uri)
    if topic is not None and action == "subscribe":
        return topic.may_subscribe(principal)
    if topic is not None and action == "publish":
        return False  # what this program says, nobody else says
    return app.open_realms or any(rule.allows(principal, action, uri) for rule in app.rules)


def _allows_all(app: App, principal: Principal, action: str, pattern: str, match: str) -> bool:
    """Whether *principal* may do it wherever *pattern* stands for."""
    rulebook = app.permissions.rulebook
    topics = [topic for topic in app.registry.topics.values() if matches(pattern, match, topic.uri)]
    if not all(topic.may_subscribe(principal) and rulebook.allows(principal, topic.uri) for topic in topics):
        return False
    if not (app.open_realms or any(rule.allows(principal, action, pattern, match) for rule in app.rules)):
        return False
    return rulebook.allows_all(principal, pattern, match)
