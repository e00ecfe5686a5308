"""What the meta API answers where several processes are one router: each knows of its own sessions alone, and what all
of them say becomes one answer.

Registrations are known in all processes; what is asked about them needs no merging.

    >>> merged("wamp.session.count", [Told([2]), Told([3])])
    Told(args=[5], effects=(), kwargs=None)
    >>> merged("wamp.session.get", [MetaError("wamp.error.no_such_session"), Told([{"session": 7}])]).args
    [{'session': 7}]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from limen.core.wamp.effects import MetaError, Told

Answer = Told | MetaError


def _sum(values: list[Any]) -> Any:
    return sum(values)


def _all(values: list[Any]) -> Any:
    """Each once, in the order of the processes; None where nobody has any."""
    return [*dict.fromkeys(each for value in values for each in value or ())]


def _any(values: list[Any]) -> Any:
    return next((value for value in values if value is not None), None)


def _matching(values: list[Any]) -> Any:
    return _all(values) or None


def _by_match(values: list[Any]) -> Any:
    return {match: _all([value.get(match) for value in values]) for match in values[0]}


MERGES: Final[dict[str, Callable[[list[Any]], Any]]] = {
    "wamp.session.count": _sum,
    "wamp.session.list": _all,
    "wamp.session.get": _any,
    "wamp.session.kill": _any,
    "wamp.session.kill_by_authid": _all,
    "wamp.session.kill_by_authrole": _sum,
    "wamp.session.kill_all": _sum,
    "wamp.subscription.list": _by_match,
    "wamp.subscription.lookup": _any,
    "wamp.subscription.match": _matching,
    "wamp.subscription.get": _any,
    "wamp.subscription.list_subscribers": _all,
    "wamp.subscription.count_subscribers": _sum,
}
"""What becomes of the values that the processes give, by procedure."""


def merged(uri: str, answers: Sequence[Answer]) -> Answer:
    """One answer of all, the first of which is this process's own. It is an error only where all are."""
    told = [answer for answer in answers if isinstance(answer, Told)]
    if not told:
        return answers[0]
    values = [answer.args[0] for answer in told if answer.args]
    return Told([MERGES[uri](values)]) if values else told[0]
