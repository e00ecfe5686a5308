"""What an operator may do: `limen.app.operations`, with and without a running server."""

from __future__ import annotations

import pytest

from limen import App, exc
from limen.app.operations import operations


async def test_a_user_of_a_domain_that_the_running_server_does_not_answer_for_is_refused() -> None:
    app = App()
    app.config.DOMAIN = "clinic.example"
    app.open()  # as a server does
    add = operations(app)["user.add"]
    with pytest.raises(exc.InvalidAddress, match=r"does not answer for 'localhost', but for clinic\.example"):
        add(name="ada", password="lovelace", domain="localhost")
    add(name="ada", password="lovelace", domain="Clinic.example")
    assert [(account.domain, account.user) for account in app.auth.users()] == [("clinic.example", "ada")]


async def test_a_refused_user_brings_no_domain_along() -> None:
    app = App()
    app.open()
    table = operations(app)
    for name in ("user.passwd", "user.remove"):
        arguments = {"password": "lovelace"} if name == "user.passwd" else {}
        with pytest.raises(exc.RecordNotFound):
            table[name](name="ada", domain="evil.example", **arguments)
    assert app.domain_of("evil.example") is None


def test_without_a_server_any_domain_takes_users() -> None:
    operations(App())["user.add"](name="ada", password="lovelace", domain="later.example")


def test_a_program_that_adds_a_user_answers_for_their_domain() -> None:
    app = App()
    app.auth.add_user("ada", "lovelace", domain="north.example")
    assert app.domain_of("north.example:9000") == "north.example"
