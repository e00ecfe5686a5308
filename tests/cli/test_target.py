"""What `limen serve` says before it serves."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from served import Server

from limen import App, exc
from limen.cli.serve import listen
from limen.cli.target import disagree, plain_advice

LIMEN = str(Path(sys.executable).with_name("limen"))


def app(*, development: bool = False) -> App:
    app = App()
    app.config.IS_DEVELOPMENT = development

    @app.service()
    def sealed(): ...

    @app.service(safe=False, ssl=False)
    def plain(): ...

    return app


def test_serving_without_tls_says_that_services_will_be_refused_and_what_to_do() -> None:
    assert plain_advice(app(), tls=False).startswith("Without TLS 1 of 2 services answer RequireSSL (/sealed, ")


def test_there_is_nothing_to_say_with_tls_in_development_or_where_plain_will_do() -> None:
    plain = App()
    plain.service("hello", ssl=False)(lambda: None)
    assert [plain_advice(app(), tls=True), plain_advice(app(development=True), tls=False)] == ["", ""]
    assert plain_advice(plain, tls=False) == plain_advice(App(), tls=False) == ""


@pytest.mark.parametrize("target", ["shop.py", "shop"])
def test_a_program_whose_app_was_not_named_is_told_how_to_name_it(target: str, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("import limen\nown = limen.App()\nown.service('hello', safe=False)(lambda: 1)\n")
    command = [Path(sys.executable).with_name("limen"), "serve", target, "--port", "0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert done.stderr == f"Error: {target} declares nothing on the default App; to serve its own, say {target}:own.\n"


@pytest.mark.parametrize(("name", "option"), [("DB", "db"), ("KEYS", "keys"), ("DOMAIN", "domain")])
def test_a_program_that_sets_otherwise_what_the_command_line_says_is_refused(name: str, option: str) -> None:
    shop = App()
    setattr(shop.config, name, "one")
    said: dict[str, Any] = {"domain": (), "db": None, "keys": None}
    disagree(shop, **said)
    disagree(shop, **said | {option: ("one",) if option == "domain" else "one"})
    with pytest.raises(exc.InvalidCall, match=f"config.{name} to 'one', and --{option} is 'two': leave one out"):
        disagree(shop, **said | {option: ("two",) if option == "domain" else "two"})


def test_all_addresses_means_those_of_ipv4_too() -> None:
    with listen("::", 0) as listener, socket.create_connection(("127.0.0.1", listener.getsockname()[1]), timeout=5):
        pass


def limen(*words: str, cwd: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("limen"), *words]
    return subprocess.run(command, cwd=cwd, input=stdin, capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("words", ["user list", "user passwd ada", "user remove ada", "abuse list", "abuse clear"])
def test_a_database_that_is_not_there_is_not_made_by_looking_into_it(words: str, tmp_path: Path) -> None:
    done = limen(*words.split(), "--db", "sqlite:///typo.db", cwd=tmp_path, stdin="lovelace\n")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: There is no database at sqlite:///typo.db;")
    assert list(tmp_path.iterdir()) == []


def test_adding_a_user_says_when_it_makes_the_database(tmp_path: Path) -> None:
    for name, said in (("ada", "There was no database at sqlite:///new.db; making one.\n"), ("grace", "")):
        done = limen("user", "add", name, "--db", "sqlite:///new.db", cwd=tmp_path, stdin="lovelace\n")
        assert (done.stdout, done.stderr) == (f"Added {name} in localhost.\n", said)


OWN_APP = """
from limen import App
app = App()
@app.service()
def answer(): return 42
app.auth.add_user("ada", "lovelace")
"""


def test_users_that_an_app_of_its_own_adds_at_import_are_kept_where_the_command_line_says(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(OWN_APP)
    db = f"sqlite:///{tmp_path / 'own.db'}"
    start([LIMEN, "serve", "own.py:app", "--port", "0", "--db", db], cwd=tmp_path)
    listed = subprocess.run([LIMEN, "user", "list", "--db", db], capture_output=True, text=True, check=True)
    assert listed.stdout == "localhost\tada\tuser\n"


@pytest.mark.parametrize("words", [["--domain", "a.example"], ["--keys", "other.keys"]])
def test_what_comes_too_late_for_an_app_of_its_own_is_refused(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN_APP)
    command = [LIMEN, "serve", "own.py:app", "--port", "0", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 1
    assert f"before {words[0]} can be said" in done.stderr


def test_a_server_that_may_not_have_its_file_ends_with_1(start: Callable[..., Server], tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN_APP)
    command = [LIMEN, "serve", "own.py:app", "--port", "0", "--db", f"sqlite:///{tmp_path / 'own.db'}"]
    start(command, cwd=tmp_path)
    second = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert second.returncode == 1
    assert "in use by another Limen" in second.stderr


@pytest.mark.parametrize(("host", "said"), [("0.0.0.0", 1), ("127.0.0.1", 0)])
def test_development_for_strangers_is_warned_of(tmp_path: Path, host: str, said: int) -> None:
    command = [LIMEN, "serve", "nosuch", "--dev", "--host", host, "--port", "0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert done.stderr.count("whoever reaches this port sees your services") == said
