"""What the modules that `limen types` writes stand on: branches of the tree of addresses, over any client.

>>> class Shop(Branch):
...     def price(self, article: str, pieces: int = UNSET) -> int:
...         result: int = self._call("price", False, (), {"article": article, "pieces": pieces})
...         return result
>>> class Fake:
...     def call(self, name, *args, **kwargs):
...         return name, args, kwargs
>>> Shop(Fake()).price("bolt")
('price', (), {'article': 'bolt'})
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from limen.client.core import AsyncClient
    from limen.client.session import Session
    from limen.client.sync import Client

UNSET: Final[Any] = type("Unset", (), {"__repr__": lambda self: "…"})()
"""An argument that is left out: the service's own default counts."""


class Branch:
    """Services below one address. *client*: a client whose methods wait (`limen.PyClient`, `limen.HttpClient`, …)."""

    __slots__ = ("_client",)

    def __init__(self, client: Client) -> None:
        self._client = client

    def _call(self, name: str, safe: bool, args: Sequence[Any], named: Mapping[str, Any]) -> Any:
        """*safe*: the service answers sealed sessions only."""
        ask = self._client.safe_call if safe else self._client.call
        return ask(name, *_given(args), **_named(named))

    def _stream(self, name: str, safe: bool, args: Sequence[Any], named: Mapping[str, Any]) -> Iterator[Any]:
        stream = self._client.safe_stream if safe else self._client.stream
        return stream(name, *_given(args), **_named(named))


class AsyncBranch:
    """Services below one address. *client*: a client whose methods are awaited (`limen.connect`'s session,
    `limen.AsyncHttpClient`, …)."""

    __slots__ = ("_client",)

    def __init__(self, client: AsyncClient | Session) -> None:
        self._client = client

    def _call(self, name: str, safe: bool, args: Sequence[Any], named: Mapping[str, Any]) -> Awaitable[Any]:
        """*safe*: the service answers sealed sessions only."""
        # A session of limen.connect has one word for both: it is sealed, or it is not.
        ask = getattr(self._client, "safe_call", self._client.call) if safe else self._client.call
        asked: Awaitable[Any] = ask(name, *_given(args), **_named(named))
        return asked

    def _stream(self, name: str, safe: bool, args: Sequence[Any], named: Mapping[str, Any]) -> AsyncIterator[Any]:
        stream = getattr(self._client, "safe_stream", self._client.stream) if safe else self._client.stream
        values: AsyncIterator[Any] = stream(name, *_given(args), **_named(named))
        return values


def _given(args: Sequence[Any]) -> list[Any]:
    given = list(args)
    while given and given[-1] is UNSET:
        given.pop()
    return given


def _named(named: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in named.items() if value is not UNSET}
