"""`limen credential`: what it prints lets its user in, and does not show the password."""

from __future__ import annotations

import tomllib
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from limen.cli import main
from limen.core.wamp.auth import scram, wampcra
from limen.door.router.users import records

NONCE, PASSWORD = "rOprNGfwEbeRWgbNEkqO", "correct horse"
FEW = ["--iterations", "4096", "--memory", "64"]


def made(*words: str, said: str = PASSWORD) -> dict[str, Any]:
    told = CliRunner().invoke(main, ["credential", "ada", *words], input=f"{said}\n")
    assert told.exit_code == 0, told.output
    assert said not in told.output
    user: dict[str, Any] = tomllib.loads("[[realm]]\n" + told.output)["realm"][0]["user"][0]
    return user


@pytest.mark.parametrize(
    ("words", "methods"),
    [
        (["--iterations", "1", "--memory", "64"], ["wamp-scram"]),
        (["--method", "scram", "--iterations", "1", "--memory", "64"], ["scram"]),
        (["--pbkdf2", *FEW], ["scram", "wamp-scram"]),
        (["--method", "scram", "--pbkdf2", *FEW], ["scram", "wamp-scram"]),
    ],
    ids=str,
)
def test_a_record_of_scram_lets_its_user_in(words: list[str], methods: list[str]) -> None:
    user = made("--role", "clerk", "--role", "user", *words)
    assert (user["name"], user["roles"]) == ("ada", ["clerk", "user"])
    kept = records(**user["scram"])
    assert sorted(kept) == methods
    for method, credential in kept.items():
        form = scram.FORMS[method]
        client = scram.Client(form, "ada", PASSWORD, NONCE)
        server = scram.Server(form, "ada", client.hello(), credential, NONCE)
        assert server.passed(*client.answer(server.challenge()))


def test_a_salted_key_of_wampcra_lets_its_user_in() -> None:
    user = made("--method", "wampcra", "--iterations", "10")
    credential = msgspec.convert(user["wampcra"], wampcra.Credential)
    server = wampcra.Server(credential, "{}")
    assert server.passed(wampcra.answer(PASSWORD, server.challenge()), {})


def test_no_two_records_are_alike() -> None:
    assert made("--pbkdf2", *FEW)["scram"]["salt"] != made("--pbkdf2", *FEW)["scram"]["salt"]


@pytest.mark.parametrize("said", ["", "a\x07b"])
def test_what_is_no_password_is_refused_and_not_shown(said: str) -> None:
    told = CliRunner().invoke(main, ["credential", "ada"], input=f"{said}\n")
    assert told.exit_code != 0
    assert "password" in told.output
    assert not said or said not in told.output
