"""Rules: what a role may do at a URI, or at all that a pattern matches.

The rule that matches best decides alone: exact before the longest prefix before the wildcard whose first wild component
comes last (`core/wamp/patterns.py`). Where none matches, nothing is allowed, or an authorizer is asked.

What begins with `wamp.` is reached only by rules that begin so: a rule for everything ("" as prefix) opens no meta API.
Pattern subscriptions keep to the same line (`core/wamp/events/subscriptions.py`).

A pattern is allowed only where every URI that it matches is: else a subscription to "" would hear what is denied by
name, and a registration of "" answer it. Whatever is not sure counts as denied.

    >>> from limen.door.router.config import Role, Rule
    >>> role = Role(name="guest", rules=(
    ...     Rule(uri="shop.", match="prefix", allow=("call", "subscribe")), Rule(uri="shop.till.open")))
    >>> rules = Rules([role])
    >>> rules.verdict("call", "shop.price").allow, rules.verdict("call", "shop.till.open").allow
    (True, False)
    >>> rules.over("subscribe", "prefix", "shop.books.").allow, rules.over("subscribe", "prefix", "shop.").allow
    (True, False)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from limen.core.wamp.patterns import Patterns
from limen.core.wamp.uris import EXACT, PREFIX, is_reserved
from limen.core.wamp.verdict import ALLOWED, DENIED, Verdict

from .config import ACTIONS

if TYPE_CHECKING:
    from .config import Authorizer, Role, Rule

KEPT: Final = 4096
"""Verdicts that are kept of one action, and of one kind of pattern: whoever makes up more makes nothing grow."""
LONG: Final = 256
"""Characters of an address above which none is kept: whoever makes up long ones makes nothing grow either."""
FORCE: Final = "force"
"""What a REGISTER asks for besides with the option `force_reregister`: to take the place of another's."""


class Rules:
    """The rules of *roles* together: what one of them allows is allowed, in the way of the first that does."""

    def __init__(self, roles: Iterable[Role]) -> None:
        self._roles = [_RoleRules(role) for role in roles]
        self.authorizers: Sequence[Authorizer] = [one.authorizer for one in self._roles if one.authorizer is not None]
        """Those to ask where `verdict` or `over` gives None, in this order."""
        self._verdicts: dict[str, dict[str, Verdict | None]] = {action: {} for action in (*ACTIONS, FORCE)}
        self._patterns: dict[tuple[str, str], dict[str, Verdict | None]] = {}

    def verdict(self, action: str, uri: str) -> Verdict | None:
        """Whether *action* is allowed at *uri*; None: an authorizer is to be asked."""
        known = self._verdicts[action]
        try:
            return known[uri]
        except KeyError:
            found = self._first(role.verdict(action, uri) for role in self._roles)
            return _keep(known, uri, found)

    def names(self, action: str, uri: str) -> bool:
        """Whether a rule for exactly *uri* allows *action*."""
        return any(role.names(action, uri) for role in self._roles)

    def over(self, action: str, match: str, text: str) -> Verdict | None:
        """Whether *action* is allowed at all that the pattern matches; None: an authorizer is to be asked."""
        if match == EXACT or (match != PREFIX and "" not in text.split(".")):
            return self.verdict(action, text)
        known = self._patterns.setdefault((action, match), {})
        try:
            return known[text]
        except KeyError:
            found = self._first(role.over(action, match, text) for role in self._roles)
            return _keep(known, text, found)

    @staticmethod
    def _first(verdicts: Iterable[Verdict | None]) -> Verdict | None:
        """The first that allows; else to be asked, where one of the roles says so."""
        answer: Verdict | None = DENIED
        for verdict in verdicts:
            if verdict is None:
                answer = None
            elif verdict.allow:
                return verdict
        return answer


def _keep(known: dict[str, Verdict | None], text: str, verdict: Verdict | None) -> Verdict | None:
    if len(text) <= LONG:
        if len(known) >= KEPT:
            known.clear()
        known[text] = verdict
    return verdict


