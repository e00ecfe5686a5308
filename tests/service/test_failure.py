"""The frames of a failure: what somebody who develops is shown, and what nobody else is."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any

import pytest

from limen import App, PyClient, exc
from limen.service.failure import MOST_FRAMES, MOST_VARIABLES, frames


def trace_of(function: Any) -> TracebackType | None:
    try:
        function()
    except Exception as error:
        return error.__traceback__
    raise AssertionError("it did not fail")


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def fails_with(value: Any) -> Any:
    def fail() -> None:
        held = value
        raise ValueError(len(held))

    return lambda: fail()


def test_the_line_that_failed_is_within_its_source() -> None:
    frame = frames(trace_of(fails_with("x")))[-1]
    assert frame["source"][frame["line"] - frame["first"]].strip() == "raise ValueError(len(held))"
    assert frame["own"] is True


def test_what_is_called_like_a_secret_is_left_out() -> None:
    def fail() -> None:
        password = api_key = user_token = secret = passphrase = "lovelace"
        keyboard = author = "shown"
        raise ValueError(password, api_key, user_token, secret, passphrase, keyboard, author)

    shown = frames(trace_of(fail))[-1]["variables"]
    assert {name for name, text in shown.items() if text == "…"} == {
        "password", "api_key", "user_token", "secret", "passphrase",
    }  # fmt: skip
    assert shown["keyboard"] == shown["author"] == "'shown'"


def test_a_value_whose_repr_fails_is_named() -> None:
    class Sized(Unshowable):
        def __len__(self) -> int:
            return 3

    shown = frames(trace_of(fails_with(Sized())))[-1]["variables"]
    assert shown["held"].startswith("<Sized instance at ")


def test_large_values_are_cut() -> None:
    shown = frames(trace_of(fails_with({n: "x" * 10_000 for n in range(1000)})))[-1]["variables"]
    assert len(shown["held"]) < 4000


def test_deep_recursion_and_many_variables_are_cut() -> None:
    def deep(n: int) -> int:
        return deep(n + 1) if n < 200 else 1 // 0

    names = "".join(f"v{n} = {n}\n" for n in range(100))
    many = frames(
        trace_of(
            lambda: exec(compile(f"def f():\n {names.replace(chr(10), chr(10) + ' ')}1/0\nf()", "many", "exec"), {})
        )
    )
    assert len(frames(trace_of(lambda: deep(0)))) == MOST_FRAMES
    assert len(many[-1]["variables"]) == MOST_VARIABLES + 1


def served(development: bool) -> exc.InternalError:
    app = App()
    app.config.IS_DEVELOPMENT = development

    @app.service(safe=False)
    def fail(text: str) -> int:
        return int(text)

    with PyClient(app) as client, pytest.raises(exc.InternalError) as caught:
        client.call("fail", "seven")
    return caught.value


def test_a_failure_in_development_brings_the_programs_frames_and_the_words() -> None:
    facts = served(development=True).facts
    assert facts["raised"].startswith("ValueError: invalid literal for int()")
    assert [frame["function"].rpartition(".")[2] for frame in facts["frames"]] == ["fail"]
    assert facts["frames"][0]["variables"] == {"text": "'seven'"}
    json.dumps(facts)


def test_a_failure_outside_development_brings_its_number_only() -> None:
    assert set(served(development=False).facts) == {"incident"}
