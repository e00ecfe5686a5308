"""The HTTP lane's machine: the vectors, any order within the window, and that nothing opens twice or elsewhere."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from make_vectors import lane_file

from limen.core.seal import ticket as tickets
from limen.core.seal.channel import BadFrame
from limen.core.seal.lane import (
    HEARTBEAT,
    WINDOW,
    Answer,
    AnswerReader,
    Burnt,
    Caller,
    LaneState,
    TooFar,
    mark,
    rest_key,
)
from limen.core.seal.ticket import BadTicket, Ticket
from vectors import vectors

FILE = vectors("lane")
C2S, S2C, TH = b"c" * 32, b"s" * 32, b"t" * 64
KEY, NONCE = b"k" * 32, b"n" * 12


def _pair() -> tuple[Caller, LaneState]:
    return Caller(C2S, S2C, TH), LaneState(C2S, S2C, TH)


# -- the vectors ------------------------------------------------------------------------------------------------
def test_the_vectors_are_what_the_independent_script_makes() -> None:
    assert lane_file() == FILE


def test_both_ends_give_the_vectors() -> None:
    keys = [bytes.fromhex(FILE[name]) for name in ("chain_key_c2s", "chain_key_s2c", "th")]
    caller, state = Caller(*keys), LaneState(*keys)
    for row in FILE["requests"]:
        sealed = caller.seal(bytes.fromhex(row["plaintext"]))
        assert (sealed.number, sealed.frame.hex()) == (row["n"], row["frame"])
        plain, answer, state = state.open(sealed.number, sealed.frame)
        assert plain.hex() == row["plaintext"]
        for at, part in enumerate(row["answer"]):
            last = at == len(row["answer"]) - 1
            frame = answer.seal(bytes.fromhex(part["plaintext"]), last=last)
            assert frame.hex() == part["frame"]
            assert sealed.answer.feed(frame) == [bytes.fromhex(part["plaintext"])]
            assert sealed.answer.whole is last


def test_the_state_at_rest_is_that_of_the_vectors() -> None:
    rest, requests = FILE["at_rest"], FILE["requests"]
    state = LaneState(*(bytes.fromhex(FILE[name]) for name in ("chain_key_c2s", "chain_key_s2c", "th")))
    for number in rest["after"]:
        state = state.open(number, bytes.fromhex(requests[number]["frame"])).state
    assert (state.next, sorted(state.skipped)) == (rest["next"], rest["skipped"])
    key = rest_key(bytes.fromhex(rest["lane_key"]), bytes.fromhex(rest["slot"]))
    assert key.hex() == rest["key"]
    name = bytes.fromhex(rest["name"])
    assert state.rest(key, bytes.fromhex(rest["nonce"]), name).hex() == rest["kept"]
    woken = LaneState.wake(bytes.fromhex(rest["kept"]), key, name)
    assert (woken.next, woken.skipped, woken.th, woken.marks) == (state.next, state.skipped, state.th, state.marks)


# -- order ------------------------------------------------------------------------------------------------------
@given(st.integers(0, 2**32), st.integers(1, 150), st.integers(0, WINDOW - 1), st.booleans())
def test_any_order_within_the_window_opens_each_request_once(seed: int, count: int, mess: int, sleeps: bool) -> None:
    chance = random.Random(seed)
    caller, state = _pair()
    sealed = [caller.seal(b"%d" % n) for n in range(count)]
    order = sorted(range(count), key=lambda n: n + chance.uniform(0, mess))
    for number in order:
        if sleeps:
            state = LaneState.wake(state.rest(KEY, NONCE, b"me"), KEY, b"me")
        plain, answer, state = state.open(number, sealed[number].frame)
        assert plain == b"%d" % number
        assert sealed[number].answer.feed(answer.seal(plain)) == [plain]
        assert len(state.skipped) < WINDOW
        with pytest.raises(Burnt):
            state.open(number, sealed[number].frame)
    for number in range(count):
        with pytest.raises(Burnt):
            state.burn(number, bytes(8))
        known = number >= count - WINDOW
        assert state.was(number, mark(sealed[number].frame)) is known
        assert not state.was(number, mark(b"other bytes"))
    assert state.next == count
    assert not state.skipped or count > WINDOW


@given(st.lists(st.integers(0, 300), max_size=60))
def test_a_number_is_taken_once_or_never(numbers: list[int]) -> None:
    state, taken, top = _pair()[1], set[int](), 0
    for number in numbers:
        allowed = number not in taken and top - WINDOW <= number < top + WINDOW
        try:
            state = state.burn(number, b"%08d" % number)
            assert allowed
            taken.add(number)
            top = max(top, number + 1)
        except Burnt:
            assert not allowed
            assert number < top
        except TooFar:
            assert number >= top + WINDOW
        assert state.next == top
        assert all(state.was(n, b"%08d" % n) for n in taken if n >= top - WINDOW)
        assert all(top - WINDOW <= n < top for n in state.skipped)


def test_huge_numbers_cost_nothing() -> None:
    state = _pair()[1]
    for number in (WINDOW, 2**63, 10**16):
        with pytest.raises(TooFar):
            state.open(number, bytes(16))
    assert state.next == 0


def test_burning_and_opening_give_the_same_state() -> None:
    caller, state = _pair()
    sealed = [caller.seal(b"x") for _ in range(10)]
    opened, burnt = state, state
    for number in (3, 0, 9, 1):
        opened, burnt = opened.open(number, sealed[number].frame).state, burnt.burn(number, mark(sealed[number].frame))
    assert opened.rest(KEY, NONCE, b"") == burnt.rest(KEY, NONCE, b"")


# -- elsewhere --------------------------------------------------------------------------------------------------
@given(st.binary(max_size=80), st.data())
def test_a_request_that_was_touched_does_not_open_and_changes_nothing(plain: bytes, data: st.DataObject) -> None:
    caller, state = _pair()
    frame = bytearray(caller.seal(plain).frame)
    before = state.rest(KEY, NONCE, b"")
    at = data.draw(st.integers(0, len(frame) - 1))
    frame[at] ^= 1 << data.draw(st.integers(0, 7))
    for wrong in (bytes(frame), bytes(frame[:at]), bytes(frame) + b"x"):
        with pytest.raises(BadFrame):
            state.open(0, wrong)
    assert state.rest(KEY, NONCE, b"") == before


def test_a_request_opens_under_its_number_in_its_lane_only() -> None:
    caller, state = _pair()
    sealed = [caller.seal(b"hello") for _ in range(3)]
    others = [LaneState(S2C, C2S, TH), LaneState(C2S, S2C, b"u" * 64), LaneState(b"d" * 32, S2C, TH)]
    for other in others:
        with pytest.raises(BadFrame):
            other.open(0, sealed[0].frame)
    for number, row in ((0, sealed[1]), (1, sealed[0]), (2, sealed[1])):
        with pytest.raises(BadFrame):
            state.open(number, row.frame)
    opened = state.open(0, sealed[0].frame)
    with pytest.raises(BadFrame):  # an answer is no request
        state.open(1, opened.answer.seal(b"hello")[4:])


def test_equal_requests_give_different_frames_and_equal_answers_too() -> None:
    caller, state = _pair()
    frames = set()
    for _ in range(20):
        sealed = caller.seal(b"same")
        _, answer, state = state.open(sealed.number, sealed.frame)
        frames |= {sealed.frame, answer.seal(b"same", last=False), answer.seal(b"same")}
    assert len(frames) == 60


# -- answers ----------------------------------------------------------------------------------------------------
@given(st.lists(st.binary(max_size=50), min_size=1, max_size=6), st.integers(1, 40), st.booleans())
def test_an_answer_comes_in_pieces_of_any_size(parts: list[bytes], size: int, beats: bool) -> None:
    answer, reader = Answer(b"a" * 32, 7, TH), AnswerReader(b"a" * 32, 7, TH)
    data = b""
    for at, part in enumerate(parts):
        data += (HEARTBEAT if beats else b"") + answer.seal(part, last=at == len(parts) - 1)
    got: list[bytes] = []
    for at in range(0, len(data), size):
        assert not reader.whole
        got += reader.feed(data[at : at + size])
    assert got == parts
    assert reader.whole


def test_an_answer_that_was_cut_or_changed_is_never_whole() -> None:
    def frames() -> list[bytes]:
        answer = Answer(b"a" * 32, 7, TH)
        return [answer.seal(b"one", last=False), answer.seal(b"two", last=False), answer.seal(b"three")]

    one, two, three = frames()
    cut = AnswerReader(b"a" * 32, 7, TH)
    assert cut.feed(one + two) == [b"one", b"two"]
    assert not cut.whole
    unmarked = (int.from_bytes(three[:4]) & 0x7FFFFFFF).to_bytes(4) + three[4:]
    marked = (int.from_bytes(one[:4]) | 0x80000000).to_bytes(4) + one[4:]
    wrong = [
        two,
        one + one,
        one + three,
        marked,
        one + two + unmarked,
        one + two + three + one,
        one + two + three + b"x",
    ]
    wrong += [bytes.fromhex("80000000"), bytes.fromhex("00000005") + b"short", b"\x7f\xff\xff\xff"]
    for data in wrong:
        reader = AnswerReader(b"a" * 32, 7, TH, 10_000)
        with pytest.raises(BadFrame):
            reader.feed(data)
    for other in (
        AnswerReader(b"b" * 32, 7, TH),
        AnswerReader(b"a" * 32, 8, TH),
        AnswerReader(b"a" * 32, 7, b"u" * 64),
    ):
        with pytest.raises(BadFrame):
            other.feed(one)


def test_after_the_last_frame_no_other_is_made() -> None:
    answer = Answer(b"a" * 32, 7, TH)
    answer.seal(b"end")
    with pytest.raises(ValueError, match="ended"):
        answer.seal(b"more")


# -- at rest, and tickets ---------------------------------------------------------------------------------------
def test_a_state_wakes_for_its_slot_and_key_only() -> None:
    kept = _pair()[1].burn(5, bytes(8)).rest(KEY, NONCE, b"me")
    assert LaneState.wake(kept, KEY, b"me").next == 6
    for wrong in (kept[:-1], kept[:5], b"", bytes([kept[0] ^ 1]) + kept[1:]):
        with pytest.raises(BadFrame):
            LaneState.wake(wrong, KEY, b"me")
    for key, name in ((b"x" * 32, b"me"), (KEY, b"you")):
        with pytest.raises(BadFrame):
            LaneState.wake(kept, key, name)


def test_a_ticket_opens_with_both_secrets_for_its_domain_in_its_time() -> None:
    ticket = Ticket(b"i" * 16, "opaque", "ada", b"", "json", 130.0, 1, b"r" * 32, (b"e", b"s"))
    head = tickets.head(1, 2)
    data = tickets.seal(ticket, KEY, b"secret", head, NONCE, "localhost")
    assert tickets.parts(data) == (1, 2)
    assert tickets.unseal(data, KEY, b"secret", "localhost", 100.0) == ticket
    wrong = [
        (data[:-1] + b"x", KEY, b"secret", "localhost", 100.0),
        (tickets.head(2, 2) + data[12:], KEY, b"secret", "localhost", 100.0),
        (data, b"x" * 32, b"secret", "localhost", 100.0),
        (data, KEY, b"another", "localhost", 100.0),
        (data, KEY, b"secret", "other.example", 100.0),
        (data, KEY, b"secret", "localhost", 131.0),
        (data, KEY, b"secret", "localhost", 10.0),
    ]
    for arguments in wrong:
        with pytest.raises(BadTicket):
            tickets.unseal(*arguments)
    with pytest.raises(BadTicket):
        tickets.parts(b"short")
    assert "e" not in repr(ticket).replace("Ticket", "").replace("opaque", "")
