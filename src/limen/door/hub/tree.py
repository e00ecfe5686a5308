"""The tree as it is now: addresses, who answers them and what each costs; sessions, and what each has under way. Plain
data, for the devtools (`limen.observe`) and `limen top`. docs/how-to/observe.md has the fields.

Those of several processes make one (`joined`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from limen.core.wamp.messages import MAX_ID

from .counts import LONG, transport_of

if TYPE_CHECKING:
    from limen.core.wamp.realm import Realm
    from limen.core.wamp.session import Session

    from .hub import Hub

MOST: Final = 2000
"""Sessions, and addresses, that are shown; of more there are only the numbers (`omitted`)."""

SUMMED: Final = ("sessions", "calls", "failed", "seconds", "events", "deliveries")

Row = dict[str, Any]


def tree(hub: Hub, domain: str | None = None) -> Row:
    """`{"addresses": […], "sessions": […], "omitted": {…}}` of *domain*, or of all. On the loop."""
    realms = [realm for realm in hub.realms if domain in (None, realm.name)]
    found: dict[tuple[str, str, str, str], Row] = {}
    for row in _addresses(hub, realms, domain):
        key = row["domain"], row["kind"], row["match"], row["address"]
        if key in found:
            found[key]["sessions"] += row["sessions"]
        else:
            found[key] = row
    own = [(realm, session) for realm in realms for session in realm.sessions.values() if session.id <= MAX_ID]
    sessions = [_session(hub, realm, session) for realm, session in own]
    return _bounded(list(found.values()), sessions, {"addresses": 0, "sessions": 0})


def joined(trees: Iterable[Row]) -> Row:
    """One tree of several processes."""
    found: dict[tuple[str, str, str, str], Row] = {}
    sessions: list[Row] = []
    omitted = {"addresses": 0, "sessions": 0}
    for one in trees:
        for row in one["addresses"]:
            key = row["domain"], row["kind"], row["match"], row["address"]
            known = found.setdefault(key, row)
            if known is not row:
                for name in SUMMED:
                    known[name] += row[name]
                known["longest"] = max(known["longest"], row["longest"])
        sessions += one["sessions"]
        omitted = {name: omitted[name] + one["omitted"][name] for name in omitted}
    return _bounded(list(found.values()), sessions, omitted)


def _addresses(hub: Hub, realms: list[Realm], domain: str | None) -> Iterator[Row]:
    here, (calls, events) = domain or hub.config.DOMAIN, _costs(hub, domain)
    for service in hub.registry:
        yield _address(here, "service", service.uri, calls.get(service.uri), None, safe=service.safe)
    for topic in hub.registry.topics:
        yield _address(here, "topic", topic, None, events.get(topic), safe=hub.registry.topics[topic].safe)
    for realm in realms:
        calls, events = _costs(hub, realm.name)
        for session in realm.sessions.values():
            if session.id > MAX_ID:
                continue
            for registration in session.registrations.values():
                cost, about = calls.get(registration.uri), {"match": registration.match, "invoke": registration.invoke}
                yield _address(realm.name, "procedure", registration.uri, cost, None, sessions=1, **about)
            for subscription in session.subscriptions.values():
                cost, about = events.get(subscription.uri), {"match": subscription.match}
                yield _address(realm.name, "topic", subscription.uri, None, cost, sessions=1, **about)


def _costs(hub: Hub, domain: str | None) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """What addresses and topics of *domain* have cost."""
    times = hub.counts.times
    if times is None:
        return {}, {}
    calls, events = times.addresses(domain), times.topics(domain)
    return {row[0]: row[1:] for row in calls}, {row[0]: row[1:] for row in events}


def _address(
    domain: str, kind: str, address: str, calls: list[Any] | None, events: list[Any] | None, **about: Any
) -> Row:
    """*calls*: calls, failed, seconds, longest; *events*: events, deliveries. None: nobody watched, or none came."""
    called, failed, seconds, longest = calls or (0, 0, 0.0, 0.0)
    published, delivered = events or (0, 0)
    cost = {"calls": called, "failed": failed, "seconds": seconds, "longest": longest}
    cost |= {"events": published, "deliveries": delivered}
    shown = {"domain": domain, "address": address[:LONG], "kind": kind, "match": "exact", "sessions": 0}
    return {**shown, **about, **cost}


def _session(hub: Hub, realm: Realm, session: Session) -> Row:
    peer: Any = session.peer
    since = getattr(peer, "since", None)
    return {
        "session": session.id,
        "domain": realm.name,
        "user": session.authid[:LONG],
        "role": session.authrole[:LONG],
        "method": str(session.details.get("authmethod", "")),
        "origin": session.principal.origin if session.principal is not None else "",
        "transport": transport_of(session),
        "encoding": session.codec_name,
        "seconds": round(hub.loop.time() - since, 3) if since else 0.0,
        "calls": len(session.calls),
        "invocations": len(session.invocations),
        "registrations": len(session.registrations),
        "subscriptions": len(session.subscriptions),
        "queue": getattr(peer, "queued", 0),
        **{name: getattr(peer, name, 0) for name in ("bytes_in", "bytes_out", "messages_in", "messages_out")},
    }


def _bounded(addresses: list[Row], sessions: list[Row], omitted: dict[str, int]) -> Row:
    """What costs most and waits most comes first."""
    addresses.sort(key=lambda row: (-row["seconds"], -row["events"], row["domain"], row["address"]))
    sessions.sort(key=lambda row: (-row["queue"], -row["calls"] - row["invocations"], -row["messages_in"]))
    return {
        "addresses": addresses[:MOST],
        "sessions": sessions[:MOST],
        "omitted": {
            "addresses": omitted["addresses"] + max(0, len(addresses) - MOST),
            "sessions": omitted["sessions"] + max(0, len(sessions) - MOST),
        },
    }
