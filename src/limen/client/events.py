"""What happens to a session, and who is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeAlias

Handler = Callable[..., Any]
Undo: TypeAlias = Callable[[], object]
ConfirmedUndo: TypeAlias = "Callable[[], asyncio.Future[None]]"
"""An undo that acts at once; what it gives is done when the other side has confirmed."""

EVENTS: Final = ("online", "restored", "offline", "missed", "revoked", "taken_over", "signed_out")


class Events:
    """The handlers of one session, by event.

    >>> events = Events()
    >>> undo = events.on("online", print)
    >>> events.of("online") == (print,)
    True
    >>> undo()
    >>> events.of("online")
    ()
    """

    def __init__(self) -> None:
        self._handlers: dict[str, list[Handler]] = {event: [] for event in EVENTS}

    def on(self, event: str, handler: Handler) -> Undo:
        """Adds *handler*; gives the undo. Raises ValueError where there is no such event."""
        if event not in self._handlers:
            raise ValueError(f"there is no event {event!r}; there are {', '.join(EVENTS)}")
        handlers = self._handlers[event]
        handlers.append(handler)
        return lambda: handlers.remove(handler) if handler in handlers else None

    def of(self, event: str) -> tuple[Handler, ...]:
        """Whom to tell, as of now: a handler may take itself out meanwhile."""
        return tuple(self._handlers[event])
