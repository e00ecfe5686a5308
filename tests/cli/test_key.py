"""`limen key`: the file is 0600, never written over, and shows nothing on the screen."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from limen.cli import main
from limen.client.machine import read


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIMEN_DB", "sqlite:///todo.db")
    return tmp_path


def limen(*words: str) -> Result:
    return CliRunner().invoke(main, ["key", *words])


def test_new_makes_an_account_and_a_file_for_its_owner_only(folder: Path) -> None:
    told = limen("new", "robot", "--role", "machine")
    assert told.exit_code == 0, told.output
    path = folder / "robot.key"
    made = read(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (made.kind, made.domain, made.user) == ("x25519", "localhost", "robot")
    assert made.private not in told.output
    assert f"Wrote {path.name}" in told.output
    assert limen("list").output == f"localhost\trobot\tx25519\t{made.id}\n"


def test_a_file_that_is_there_is_never_written_over_and_no_key_is_made(folder: Path) -> None:
    (folder / "robot.key").write_text("mine")
    assert "is there already" in limen("new", "robot").output
    (folder / "link.key").symlink_to(folder / "elsewhere")
    assert "is there already" in limen("new", "robot", "--out", "link.key").output
    assert (folder / "robot.key").read_text() == "mine"
    limen("new", "other", "--out", "other.key")
    assert "robot" not in limen("list").output


def test_a_second_key_for_the_same_machine_replaces_nothing(folder: Path) -> None:
    limen("new", "robot", "--role", "machine")
    assert "who keeps their roles" in limen("new", "robot", "--role", "admin", "--out", "b.key").output
    assert limen("new", "robot", "--out", "b.key").exit_code == 0
    old, new = read(folder / "robot.key"), read(folder / "b.key")
    assert limen("remove", old.id).exit_code == 0
    assert limen("list").output == f"localhost\trobot\tx25519\t{new.id}\n"
    assert "There is no key" in limen("remove", old.id).output
    assert "There is no key" in limen("remove", "nonsense").output


@pytest.mark.parametrize(("flag", "kind"), [("--http", "http"), ("--cryptosign", "ed25519")])
def test_other_kinds(folder: Path, flag: str, kind: str) -> None:
    told = limen("new", "robot", flag)
    made = read(folder / "robot.key", kind)
    assert made.kind == kind
    assert made.private not in told.output


def test_a_key_is_of_one_kind(folder: Path) -> None:
    assert "not both" in limen("new", "robot", "--http", "--cryptosign").output
    assert not (folder / "robot.key").exists()


def test_a_key_made_elsewhere_leaves_no_file(folder: Path) -> None:
    told = limen("new", "device", "--cryptosign", "--public", "ab" * 32)
    assert told.exit_code == 0, told.output
    assert not (folder / "device.key").exists()
    assert "somebody's" in limen("new", "thief", "--cryptosign", "--public", "ab" * 32).output
    assert "hexadecimal" in limen("new", "device", "--cryptosign", "--public", "robots").output
    assert "32 bytes" in limen("new", "device", "--public", "ab" * 31).output


def test_a_name_that_is_no_file_asks_where(folder: Path) -> None:
    assert "say --out" in limen("new", "../robot").output
    assert "no folder" in limen("new", "robot", "--out", "nowhere/robot.key").output
