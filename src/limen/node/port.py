"""The port of the tree of live objects: a WAMP session, as `Tree` needs it. `limen.client`'s fills it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from limen.client.callee import Endpoint
    from limen.client.stream import Stream

Undo: TypeAlias = Callable[[], Awaitable[None]]
"""Acts when it is called; what it gives may be awaited: then the router has confirmed."""


class Session(Protocol):
    """A session of a realm, which comes back by itself when its connection is lost, with all that it has registered and
    subscribed."""

    discloses: bool
    """Whoever hears what it publishes is told who it is, where the router lets them."""

    first: list[Callable[[], Coroutine[Any, Any, None]]]
    """Awaited when the connection has returned, before all else is asked for again."""

    @property
    def id(self) -> int:
        """WAMP's number of it; another one after each return."""
        ...

    @property
    def state(self) -> Literal["online", "offline", "closed"]:
        """ "offline": its connection is lost, and is coming back."""
        ...

    @property
    def features(self) -> Mapping[str, Any]:
        """What the router announces: WELCOME.Details.roles."""
        ...

    def apply(
        self,
        name: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> Awaitable[Any]:
        """What the procedure *name* gives. Cancelled, or after *timeout* seconds (`exc.Timeout`), the callee is told.
        Offline it waits for the connection. Raises what the callee raised, `exc.OutcomeUnknown`, …"""
        ...

    def stream(self, name: str, /, *args: Any, **kwargs: Any) -> Stream[Any]:
        """The values of a streaming procedure, as they come."""
        ...

    def publish(self, topic: str, /, *args: Any, **kwargs: Any) -> Awaitable[None]:
        """Sends the event at once, so events are published in the order of these calls; this session does not get it
        itself. What is given is done when the router has taken it; what cannot travel raises `exc.InvalidValue`."""
        ...

    def register(self, uri: str, endpoint: Endpoint, /, *, match: str = "exact") -> Awaitable[Undo]:
        """*endpoint* answers the calls of *uri*; comes back when the router has taken it."""
        ...

    def subscribe(
        self, topic_uri: str, handler: Callable[..., Any], /, *, match: str = "exact", topic: bool = False
    ) -> Awaitable[Undo]:
        """*handler* gets the events, in their order, with *topic* as (topic, args, kwargs, details)."""
        ...

    def on(self, event: str, handler: Callable[..., Any]) -> Callable[[], object]:
        """Tells *handler* of "online", "offline", "restored" (online, and all is registered and subscribed again),
        "revoked" (uri, match, the error, "registration" or "subscription": that does not stand any more) and
        "signed_out" (it is over)."""
        ...
