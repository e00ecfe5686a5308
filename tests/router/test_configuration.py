"""A router's configuration: every mistake is found, with its place and what to write."""

from __future__ import annotations

import sys
import textwrap
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.door.router.config import Settings
from limen.door.router.places import Places
from limen.door.router.reading import Mistakes, check, read

SOUND = """
[[listener]]
port = 8080

[[realm]]
name = "realm1"
anonymous = "guest"

[[realm.role]]
name = "guest"
rule = [{uri = "com.example.", match = "prefix", allow = ["call", "subscribe"]}]

[[realm.user]]
name = "ada"
roles = ["guest"]
ticket = {env = "ADA_TICKET"}
"""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADA_TICKET", "a long secret")


def mistakes(text: str, folder: str = ".") -> list[str]:
    settings, notes = check(textwrap.dedent(text), folder)
    assert (settings is None) is bool(notes.mistakes)
    return [mistake.show("r.toml") for mistake in sorted(notes.mistakes)]


def remarks(text: str, folder: str = ".") -> list[str]:
    settings, notes = check(textwrap.dedent(text), folder)
    assert settings is not None, notes.mistakes
    return [remark.show("r.toml") for remark in sorted(notes.remarks)]


def test_a_sound_file_is_what_it_says() -> None:
    settings, notes = check(SOUND)
    assert settings is not None
    assert notes.remarks == []
    assert settings.listeners[0].port == 8080
    realm = settings.realms[0]
    assert (realm.name, realm.anonymous, realm.limits.pending_calls) == ("realm1", "guest", 4096)
    assert realm.roles[0].rules[0].allow == ("call", "subscribe")
    assert realm.users[0].ticket is not None
    assert realm.users[0].ticket.value == "a long secret"
    assert "long secret" not in repr(settings)


WRONG = tomllib.loads(Path(__file__).with_name("mistakes.toml").read_text())["mistake"]


@pytest.mark.parametrize("row", WRONG, ids=[row["what"] for row in WRONG])
def test_a_mistake_is_told_with_its_place(row: dict[str, str]) -> None:
    assert row["was"] in SOUND
    found = mistakes(SOUND.replace(row["was"], row["now"]))
    assert len(found) == 1, found
    assert found[0].startswith(row["said"])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('[[realm]]\nname = "realm1"', "r.toml:17: realm[realm1]: there is a realm of that name already"),
        (
            '[[realm.role]]\nname = "guest"',
            "r.toml:17: realm[realm1].role[guest]: there is a role of that name already",
        ),
        ("[[listener]]\nport = 8080", "r.toml:17: listener[2]: another listener has that already"),
        (
            '[[realm.user]]\nname = "ada"\nroles = ["guest"]\nticket = {env = "ADA_TICKET"}',
            "r.toml:17: realm[realm1].user[ada]: there is a user of that name already",
        ),
        (
            '[[realm.role]]\nname = "x"\nrule = [\n {uri = "a"},\n {uri = "a", allow = ["call"]},\n]',
            "r.toml:21: realm[realm1].role[x].rule[2]: the role has a rule for just that already",
        ),
    ],
)
def test_what_stands_there_twice_is_told(more: str, said: str) -> None:
    (found,) = mistakes(SOUND + more)
    assert found.startswith(said)


def test_all_mistakes_are_told_at_once_in_the_files_order() -> None:
    text = (
        SOUND.replace("8080", '"x"')
        .replace('"prefix"', "7")
        .replace("ADA_TICKET", "NOT_THERE")
        .replace('= "guest"', '= "gst"', 1)
    )
    assert [line.split(":")[1] for line in mistakes(text)] == ["3", "7", "11", "16"]


def test_a_mistake_in_a_table_is_no_second_one_elsewhere() -> None:
    """The role has a mistake; that it is there is not doubted for that."""
    text = SOUND.replace('name = "guest"', 'name = "guest"\nauthorizer = 5')
    assert [line.split(": ")[1] for line in mistakes(text)] == ["realm[realm1].role[guest].authorizer"]


@pytest.mark.parametrize("text", ["", "realm = []", "[limits]"])
def test_a_router_has_a_realm(text: str) -> None:
    assert mistakes(text) == ['r.toml:1: there is no realm: [[realm]] and name = "realm1", say']


# -- remarks ----------------------------------------------------------------------------------------------------------
REMARKS = [
    ('{env = "ADA_TICKET"}', '"secret"', 16, "realm[realm1].user[ada].ticket: a secret stands in the configuration"),
    (
        "port = 8080",
        'port = 1\nhost = "0.0.0.0"',
        2,
        "listener[1]: on 0.0.0.0 without TLS: tickets and all else travel",
    ),
    (
        "port = 8080",
        'port = 1\norigins = ["*"]',
        4,
        "listener[1].origins[1]: every page that a browser on this network",
    ),
    ('"com.example."', '"wamp.", allow = ["publish"]', 11, "realm[realm1].role[guest].rule[1].allow: nobody registers"),
]


@pytest.mark.parametrize(("was", "now", "line", "said"), REMARKS)
def test_what_is_no_mistake_and_should_be_known_is_remarked(was: str, now: str, line: int, said: str) -> None:
    text = SOUND.replace(was, now)
    if "wamp." in now:
        text = text.replace(', allow = ["call", "subscribe"]', "")
    (found,) = remarks(text)
    assert found.startswith(f"r.toml:{line}: {said}")


