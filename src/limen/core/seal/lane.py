"""The HTTP lane: sealed calls that come in any order, each request with a number, its key and its answer's keys.

The two chains of a login (or a resume) step together: number *n* has the key of one request and the first key of the
chain of its answer's frames. Whoever opens keeps the keys of numbers that were passed over, within WINDOW, and nothing
of those that are burnt. docs/security.md, The HTTP lane, has the bytes.

    >>> c2s, s2c, th = b"c" * 32, b"s" * 32, b"t" * 64
    >>> client, server = Caller(c2s, s2c, th), LaneState(c2s, s2c, th)
    >>> zero, one = client.seal(b"zero"), client.seal(b"one")
    >>> text, answer, server = server.open(one.number, one.frame)
    >>> text, server.open(zero.number, zero.frame)[0], server
    (b'one', b'zero', LaneState(next=2, skipped=[0]))
    >>> server.open(one.number, one.frame)
    Traceback (most recent call last):
    limen.core.seal.lane.Burnt: 1 is burnt
    >>> one.answer.feed(answer.seal(b"uno", last=False) + answer.seal(b"due"))
    [b'uno', b'due']
    >>> one.answer.whole
    True

`LaneState` is a value: `open` changes nothing, and gives the state that must be kept before what was opened may have
any effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from hmac import digest
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from limen.core.seal.channel import OVERHEAD, BadFrame, ratchet
from limen.core.seal.kdf import VERSION, lp

LANE: Final = "http"
WINDOW: Final = 64
"""So far may a number be ahead of, or behind, the one that is due."""
MARK: Final = 8
"""Bytes of a burnt request's hash that are kept, to tell a resend from a replay; nothing is ever opened by it."""
LAST: Final = 1 << 31
"""Set in a frame's length: no other follows."""
_NONCE: Final = bytes(12)  # each key seals one frame
_UP: Final = lp(VERSION, LANE, "c2s")
_DOWN: Final = lp(VERSION, LANE, "s2c")
_EIGHT: Final = (8).to_bytes(4)
_FORM: Final = b"\x01"
_EMPTY: Final[Mapping[int, tuple[bytes, bytes]]] = {}


class Burnt(Exception):
    """This number was used, or is below the window: whatever comes with it is a resend or a replay."""


class TooFar(Exception):
    """This number is too far ahead."""


class Opened(NamedTuple):
    """*state* must be kept before *plaintext* may have any effect."""

    plaintext: bytes
    answer: Answer
    state: LaneState


class Sealed:
    """A request: send *frame* under *number* (again, if need be: the same bytes), and feed *answer*."""

    __slots__ = ("answer", "frame", "keys", "number")

    def __init__(self, number: int, frame: bytes, answer: AnswerReader, keys: tuple[bytes, bytes]) -> None:
        self.number, self.frame, self.answer, self.keys = number, frame, answer, keys

    def __repr__(self) -> str:
        return f"Sealed({self.number})"


