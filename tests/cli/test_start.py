"""What `limen serve` says when it can't serve: a sentence where the command is wrong, the program's own traceback where
the program is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from limen import App, exc
from limen.cli.target import load

LIMEN = str(Path(sys.executable).with_name("limen"))
GOOD = "from limen import service\n\n@service(safe=False, ssl=False)\ndef hello(): return 1\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for name, module in [*sys.modules.items()]:
        if (getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]  # and none of Limen's own: what is imported twice has two of each class


def serve(target: str, *options: str) -> tuple[int, str]:
    """Exit code, and what it says, of a server that does not come to serve."""
    command = [LIMEN, "serve", target, "--port", "0", *options]
    done = subprocess.run(command, env={**os.environ}, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout + done.stderr


# -- the target -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("nothing.py", "There is no file nothing.py"),
        ("no_such_module", "There is no module 'no_such_module' here; TARGET is a module, module:app, or a .py file"),
        ("package.missing", "There is no module 'package.missing'"),
        ("package.missing.deep", "There is no module 'package.missing'"),
        ("good.txt", "There is no module 'good.txt'"),
        ("", "There is no module ''"),
        (".", "There is no module '.'"),
        ("..good", "There is no module '..good'"),
        ("package/", "There is no module 'package/'"),
        (":app", "There is no module ''"),
        ("good.py:app", "good.py has no App called 'app'"),
        ("good.py:service", "good.py has no App called 'service'"),
        ("json.py", "json.py stands in the way of the module 'json'; give the file another name"),
        ("limen.py", "limen.py stands in the way of the module 'limen'"),
    ],
)
def test_a_wrong_target_is_a_sentence(folder: Path, target: str, sentence: str) -> None:
    (folder / "package").mkdir()
    (folder / "package" / "__init__.py").touch()
    for name in ("good.py", "good.txt", "json.py", "limen.py"):
        (folder / name).write_text("app = None\nservice = print\n")
    with pytest.raises(exc.NotFound) as refused:
        load(target)
    assert str(refused.value).startswith(sentence)


def test_a_file_a_module_and_an_app_in_it_are_found(folder: Path) -> None:
    (folder / "pack").mkdir()
    (folder / "pack" / "__init__.py").touch()
    (folder / "pack" / "inner.py").write_text("import limen\nown = limen.App()\n")
    (folder / "my-program.py").write_text("from helper import own\n")
    (folder / "helper.py").write_text("import limen\nown = limen.App()\n")
    assert isinstance(load("pack.inner:own"), App)
    assert load("my-program.py:own") is load("helper:own")


def test_a_wrong_target_ends_with_a_sentence_and_1(folder: Path) -> None:
    code, said = serve("nothing.py")
    assert (code, said) == (1, "Error: There is no file nothing.py.\n")


# -- the program ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("target", ["broken.py", "broken"])
def test_a_program_that_fails_shows_its_own_traceback(folder: Path, target: str) -> None:
    """It is its author's terminal; and nothing of ours stands above it."""
    (folder / "broken.py").write_text("import helper\n")
    (folder / "helper.py").write_text("def fail():\n    return 1 / 0\n\nfail()\n")
    code, said = serve(target)
    assert code == 1
    assert said.startswith("Traceback (most recent call last):\n  File ")
    assert said.splitlines()[1].endswith('broken.py", line 1, in <module>')
    assert "helper.py" in said
    assert "target.py" not in said
    assert said.endswith("ZeroDivisionError: division by zero\n")


def test_a_program_that_imports_what_is_not_there_shows_where(folder: Path) -> None:
    (folder / "broken.py").write_text("x = 1\nimport no_such_module\n")
    for target in ("broken.py", "broken"):
        code, said = serve(target)
        assert code == 1
        assert 'broken.py", line 2' in said
        assert "ModuleNotFoundError: No module named 'no_such_module'" in said


def test_a_program_that_can_not_be_read_shows_the_place(folder: Path) -> None:
    (folder / "broken.py").write_text("def x(:\n")
    code, said = serve("broken.py")
    assert code == 1
    assert 'broken.py", line 1' in said
    assert "SyntaxError" in said


def test_a_program_that_ends_itself_does_so(folder: Path) -> None:
    (folder / "ends.py").write_text("raise SystemExit(3)\n")
    assert serve("ends.py") == (3, "")


# -- keys and files ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("when", ["at import", "at start"])
def test_without_its_key_file_a_server_refuses_to_start(folder: Path, when: str) -> None:
    """A new one in its place would shut everybody out without a word."""
    adds = "from limen import auth\nauth.add_user('ada', 'lovelace')\n"
    (folder / "good.py").write_text((adds if when == "at import" else "") + GOOD)
    add = [LIMEN, "user", "add", "ada", "--db", "sqlite:///t.db"]
    subprocess.run(add, input="lovelace\n", text=True, check=True, capture_output=True)
    key_file = folder / "t.db.keys"
    secret = key_file.read_bytes()
    key_file.unlink()
    code, said = serve("good.py", "--db", "sqlite:///t.db")
    assert code == 1
    assert said.startswith("Error: The key file t.db.keys of this database is missing")
    assert "--keys" in said
    assert "limen keys new" in said
    assert "Traceback" not in said
    assert not key_file.exists()
    key_file.write_bytes(secret[: len(secret) // 2])
    code, said = serve("good.py", "--db", "sqlite:///t.db")
    assert code == 1
    assert "t.db.keys" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--db", "sqlite:////no/such/folder/t.db"], "There is no folder /no/such/folder"),
        (["--db", "sqlite:///good.py"], "this file is no SQLite database"),
        (["--db", "mysql://x/y"], "nothing else is supported"),
        (["--db", "todo.db"], "Did you mean sqlite:///todo.db?"),
        (["--domain", "no domain"], "no domain"),
        (["--tls", "nothing.pem,nothing.key"], "there is no file nothing.pem"),
        (["--tls", "nonsense"], "'local', or CERT,KEY"),
        (["--host", "256.0.0.1"], "Cannot listen on 256.0.0.1"),
    ],
)
def test_a_wrong_option_is_a_sentence(folder: Path, options: list[str], sentence: str) -> None:
    (folder / "good.py").write_text(GOOD)
    code, said = serve("good.py", *options)
    assert code == 1
    assert sentence in said
    assert "Traceback" not in said