def test_who_may_register_what_decides_about_others_is_remarked() -> None:
    text = SOUND.replace('"call", ', '"register", ') + '[realm.authenticator]\nprocedure = "com.example.login"\n'
    (said,) = remarks(text)
    assert said.startswith("r.toml:5: realm[realm1]: no role may register com.example.login, which is asked: it takes ")
    rule = '{uri = "com.example.login", allow = ["register"]}'
    assert rule in said
    assert remarks(text.replace("rule = [", f"rule = [{rule}, ")) == [
        "r.toml:5: realm[realm1]: anybody may register com.example.login, and so decide what all others may"
    ]


def test_a_router_whose_questions_to_the_unknown_change_is_remarked() -> None:
    text = SOUND.replace('ticket = {env = "ADA_TICKET"}', 'wampcra = {secret = {env = "ADA_TICKET"}}')
    (said,) = remarks(text)
    assert said.startswith("r.toml:5: realm[realm1]: after a restart unknown names are asked something else")
    assert remarks('secret = {env = "ADA_TICKET"}\n' + text) == []


def test_a_secret_that_others_can_read_is_remarked(tmp_path: Path) -> None:
    secret, file = tmp_path / "ada.ticket", tmp_path / "router.toml"
    secret.write_text("a long secret\n")
    file.write_text(SOUND.replace('env = "ADA_TICKET"', 'file = "ada.ticket"'))
    secret.chmod(0o644)
    settings, said = read(str(file))
    what = f"everybody on this machine can read {secret}: chmod 600 {secret}"
    assert said == [f"{file}:16: realm[realm1].user[ada].ticket.file: {what}"]
    assert settings.realms[0].users[0].ticket is not None
    assert settings.realms[0].users[0].ticket.value == "a long secret", "the line's end is not of it"
    secret.chmod(0o640)
    assert read(str(file))[1] == []
    file.write_text(SOUND.replace('{env = "ADA_TICKET"}', '"inline"'))
    file.chmod(0o644)
    assert len(read(str(file))[1]) == 2
    file.chmod(0o600)
    assert len(read(str(file))[1]) == 1


def test_paths_begin_at_the_files_own_folder(tmp_path: Path) -> None:
    file = tmp_path / "router.toml"
    file.write_text(SOUND.replace("port = 8080", 'unix = "r.sock"') + '[store]\ndb = "sqlite:///x.db"\nkeys = "x.keys"')
    settings, _ = read(str(file))
    assert settings.listeners[0].unix == str(tmp_path / "r.sock")
    assert settings.store is not None
    assert settings.store.keys == str(tmp_path / "x.keys")


@pytest.mark.parametrize("content", [None, b"\xff", b"x = "])
def test_a_file_that_can_not_be_read_is_a_mistake_too(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "router.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(Mistakes, match=str(file)):
        read(str(file))


# -- places -----------------------------------------------------------------------------------------------------------
keys = st.sampled_from(("a", "b", '"c d"', "'e.f'", "g-h"))
scalars = st.sampled_from(
    (
        "1",
        "1.5",
        "true",
        '"x"',
        "'y'",
        '"# no comment"',
        '"""\nlong\n"""',
        "'''a\nb'''",
        "2026-01-01T12:30:00Z",
        "12:30:00",
        '"\\""',
    )
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[\n" + "".join(f"  {item}, # so\n" for item in items) + "]"),
        st.dictionaries(keys, inner.filter(lambda v: "\n" not in v), max_size=2).map(
            lambda pairs: "{" + ", ".join(f"{key} = {value}" for key, value in pairs.items()) + "}"
        ),
    ),
    max_leaves=5,
)
lines = st.one_of(
    st.tuples(keys, values).map(lambda pair: f"{pair[0]} = {pair[1]}"),
    st.tuples(keys, keys, scalars).map(lambda pair: f"{pair[0]} . {pair[1]} = {pair[2]}"),
    st.lists(keys, min_size=1, max_size=3).map(lambda parts: f"[{'.'.join(parts)}]"),
    st.lists(keys, min_size=1, max_size=3).map(lambda parts: f"[[ {' . '.join(parts)} ]] # it"),
    st.just("# a comment with [[brackets]]"),
    st.just(""),
)


def paths(value: Any, path: tuple[Any, ...] = ()) -> Any:
    yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths(item, (*path, key))


@given(st.lists(lines, max_size=8).map("\n".join))
def test_every_value_of_a_file_has_its_line(text: str) -> None:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    places, rows = Places(text), text.split("\n")
    for path in paths(data):
        assert path in places._lines, "else it would have the line of what it stands in"
        line = places.line(path)
        if path and isinstance(path[-1], str):
            assert path[-1] in rows[line - 1]
        if len(path) == 1 and not isinstance(data[path[0]], dict | list):
            assert path[0] not in tomllib.loads("\n".join(rows[: line - 1])), "it begins there, and not before"


def test_the_bounds_of_a_port_hold() -> None:
    assert isinstance(check(SOUND.replace("8080", "0"))[0], Settings)
    assert isinstance(check(SOUND.replace("8080", "65535"))[0], Settings)


def test_metrics_without_what_makes_them_are_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    (said,) = mistakes(SOUND + "\n[metrics]\nport = 9100\n")
    assert said.endswith('metrics: they need what is not installed: pip install "limen[observe]"')
