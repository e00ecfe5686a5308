"""The supervisor's half of the bus: what one worker says is brought to the others, by one thread, in one order.

While more waits for one worker than it takes, the others are not read from, and take no more from their clients. One
that does not read at all is called stuck, which ends it: where more than MOST_WAITING waits for it, or it is crowded
and has read nothing for two beats. So is one that has said nothing for MOST_BEATS: it may hold what all
others wait for, as the turn to write.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from limen.door.hub.bus import ALONE

from .frames import ALL, FIRST, SUPERVISOR, Frames
from .line import JOINED, LEFT, PING, WON

MOST_BEATS = 6
"""Beats that a worker may let pass without a word."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class Seat(Frames):
    """The supervisor's end of one worker's line."""

    def __init__(self, board: Switchboard, number: int) -> None:
        super().__init__()
        self._board, self.number = board, number
        self.ready = False
        self.silent = 0
        """Beats since it said something."""
        self._unread = self._stands = 0

    def lets_stand(self) -> int:
        """The beats for which it has read nothing of what waits for it, with this one; 0 where that is little."""
        waits = self.transport.get_write_buffer_size() if self.transport is not None and self.crowded else 0
        self._stands = self._stands + 1 if waits and waits >= self._unread else 0
        self._unread = waits
        return self._stands

    def resume_writing(self) -> None:
        super().resume_writing()
        self._board.eased()

    def received(self, peer: int, payload: bytes) -> None:
        self._board.route(self, peer, payload)

    def ended(self) -> None:
        self._board.gone(self)


class Switchboard:
    """All workers of a server. *ready(number, url)*: a worker answers there; *stuck(number)*: one does not read."""

    def __init__(self, ready: Callable[[int, str], None], stuck: Callable[[int], None]) -> None:
        self._ready, self._stuck = ready, stuck
        self._next = FIRST
        self._seats: dict[int, Seat] = {}
        self._claims: dict[str, int] = {}
        self._shares: dict[str, tuple[str, dict[int, int]]] = {}
        """By name: on what terms it is held, and by which worker each holder is."""
        self._last_share = 0
        self._paused: set[Seat] = set()

    def seat(self) -> Seat:
        """For a worker that is to be started; it is one of the others' once it says so."""
        number, self._next = self._next, self._next + 1
        return Seat(self, number)

    def route(self, seat: Seat, to: int, payload: bytes) -> None:
        """A frame of a worker."""
        seat.silent = 0
        if to == SUPERVISOR:
            self._hear(seat, _decode(payload))
        elif to != ALL:
            self._send(to, seat.number, payload)
        else:
            for other in tuple(self._seats):
                if other != seat.number:
                    self._send(other, seat.number, payload)
        if seat.transport is not None and self._is_crowded(but=seat):
            seat.transport.pause_reading()  # once more does no harm
            self._paused.add(seat)

    def _is_crowded(self, but: Seat) -> bool:
        return any(other.crowded for other in self._seats.values() if other is not but)

    def eased(self) -> None:
        """A worker has read, or is gone."""
        for seat in tuple(self._paused):
            if not self._is_crowded(but=seat):
                self._paused.discard(seat)
                if seat.transport is not None:
                    seat.transport.resume_reading()

    def beat(self) -> None:
        """Asks each worker whether it is there. In between the caller waits: where this process was halted itself, no
        beat has passed."""
        for number, seat in tuple(self._seats.items()):
            if seat.silent >= MOST_BEATS or seat.lets_stand() > 2:
                self._stuck(number)
            elif seat.ready and seat not in self._paused:  # before, it may have much to do; paused, it is not heard
                seat.silent += 1
                self._tell(number, [PING])

    def gone(self, seat: Seat) -> None:
        """A worker has ended: its claims are free, then the others are told."""
        if self._seats.pop(seat.number, None) is not None:
            self._claims = {name: owner for name, owner in self._claims.items() if owner != seat.number}
            for name, (_, holders) in tuple(self._shares.items()):
                for holder in [holder for holder, owner in holders.items() if owner == seat.number]:
                    self._part(name, holder)
            self._paused.discard(seat)
            self._tell_all([LEFT, seat.number])
            self.eased()

    def _hear(self, seat: Seat, said: list[Any]) -> None:
        number = seat.number
        match said:
            case ["join"]:
                others = list(self._seats)
                self._tell_all([JOINED, 0, [number]])
                self._seats[number] = seat
                self._tell(number, [JOINED, number, others])
            case ["ready", url]:
                seat.ready = True
                self._ready(number, url)
            case ["claim", question, name]:
                owner = self._claims.setdefault(name, number)
                self._tell(number, [WON, question, owner == number])
            case ["release", name]:
                if self._claims.get(name) == number:
                    del self._claims[name]
            case ["share", question, name, terms, force]:
                self._tell(number, [WON, question, self._share(number, name, terms, force)])
            case ["part", name, holder]:
                self._part(name, holder)

    def _share(self, number: int, name: str, terms: str, force: bool) -> int:
        """See `Bus.share`."""
        held, holders = self._shares.get(name, (terms, {}))
        if force:
            held, holders = terms, {}
        if holders and (terms == ALONE or terms != held):
            return 0
        self._last_share += 1
        self._shares[name] = terms, {**holders, self._last_share: number}
        return self._last_share

    def _part(self, name: str, holder: int) -> None:
        _, holders = self._shares.get(name, ("", {}))
        if holders.pop(holder, None) is not None and not holders:
            del self._shares[name]

    def _tell(self, number: int, message: list[Any]) -> None:
        self._send(number, SUPERVISOR, _encode(message))

    def _tell_all(self, message: list[Any]) -> None:
        for number in tuple(self._seats):
            self._tell(number, message)

    def _send(self, to: int, peer: int, payload: bytes) -> None:
        seat = self._seats.get(to)
        if seat is not None and not seat.send(peer, payload):
            self._stuck(to)
