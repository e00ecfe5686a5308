"""What stands at a URI: by itself, by a prefix of it, or by a wildcard (sections "Pattern-based Subscription" and
"Pattern-based Registrations").

Prefixes are matched by characters, as the specification has it: "todo" matches "todolist". A look-up asks their
dictionary once for each length that some prefix has. Wildcards stand in a tree of components.

    >>> patterns = Patterns()
    >>> patterns.put("exact", "todo.add", 1), patterns.put("prefix", "todo", 2), patterns.put("wildcard", ".add", 3)
    (None, None, None)
    >>> patterns.all("todo.add"), patterns.best("todo.add"), patterns.best("todo.remove"), patterns.best("shop.add")
    ([1, 2, 3], 1, 2, 3)
    >>> patterns.drop("prefix", "todo"), patterns.best("todo.remove")
    (None, None)
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from typing import Final, Generic, TypeVar

from limen.core.wamp.uris import EXACT, PREFIX

T = TypeVar("T")

REMEMBERED: Final = 1024
"""URIs of which `all` remembers what it has found: most events are of topics that were published to before."""
MOST_FOUND: Final = 2**16
"""… and how much it has found for all of them: many patterns may stand for one URI."""

_END: Final = ""
"""No component of a URI is empty: this key of a branch is "any component"."""


class _Branch(Generic[T]):
    """*pattern*: what ends here."""

    __slots__ = ("below", "pattern")

    def __init__(self) -> None:
        self.below: dict[str, _Branch[T]] = {}
        self.pattern: T | None = None


class Patterns(Generic[T]):
    """What is registered, or subscribed, by how it is meant and as what. *exact* is what most look-ups need alone."""

    __slots__ = ("_found", "_found_size", "_lengths", "_of_length", "_prefixes", "_wild", "_wildcards", "exact")

    def __init__(self) -> None:
        self.exact: dict[str, T] = {}
        self._prefixes: dict[str, T] = {}
        self._lengths: list[int] = []
        """Of all prefixes, each once, the shortest first."""
        self._of_length: Counter[int] = Counter()
        self._wildcards: dict[str, T] = {}
        self._wild: dict[int, _Branch[T]] = {}
        """Trees of components, by how many a pattern has."""
        self._found: dict[str, list[T]] = {}
        """What `all` has found, since something was last put or dropped that would change it."""
        self._found_size = 0

    def get(self, match: str, uri: str) -> T | None:
        """What was put there as just that."""
        return self._table(match).get(uri)

    def values(self, match: str) -> list[T]:
        """All that was put by *match*, in the order in which it came."""
        return list(self._table(match).values())

    def put(self, match: str, uri: str, value: T) -> None:
        table = self._table(match)
        known = uri in table
        table[uri] = value
        if match == EXACT:
            self._found_size -= len(self._found.pop(uri, ()))
            return
        self._forget()
        if match == PREFIX:
            if not known:
                if not self._of_length[len(uri)]:
                    insort(self._lengths, len(uri))
                self._of_length[len(uri)] += 1
            return
        parts = uri.split(".")
        branch = self._wild.setdefault(len(parts), _Branch())
        for part in parts:
            branch = branch.below.setdefault(part, _Branch())
        branch.pattern = value

    def drop(self, match: str, uri: str) -> None:
        """Raises KeyError where nothing is."""
        table = self._table(match)
        del table[uri]
        if match == EXACT:
            self._found_size -= len(self._found.pop(uri, ()))
            return
        self._forget()
        if match == PREFIX:
            self._of_length[len(uri)] -= 1
            if not self._of_length[len(uri)]:
                self._lengths.remove(len(uri))
        else:
            parts = uri.split(".")
            self._prune(self._wild[len(parts)], parts, 0)
            if not self._wild[len(parts)].below:
                del self._wild[len(parts)]

    def all(self, uri: str) -> list[T]:
        """All that matches: exact, then prefixes, the shortest first, then wildcards. The list is not to be changed."""
        found = self._found.get(uri)
        if found is None:
            found = self._find(uri)
            self._found_size += len(found)
            if len(self._found) >= REMEMBERED or self._found_size > MOST_FOUND:
                self._found.clear()
                self._found_size = len(found)
            self._found[uri] = found
        return found

    def _forget(self) -> None:
        self._found.clear()
        self._found_size = 0

    def _find(self, uri: str) -> list[T]:
        found: list[T] = []
        if (exact := self.exact.get(uri)) is not None:
            found.append(exact)
        if self._lengths:
            size = len(uri)
            for length in self._lengths:
                if length > size:
                    break
                if (prefix := self._prefixes.get(uri[:length])) is not None:
                    found.append(prefix)
        if self._wild:
            parts = uri.split(".")
            if (tree := self._wild.get(len(parts))) is not None:
                branches = [tree]
                for part in parts:
                    branches = [b for branch in branches for b in (branch.below.get(part), branch.below.get(_END)) if b]
                found += [branch.pattern for branch in branches if branch.pattern is not None]
        return found

    def best(self, uri: str) -> T | None:
        """The one that a call goes to: exact before the longest prefix before the wildcard whose first wild component
        comes last, and so on for its further ones."""
        if (exact := self.exact.get(uri)) is not None:
            return exact
        size = len(uri)
        for length in reversed(self._lengths):
            if length <= size and (prefix := self._prefixes.get(uri[:length])) is not None:
                return prefix
        if self._wild:
            parts = uri.split(".")
            if (tree := self._wild.get(len(parts))) is not None:
                return _closest(tree, parts, 0)
        return None

    def _table(self, match: str) -> dict[str, T]:
        if match == EXACT:
            return self.exact
        return self._prefixes if match == PREFIX else self._wildcards

    def _prune(self, branch: _Branch[T], parts: list[str], at: int) -> None:
        if at == len(parts):
            branch.pattern = None
            return
        below = branch.below[parts[at]]
        self._prune(below, parts, at + 1)
        if not below.below and below.pattern is None:
            del branch.below[parts[at]]


def _closest(branch: _Branch[T], parts: list[str], at: int) -> T | None:
    if at == len(parts):
        return branch.pattern
    for key in (parts[at], _END):
        below = branch.below.get(key)
        if below is not None and (found := _closest(below, parts, at + 1)) is not None:
            return found
    return None
