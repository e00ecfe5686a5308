"""Permissions as they are now: which roles may use which addresses, said at run time, beside what the code says.

A rule gives a role an address, `todo.add`, or one and whatever stands below it, `todo.`. The address of a class names
its methods, `todo.get`, too. An address that some rule names is closed to all roles that no rule gives it to; of
several rules the one with the longest pattern is asked. They only ever close: what the code asks for (`roles`,
`check_perm`, a realm rule) holds as well.

    >>> rulebook = Rulebook()
    >>> rulebook.set("localhost", [("nurse", "ward."), ("chief", "ward."), ("chief", "ward.close")])
    >>> pattern, roles = rulebook.rule("localhost", "ward.list")
    >>> pattern, sorted(roles)
    ('ward.', ['chief', 'nurse'])
    >>> rulebook.rule("localhost", "ward.close")
    ('ward.close', frozenset({'chief'}))
    >>> rulebook.rule("localhost", "wardrobe"), rulebook.rule("other.example", "ward.close")
    (None, None)
    >>> rulebook.rule("localhost", "ward")[0], rulebook.rule("localhost", "ward.close.get")[0]
    ('ward.', 'ward.close')
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from limen import exc
from limen.base.principal import Principal
from limen.base.uris import PREFIX, head_of
from limen.service.handlers import VERBS
from limen.service.service import address

Rule = tuple[str, frozenset[str]]
"""A pattern, and the roles that may."""


def pattern_of(text: str) -> str:
    """A pattern as it is kept: an address with dots, with one at its end for all below. Raises InvalidAddress.

    >>> pattern_of("todo/add"), pattern_of("todo.")
    ('todo.add', 'todo.')
    """
    below = isinstance(text, str) and text.endswith((".", "/"))
    uri = address(text[:-1] if below else text).replace("/", ".")
    return uri + "." if below else uri


def _patterns(uri: str) -> Iterator[str]:
    """What names *uri*, the closest first."""
    yield uri
    yield uri + "."  # a mounted application has one address, and all below it
    end = uri.rfind(".")
    a_method = uri[end + 1 :] in VERBS
    while end >= 0:
        yield uri[: end + 1]
        if a_method:
            yield uri[:end]
            a_method = False
        end = uri.rfind(".", 0, end)


def _is_within(rule: str, whole: str, pattern: str, match: str) -> bool:
    """Whether *rule*, closer than *whole* (which names all that *pattern* stands for), may name some of it."""
    if len(rule) <= len(whole):
        return False
    base = rule.removesuffix(".")
    if match == PREFIX:
        return base.startswith(pattern) or pattern.startswith(base + ".")
    wanted, parts = pattern.split("."), base.split(".")
    return len(parts) <= len(wanted) and all(w in ("", p) for w, p in zip(wanted, parts, strict=False))


class Rulebook:
    """By domain. Changed and asked on the event loop, or where none runs.

    A call looks at `by_domain` first, which holds only domains that have a rule: without any, nothing is asked.
    """

    __slots__ = ("by_domain",)

    def __init__(self) -> None:
        self.by_domain: dict[str, dict[str, frozenset[str]]] = {}

    def set(self, domain: str, rules: Iterable[tuple[str, str]]) -> None:
        """Puts (role, pattern)s in the place of all rules of the domain."""
        roles: dict[str, set[str]] = {}
        for role, pattern in rules:
            roles.setdefault(pattern, set()).add(role)
        if roles:
            self.by_domain[domain] = {pattern: frozenset(who) for pattern, who in roles.items()}
        else:
            self.by_domain.pop(domain, None)

    def rule(self, domain: str, uri: str) -> Rule | None:
        """The rule that decides about *uri*; None: no rule names it."""
        rules = self.by_domain.get(domain)
        if rules is None:
            return None
        for pattern in _patterns(uri):
            roles = rules.get(pattern)
            if roles is not None:
                return pattern, roles
        return None

    def allows(self, principal: Principal, uri: str) -> bool:
        """Whether the rules let *principal* use *uri*."""
        rule = self.rule(principal.domain, uri)
        return rule is None or not rule[1].isdisjoint(principal.roles)

    def allows_all(self, principal: Principal, pattern: str, match: str) -> bool:
        """Whether the rules let *principal* use whatever *pattern* stands for, meant as *match* ("prefix" or
        "wildcard"): every rule that may decide about some of it.

        >>> rulebook = Rulebook()
        >>> rulebook.set("localhost", [("nurse", "ward."), ("chief", "ward."), ("chief", "ward.close")])
        >>> nurse, chief = Principal("localhost", roles=("nurse",)), Principal("localhost", roles=("chief",))
        >>> [rulebook.allows_all(who, "ward.", "prefix") for who in (nurse, chief)]
        [False, True]
        >>> rulebook.allows_all(nurse, "ward.list", "prefix"), rulebook.allows_all(nurse, "..get", "wildcard")
        (True, False)
        """
        rules = self.by_domain.get(principal.domain)
        if rules is None:
            return True
        head = head_of(pattern, match)
        whole = max((rule for rule in rules if rule.endswith(".") and head.startswith(rule)), key=len, default="")
        deciding = [roles for rule, roles in rules.items() if rule == whole or _is_within(rule, whole, pattern, match)]
        return not any(roles.isdisjoint(principal.roles) for roles in deciding)

    def check(self, principal: Principal, uri: str) -> None:
        """Raises Forbidden where `allows` says no."""
        if not self.allows(principal, uri):
            raise exc.Forbidden("Your role does not allow this.")
