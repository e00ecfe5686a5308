"""Calls of a tab: run once, answered as often as asked, bounded."""

from __future__ import annotations

from typing import Any

import pytest

from limen import exc
from limen.door.hub.tabs import Calls, Tab, Tabs


class Receiver:
    def __init__(self) -> None:
        self.got: list[tuple[int, Any]] = []

    def result(self, request: int, value: Any) -> int:
        self.got.append((request, value))
        return len(str(value))

    def error(self, request: int, error: exc.Error) -> int:
        self.got.append((request, error.exc))
        return 10


def key(n: int) -> bytes:
    return n.to_bytes(16, "big")


def test_a_known_id_is_not_run_again_and_gets_the_kept_answer() -> None:
    calls, first, second = Calls(60, 10), Receiver(), Receiver()
    call = calls.begin(key(1), b"digest", first, 7, repeat=False)
    assert call is not None
    calls.finish(key(1), call, 0.0, "done")
    assert calls.begin(key(1), b"digest", second, 3, repeat=True) is None
    assert first.got == [(7, "done")]
    assert second.got == [(3, "done")]


def test_a_running_call_answers_whoever_asked_last() -> None:
    calls, first, second = Calls(60, 10), Receiver(), Receiver()
    call = calls.begin(key(1), b"digest", first, 7, repeat=False)
    assert call is not None
    calls.detach(first)
    assert calls.begin(key(1), b"digest", second, 1, repeat=True) is None
    calls.finish(key(1), call, 0.0, "late")
    assert first.got == []
    assert second.got == [(1, "late")]


def test_a_repeat_that_is_not_known_is_not_run() -> None:
    with pytest.raises(exc.OutcomeUnknown):
        Calls(60, 10).begin(key(1), b"digest", Receiver(), 1, repeat=True)


def test_the_same_id_with_other_content_is_refused() -> None:
    calls = Calls(60, 10)
    calls.begin(key(1), b"one", Receiver(), 1, repeat=False)
    with pytest.raises(exc.InvalidCall):
        calls.begin(key(1), b"two", Receiver(), 2, repeat=False)


@pytest.mark.parametrize(("most", "most_bytes"), [(3, 10**6), (10**6, 3)])
def test_answers_are_bounded_in_number_and_in_bytes(most: int, most_bytes: int) -> None:
    calls, receiver = Calls(60, most, most_bytes), Receiver()
    for n in range(10):
        call = calls.begin(key(n), b"", receiver, n, repeat=False)
        assert call is not None
        calls.finish(key(n), call, 0.0, "x")
    assert len(calls) == 3
    assert calls.begin(key(9), b"", receiver, 99, repeat=True) is None
    with pytest.raises(exc.OutcomeUnknown):
        calls.begin(key(0), b"", receiver, 99, repeat=True)


def test_answers_that_nobody_was_there_to_take_are_bounded_in_bytes_too() -> None:
    calls, receiver = Calls(60, 10**6, 10_000), Receiver()
    for n in range(10):
        call = calls.begin(key(n), b"", receiver, n, repeat=False)
        assert call is not None
        calls.detach(receiver)  # the connection is lost
        calls.finish(key(n), call, 0.0, "x" * 3000)
    assert len(calls) == 3


def test_an_answer_that_is_given_again_is_counted_once() -> None:
    calls, receiver = Calls(60, 10**6, 10_000), Receiver()
    for n in range(30):
        call = calls.begin(key(n), b"", receiver, n, repeat=False)
        assert call is not None
        calls.finish(key(n), call, 0.0, "x" * 3000)
        calls.begin(key(n), b"", receiver, 100 + n, repeat=True)
        assert len(calls) <= 3


def test_an_answer_that_cannot_travel_is_kept_all_the_same() -> None:
    calls, receiver = Calls(60, 10), Receiver()
    call = calls.begin(key(1), b"", receiver, 1, repeat=False)
    assert call is not None
    calls.detach(receiver)
    calls.finish(key(1), call, 0.0, object())
    assert len(calls) == 1


def test_answers_are_forgotten_after_their_time() -> None:
    calls = Calls(60, 10)
    call = calls.begin(key(1), b"", Receiver(), 1, repeat=False)
    assert call is not None
    calls.finish(key(1), call, 100.0, "x")
    calls.trim(160.0)
    assert len(calls) == 1
    calls.trim(160.1)
    assert len(calls) == 0


def test_an_ended_tab_is_found_by_nobody() -> None:
    tabs = Tabs()
    tab = Tab("localhost", "ada", 0.0, Calls(60, 10))
    tabs.add(tab)
    tabs.bind(tab, b"a" * 16)
    tabs.bind(tab, b"b" * 16)
    assert tabs.get(b"a" * 16) is None
    assert tabs.get(b"b" * 16) is tab
    assert tabs.of_user("localhost", "ada") == [tab]
    assert tabs.of_user("localhost", "bob") == []
    tabs.remove(tab)
    assert tabs.get(b"b" * 16) is None
    assert len(tabs) == 0
