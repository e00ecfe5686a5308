"""What was asked of the router and waits for its acknowledgement: SUBSCRIBE, REGISTER, PUBLISH, and their undoing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from limen import exc

if TYPE_CHECKING:
    from limen.client.line import Line
    from limen.core.wamp.messages import Message

Reply: TypeAlias = Callable[[int | exc.Error], None]
"""Gets the id of an acknowledgement, 0 where it names none, or the error."""


class Requests:
    """Those by one *line*."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._waiting: dict[int, Reply] = {}

    def send(self, make: Callable[[int], Message], settle: Reply) -> None:
        """Sends a message that is answered by an acknowledgement or an ERROR; *settle* gets its id or the error.

        Offline nothing is sent, and *settle* gets exc.ConnectionLost at once.
        """
        try:
            request = self._line.send(make)
        except exc.ConnectionLost as error:
            settle(error)
        else:
            self._waiting[request] = settle

    def answered(self, request: int, reply: int | exc.Error) -> None:
        """An answer came."""
        settle = self._waiting.pop(request, None)
        if settle is not None:
            settle(reply)

    def lost(self, reason: str) -> None:
        """The connection is lost, and with it all answers."""
        waiting, self._waiting = self._waiting, {}
        for settle in waiting.values():
            settle(exc.ConnectionLost(reason))