class _RoleRules:
    """Those of one role, in two halves: for the protocol's own URIs, and for all others."""

    def __init__(self, role: Role) -> None:
        self.authorizer = role.authorizer
        self._unsaid = DENIED if role.authorizer is None else None
        self._halves: tuple[Patterns[Rule], Patterns[Rule]] = (Patterns(), Patterns())
        self._rules: tuple[list[Rule], list[Rule]] = ([], [])
        for rule in role.rules:
            half = is_reserved(rule.uri)
            self._halves[half].put(rule.match, rule.uri, rule)
            self._rules[half].append(rule)

    def verdict(self, action: str, uri: str) -> Verdict | None:
        rule = self._halves[is_reserved(uri)].best(uri)
        return self._unsaid if rule is None else _verdict(rule, action)

    def names(self, action: str, uri: str) -> bool:
        rule = self._halves[is_reserved(uri)].exact.get(uri)
        return rule is not None and _allows(rule, action)

    def over(self, action: str, match: str, text: str) -> Verdict | None:
        if match == PREFIX and is_reserved(text) and "." not in text:
            return DENIED  # "wamp" begins URIs of both halves
        met = [rule for rule in self._rules[is_reserved(text)] if meets(rule.match, rule.uri, match, text)]
        whole = [rule for rule in met if covers(rule.match, rule.uri, match, text)]
        above = max(whole, key=rank, default=None)  # what decides wherever no better rule does
        if above is None:
            return self._unsaid if all(_allows(rule, action) for rule in met) else DENIED
        if all(_allows(rule, action) for rule in met if rank(rule) >= rank(above)):
            return _verdict(above, action)
        return DENIED


def _allows(rule: Rule, action: str) -> bool:
    return action in rule.allow if action != FORCE else rule.force_reregister and "register" in rule.allow


def _verdict(rule: Rule, action: str) -> Verdict:
    if not _allows(rule, action):
        return DENIED
    disclose = (action == "call" and "caller" in rule.disclose) or (
        action == "publish" and "publisher" in rule.disclose
    )
    if not disclose and rule.disclose_me and rule.trust is None:
        return ALLOWED
    return Verdict(True, disclose=disclose, may_disclose=rule.disclose_me, trust=rule.trust)


# -- patterns and what they match -------------------------------------------------------------------------------------
def rank(rule: Rule) -> tuple[int, Sequence[int]]:
    """Of two rules that match one URI the one with the higher rank decides."""
    if rule.match == EXACT:
        return 3, ()
    if rule.match == PREFIX:
        return 2, (len(rule.uri),)
    return 1, [part != "" for part in rule.uri.split(".")]


def meets(match: str, text: str, other_match: str, other_text: str) -> bool:
    """Whether there is a URI that both patterns match.

    >>> meets("prefix", "a.b", "wildcard", "a..c"), meets("prefix", "a.b.c.d", "wildcard", "a..c")
    (True, False)
    """
    if EXACT in (match, other_match):
        if match != EXACT:
            match, text, other_match, other_text = other_match, other_text, match, text
        return covers(other_match, other_text, EXACT, text)
    if match == other_match == PREFIX:
        return text.startswith(other_text) or other_text.startswith(text)
    if PREFIX in (match, other_match):
        prefix, wildcard = (text, other_text) if match == PREFIX else (other_text, text)
        return _prefix_meets(prefix, wildcard)
    parts, others = text.split("."), other_text.split(".")
    return len(parts) == len(others) and all(a == b or not a or not b for a, b in zip(parts, others, strict=True))


def _prefix_meets(prefix: str, wildcard: str) -> bool:
    *whole, begun = prefix.split(".")
    parts = wildcard.split(".")
    if len(whole) >= len(parts):
        return False
    part = parts[len(whole)]
    return all(not b or a == b for a, b in zip(whole, parts, strict=False)) and (not part or part.startswith(begun))


def covers(match: str, text: str, inner_match: str, inner_text: str) -> bool:
    """Whether the first pattern matches every URI that the second does.

    >>> covers("prefix", "a.", "wildcard", "a..c"), covers("prefix", "a.b", "wildcard", "a..c")
    (True, False)
    >>> covers("wildcard", "a..", "wildcard", "a.b."), covers("wildcard", "a.", "prefix", "a.")
    (True, False)
    """
    if match == EXACT:
        return inner_text == text and (inner_match == EXACT or (inner_match != PREFIX and "" not in text.split(".")))
    if match == PREFIX:
        return (inner_text if inner_match in (EXACT, PREFIX) else _fixed(inner_text)).startswith(text)
    if inner_match == PREFIX:
        return False  # it matches URIs of any length
    parts, inner = text.split("."), inner_text.split(".")
    return len(parts) == len(inner) and all(not a or a == b for a, b in zip(parts, inner, strict=True))


def _fixed(wildcard: str) -> str:
    """What all that a wildcard matches begins with."""
    parts = wildcard.split(".")
    first = parts.index("") if "" in parts else len(parts)
    return ".".join((*parts[:first], "")) if 0 < first < len(parts) else wildcard if first else ""
