"""The router's pages: each key of the configuration with its default, and examples that are right."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from reader import BLOCK
from test_reference import tables

from limen.door.router import config
from limen.door.router.reading import check

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
TABLES: dict[str, type[msgspec.Struct]] = {
    "## At the top": config.Settings,
    "## `[[listener]]`": config.Listener,
    "## `[listener.tls]`": config.Tls,
    "## `[[realm]]`": config.RealmSettings,
    "## `[[realm.role]]`": config.Role,
    "## `[[realm.role.rule]]`": config.Rule,
    "## `[realm.role.authorizer]`": config.Authorizer,
    "## `[[realm.user]]`": config.User,
    "## `[realm.user.wampcra]`": config.Cra,
    "## `[realm.user.scram]`": config.Scram,
    "## `[realm.authenticator]`": config.Authenticator,
    "## `[[realm.history]]`": config.History,
    "## `[realm.limits]`": config.RealmLimits,
    "## `[limits]`": config.Limits,
    "## `[metrics]`": config.Metrics,
    "## `[store]`": config.Store,
}
WORDS = {"listener": "one, by `--host`, `--port`, `--unix", "secret": "random", "methods": "all"}
"""Defaults that are words."""


def written(field: msgspec.structs.FieldInfo) -> str:
    """The default of a key, as the page has it."""
    if field.required:
        return ""
    value: Any = field.default
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{one}"' for one in value) + "]"
    if isinstance(value, msgspec.Struct):
        return ""
    return f"{value:_}" if isinstance(value, int) and value >= 10_000 else str(value)


def several(field: msgspec.structs.FieldInfo) -> bool:
    """It is an array of tables: none is the default, and goes without saying."""
    return "tuple[" in str(field.type) and "config." in str(field.type)


@pytest.mark.parametrize("heading", TABLES)
def test_every_key_stands_in_its_table_with_its_default(heading: str) -> None:
    rows = tables("router.md", heading)
    end = next((number for number, row in enumerate(rows) if row[0].startswith("in its answer")), len(rows))
    said = {row[0]: row[1] for row in rows[1:end]}
    fields = {field.encode_name: field for field in msgspec.structs.fields(TABLES[heading])}
    told = {
        name: WORDS.get(name, "") if several(field) or (name in WORDS and not field.required) else written(field)
        for name, field in fields.items()
    }
    assert said == told


def test_every_table_of_the_configuration_is_on_the_page() -> None:
    structs = {
        value for value in vars(config).values() if isinstance(value, type) and issubclass(value, config.Table)
    } - {config.Table, config.Secret}
    assert set(TABLES.values()) == structs


def test_the_configurations_of_the_guide_have_no_mistakes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = (DOCS / "how-to" / "router.md").read_text()
    for name in re.findall(r'env = "(\w+)"', text):
        monkeypatch.setenv(name, "a long secret")
    for name in re.findall(r'file = "([\w.-]+)"', text):
        (tmp_path / name).write_text("a long secret")
    found = [block for language, _, block in BLOCK.findall(text) if language == "toml" and "alow" not in block]
    assert len(found) == 5
    for block in found:
        # One has listeners only, with files of a machine that is not ours.
        made = re.sub(r"^tls = .*", "", block, flags=re.MULTILINE) + (
            "" if "[[realm]]" in block else '[[realm]]\nname = "a"'
        )
        settings, notes = check(made, str(tmp_path))
        assert settings is not None, [mistake.show("router.md") for mistake in notes.mistakes]
