"""Permissions as records: what they close, for whom, and who hears of a change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from limen import App, DataStore, PyClient, dbm, exc
from limen.app.explain import explain
from limen.core.guard.accounts import Account


def clinic() -> App:
    app = App()

    @app.service(inline=True)
    def ward_list() -> str:
        return "list"

    @app.service("ward/list")
    def list_() -> str:
        return "list"

    @app.service("ward/close", roles=["chief", "nurse"])
    def close() -> str:
        return "closed"

    @app.service("ward/open", safe=False, methods=["GET"])
    def open_() -> str:
        return "open"

    @app.service("ward/mine", check_perm=lambda state: state.user == "ada", ssl=True)
    def mine() -> str:
        return "mine"

    app.topic("ward.changed", safe=False)
    return app


def add(app: App, user: str, *roles: str, disabled: bool = False) -> None:
    app.vault.accounts.put(Account("localhost", user, b"", 1, roles or ("user",), disabled=disabled))


def may(app: App, name: str, *roles: str) -> bool:
    with PyClient(app, user="ada" if roles else None, roles=roles) as client:
        try:
            client.call(name)
        except exc.Forbidden:
            return False
        return True


def test_without_rules_the_program_decides_alone() -> None:
    app = clinic()
    assert may(app, "ward.list", "user")
    assert not may(app, "ward.close", "user")
    assert may(app, "ward.open")


def test_a_rule_closes_an_address_to_all_other_roles_and_the_longest_pattern_decides() -> None:
    app = clinic()
    assert app.auth.grant("nurse", "ward.") is True
    assert app.auth.grant("nurse", "ward/") is False, "it is the same"
    assert app.auth.grant("chief", "ward.close") is True
    assert [may(app, "ward.list", role) for role in ("nurse", "chief", "user")] == [True, False, False]
    assert [may(app, "ward.close", role) for role in ("nurse", "chief")] == [False, True]
    assert may(app, "ward.list", "user", "nurse"), "any of the roles"
    assert not may(app, "ward.open"), "who has not logged in is anonymous"
    assert may(app, "ward_list", "user"), "the pattern ends with a dot"
    app.auth.grant("anonymous", "ward.open")
    assert may(app, "ward.open")


def test_a_rule_opens_nothing_that_the_program_has_closed() -> None:
    app = clinic()
    app.auth.grant("user", "ward.close")
    assert not may(app, "ward.close", "user")
    with PyClient(app) as nobody, pytest.raises(exc.Unauthorized):
        nobody.call("ward.list")


def test_what_is_revoked_is_as_if_it_had_never_been_granted() -> None:
    app = clinic()
    app.auth.grant("nurse", "ward.list")
    app.auth.grant("chief", "ward.list")
    assert app.auth.revoke("nurse", "ward.list") is True
    assert [may(app, "ward.list", role) for role in ("nurse", "chief")] == [False, True]
    app.auth.revoke("chief", "ward.list")
    assert app.auth.revoke("chief", "ward.list") is False
    assert may(app, "ward.list", "nurse")
    assert app.auth.permissions() == []


def test_permissions_hold_in_their_domain_only() -> None:
    app = clinic()
    app.auth.grant("nurse", "ward.list", domain="Clinic.example")
    assert may(app, "ward.list", "user")
    with PyClient(app, user="eve", domain="clinic.example") as eve, pytest.raises(exc.Forbidden):
        eve.call("ward.list")


def test_the_address_of_a_class_is_that_of_its_methods() -> None:
    app = clinic()

    @app.service("ward/bed")
    class Bed:
        def get(self) -> str:
            return "bed"

        def post(self) -> str:
            return "made"

    app.auth.grant("chief", "ward.bed")
    assert [may(app, "ward.bed.get", role) for role in ("chief", "nurse")] == [True, False]
    app.auth.grant("nurse", "ward.bed.get")
    assert [may(app, "ward.bed.get", role) for role in ("chief", "nurse")] == [False, True]
    assert [may(app, "ward.bed.post", role) for role in ("chief", "nurse")] == [True, False]


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(exc.InvalidAddress):
        clinic().auth.grant("nurse", "wa rd")
    with pytest.raises(exc.InvalidValue):
        clinic().auth.grant(" ", "ward.")


def test_topics_and_realm_rules_obey_too() -> None:
    from types import SimpleNamespace

    app = clinic()
    app.realm_rule(["publish"], "sensor.", match="prefix", safe=False)
    anybody: Any = SimpleNamespace(principal=app.local())
    nurse: Any = SimpleNamespace(principal=app.local("ada", roles=("nurse",)))
    assert app.authorize(anybody, "subscribe", "ward.changed", {}).allow
    assert app.authorize(anybody, "publish", "sensor.1", {}).allow
    app.auth.grant("nurse", "ward.")
    app.auth.grant("nurse", "sensor.1")
    assert not app.authorize(anybody, "subscribe", "ward.changed", {}).allow
    assert not app.authorize(anybody, "publish", "sensor.1", {}).allow
    assert app.authorize(nurse, "publish", "sensor.1", {}).allow
    assert app.authorize(anybody, "publish", "sensor.2", {}).allow


def test_they_are_there_when_the_program_starts_again_and_another_process_hears_of_a_change(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/t.db"
    first, second = clinic(), clinic()
    stores = [dbm.SQLStore(url), dbm.SQLStore(url)]
    for app, store in zip((first, second), stores, strict=True):
        app.auth.setup(DataStore(store))
    first.auth.grant("nurse", "ward.list")
    assert not may(second, "ward.list", "user"), "as it starts"
    first.auth.revoke("nurse", "ward.list")
    assert not may(second, "ward.list", "user"), "not yet"
    second.permissions.take(second.permissions.news(["localhost"]))
    assert may(second, "ward.list", "user")
    assert second.permissions.news(["localhost"]) == {}
    for store in stores:
        store.close()


# -- explain --------------------------------------------------------------------------------------------------------
def said(app: App, user: str, name: str) -> list[tuple[bool | None, str]]:
    return [(step["ok"], step["says"]) for step in explain(app, user, name)]


def test_explain_walks_the_guard_step_by_step() -> None:
    app = clinic()
    add(app, "ada", "nurse")
    app.auth.grant("chief", "ward.")
    assert said(app, "ada", "/ward/close.json") == [
        (True, "ward.close is a service of this program."),
        (True, "ada in localhost has the role nurse."),
        (None, "It is only offered over TLS (ssl); calls in the same process are not asked."),
        (True, "It is for users in a sealed session (safe)."),
        (True, "The program asks for a role: chief, nurse."),
        (False, "The permission 'ward.' decides: it is for chief."),
        (False, "So they may not."),
    ]


def test_explain_in_development_tells_what_will_be_asked_for_elsewhere() -> None:
    app = clinic()
    add(app, "ada", "nurse")
    app.config.IS_DEVELOPMENT = True
    assert (True, "It asks for TLS, but not in development.") in said(app, "ada", "/ward/close.json")


@pytest.mark.parametrize(
    ("user", "name", "verdict", "sentence"),
    [
        ("ada", "ward.none", False, "No service and no topic of this program stands at 'ward.none'."),
        ("eve", "ward.list", False, "There is no user 'eve' in 'localhost'."),
        ("bob", "ward.list", False, "bob in localhost is disabled: nobody can log in as them."),
        ("anonymous", "ward.list", False, "It is for users in a sealed session (safe). Log in first."),
        ("anonymous", "ward.open", None, "No origin is refused for abuse at present."),
        ("anonymous", "ward.changed", True, "It is for everybody (safe=False)."),
        ("ada", "ward.close", False, "The program asks for a role: chief, nurse."),
        ("ada", "ward.list", None, "No permission names it in localhost: it is open to all roles."),
    ],
)
def test_explain_says_what_decides(user: str, name: str, verdict: bool | None, sentence: str) -> None:
    app = clinic()
    add(app, "ada")
    add(app, "bob", disabled=True)
    steps = said(app, user, name)
    assert sentence in [says for _, says in steps]
    assert steps[-1][0] is verdict


def test_explain_names_check_perm_and_does_not_ask_it() -> None:
    app = clinic()
    add(app, "ada")
    steps = said(app, "ada", "ward.mine")
    assert any(ok is None and "check_perm" in says and "clinic" in says for ok, says in steps)
    assert steps[-1][0] is None


def test_explain_agrees_with_the_guard() -> None:
    """For each user and service: where it says no the call is refused, and where it says yes it is not."""
    app = clinic()
    app.config.IS_DEVELOPMENT = True
    app.auth.grant("chief", "ward.")
    app.auth.grant("nurse", "ward.list")
    for name in ("nurse", "chief", "user"):
        add(app, name, name)
    for service in app.registry:
        for name in ("nurse", "chief", "user"):
            verdict = explain(app, name, service.uri)[-1]["ok"]
            if verdict is not None:
                assert may(app, service.uri, name) is verdict, (service.uri, name)