class LaneState:
    """What the server keeps of one lane. *next*: the lowest number that nobody has reached yet; *skipped*: the keys of
    numbers below it that have not come (request key, answer key). *marks*: of the last WINDOW numbers, by what each was
    burnt."""

    __slots__ = ("_c2s", "_s2c", "marks", "next", "skipped", "th")

    def __init__(
        self,
        c2s: bytes,
        s2c: bytes,
        th: bytes,
        next: int = 0,
        skipped: Mapping[int, tuple[bytes, bytes]] = _EMPTY,
        marks: bytes = b"",
    ) -> None:
        """*c2s*, *s2c*: the chain keys at *next*. *th*: transcript hash. *marks*: one after the other, up to *next*."""
        if len(c2s) != 32 or len(s2c) != 32 or len(th) != 64:
            raise ValueError("a lane takes two keys of 32 bytes and a transcript hash of 64")
        self._c2s, self._s2c, self.th, self.next, self.skipped = c2s, s2c, th, next, skipped
        self.marks = marks

    def open(self, number: int, frame: bytes) -> Opened:
        """What the request *number* holds. Raises `Burnt`, `TooFar`, or `BadFrame` where it does not open."""
        (key, seed), state = self._take(number, mark(frame))
        try:
            plaintext = AESGCM(key).decrypt(_NONCE, frame, _UP + _EIGHT + number.to_bytes(8) + lp(self.th))
        except InvalidTag:
            raise BadFrame("this request does not open") from None
        return Opened(plaintext, Answer(seed, number, self.th), state)

    def burn(self, number: int, mark: bytes) -> LaneState:
        """The state after the request *number* with that *mark*. Raises `Burnt` or `TooFar`."""
        return self._take(number, mark)[1]

    def was(self, number: int, mark: bytes) -> bool:
        """Whether *number* was burnt by the request of that *mark*, as far as the window still knows."""
        at = len(self.marks) - MARK * (self.next - number)
        return at >= 0 and number < self.next and self.marks[at : at + MARK] == mark

    def begin(self) -> tuple[Answer, LaneState]:
        """The answer to number 0, whose request was the login's last message and not sealed."""
        (_, seed), state = self._take(0, bytes(MARK))
        return Answer(seed, 0, self.th), state

    def _take(self, number: int, mark: bytes) -> tuple[tuple[bytes, bytes], LaneState]:
        """The keys of *number*, and the state without them."""
        following = self.next
        if number < following:
            keys = self.skipped.get(number)
            if keys is None:
                raise Burnt(f"{number} is burnt")
            left = {n: pair for n, pair in self.skipped.items() if n != number}
            at = len(self.marks) - MARK * (following - number)
            marks = self.marks[:at] + mark + self.marks[at + MARK :]
            return keys, LaneState(self._c2s, self._s2c, self.th, following, left, marks)
        if number >= following + WINDOW:
            raise TooFar(f"{following} is due")
        c2s, s2c = self._c2s, self._s2c
        low = number + 1 - WINDOW
        skipped = {n: pair for n, pair in self.skipped.items() if n >= low} if self.skipped else {}
        while True:
            request, c2s = ratchet(c2s)
            answer, s2c = ratchet(s2c)
            if following == number:
                break
            skipped[following] = request, answer
            following += 1
        marks = (self.marks + bytes(MARK * (number - self.next)) + mark)[-MARK * WINDOW :]
        return (request, answer), LaneState(c2s, s2c, self.th, number + 1, skipped, marks)

    # -- at rest ------------------------------------------------------------------------------------------------
    def rest(self, key: bytes, nonce: bytes, name: bytes) -> bytes:
        """The state as it is kept, under a *key* of 32 bytes; *nonce*: 12 random bytes; *name*: whose it is."""
        rows = b"".join(n.to_bytes(8) + pair[0] + pair[1] for n, pair in self.skipped.items())
        plain = _FORM + self.next.to_bytes(8) + self._c2s + self._s2c + self.th + self.marks + rows
        return nonce + AESGCM(key).encrypt(nonce, plain, name)

    @classmethod
    def wake(cls, kept: bytes, key: bytes, name: bytes) -> LaneState:
        """What `rest` gave. Raises `BadFrame` where it is not that, or of another key or name."""
        try:
            plain = AESGCM(key).decrypt(kept[:12], kept[12:], name)
        except (InvalidTag, ValueError):
            raise BadFrame("this is no state of that lane") from None
        next = int.from_bytes(plain[1:9])
        begin = 137 + MARK * min(next, WINDOW)
        if plain[:1] != _FORM or len(plain) < begin or (len(plain) - begin) % 72:
            raise BadFrame("this state is of another form")
        rows = (plain[at : at + 72] for at in range(begin, len(plain), 72))
        skipped = {int.from_bytes(row[:8]): (row[8:40], row[40:]) for row in rows}
        return cls(plain[9:41], plain[41:73], plain[73:137], next, skipped, plain[137:begin])

    def __repr__(self) -> str:
        return f"LaneState(next={self.next}, skipped={sorted(self.skipped)})"


def mark(frame: bytes) -> bytes:
    """What a request is known by after it was burnt."""
    return sha256(frame).digest()[:MARK]


def rest_key(lane_key: bytes, slot: bytes) -> bytes:
    """The key under which one slot's state is kept. *lane_key*: the domain's (`DomainKeys.lane_key`)."""
    return digest(lane_key, lp("lane", slot), "sha256")


class _Frames:
    """The frames of one answer: a chain of its own."""

    __slots__ = ("_chain", "_count", "_head", "_tail")

    def __init__(self, seed: bytes, number: int, th: bytes) -> None:
        self._chain, self._count = seed, 0
        self._head, self._tail = _DOWN + lp(number.to_bytes(8)), lp(th)

    def _step(self, last: bool) -> tuple[AESGCM, bytes]:
        """The key of the next frame, and its additional data."""
        key, self._chain = ratchet(self._chain)
        data = self._head + lp(self._count.to_bytes(8), b"last" if last else b"more") + self._tail
        self._count += 1
        return AESGCM(key), data


class Answer(_Frames):
    """The server's half of an answer."""

    __slots__ = ()

    def seal(self, plaintext: bytes, *, last: bool = True) -> bytes:
        """The next frame with its length before it; after the *last* none can be made."""
        if not self._chain:
            raise ValueError("this answer has ended")
        cipher, data = self._step(last)
        if last:
            self._chain = b""
        size = len(plaintext) + OVERHEAD
        return (size | LAST if last else size).to_bytes(4) + cipher.encrypt(_NONCE, plaintext, data)


HEARTBEAT: Final = bytes(4)
"""May stand between two frames, and says nothing: the connection is not idle."""


class AnswerReader(_Frames):
    """The client's half: bytes in, plaintexts out. `whole`: the last frame has come; without it the answer was cut."""

    __slots__ = ("_left", "_limit", "whole")

    def __init__(self, seed: bytes, number: int, th: bytes, limit: int = LAST - 1) -> None:
        """*limit*: bytes of one frame."""
        super().__init__(seed, number, th)
        self._left, self._limit, self.whole = bytearray(), limit, False

    def feed(self, data: bytes) -> list[bytes]:
        """What the frames hold that are complete with *data*. Raises `BadFrame`: what came is not the answer."""
        self._left += data
        found: list[bytes] = []
        while len(self._left) >= 4:
            head = int.from_bytes(self._left[:4])
            size, last = head & ~LAST, head >= LAST
            if self.whole or size > self._limit or (0 < size < OVERHEAD) or (last and not size):
                raise BadFrame("this is no answer of the lane")
            if len(self._left) < 4 + size:
                break
            frame = bytes(self._left[4 : 4 + size])
            del self._left[: 4 + size]
            if size:
                found.append(self._open(frame, last))
                self.whole = last
        if self.whole and self._left:
            raise BadFrame("something follows the answer's end")
        return found

    def rewind(self) -> None:
        """The answer will come anew, from its beginning; none of its frames has been opened."""
        if self._count:
            raise ValueError("this answer has begun")
        self._left.clear()

    def _open(self, frame: bytes, last: bool) -> bytes:
        cipher, data = self._step(last)
        try:
            return cipher.decrypt(_NONCE, frame, data)
        except InvalidTag:
            raise BadFrame("this answer does not open") from None


class Caller:
    """The client's half of a lane: seals requests, one number after the other."""

    __slots__ = ("_c2s", "_free", "_next", "_s2c", "_th", "limit")

    def __init__(self, c2s: bytes, s2c: bytes, th: bytes, limit: int = LAST - 1) -> None:
        """*limit*: bytes of one frame of an answer."""
        self._c2s, self._s2c, self._th, self.limit, self._next = c2s, s2c, th, limit, 0
        self._free: dict[int, tuple[bytes, bytes]] = {}

    @property
    def next(self) -> int:
        """The number of the next request."""
        return min(self._free) if self._free else self._next

    def seal(self, plaintext: bytes) -> Sealed:
        """The next request."""
        number = self.next
        keys = key, seed = self._free.pop(number) if self._free else self._step()
        frame = AESGCM(key).encrypt(_NONCE, plaintext, _UP + _EIGHT + number.to_bytes(8) + lp(self._th))
        return Sealed(number, frame, AnswerReader(seed, number, self._th, self.limit), keys)

    def unsent(self, sealed: Sealed) -> None:
        """Nothing of this request has left this machine: its number, and so its key, may be used for another."""
        self._free[sealed.number] = sealed.keys

    def begin(self) -> AnswerReader:
        """The answer to number 0, whose request was the login's last message and not sealed."""
        return AnswerReader(self._step()[1], 0, self._th, self.limit)

    def _step(self) -> tuple[bytes, bytes]:
        request, self._c2s = ratchet(self._c2s)
        answer, self._s2c = ratchet(self._s2c)
        self._next += 1
        return request, answer

    def __repr__(self) -> str:
        return f"Caller(next={self.next})"
