"""The reference names everything there is, with its defaults: options of services, errors, commands, settings."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

import limen
from limen import exc
from limen.base.config import Config
from limen.cli import main
from limen.client import connect
from limen.client.core import AsyncClient
from limen.client.sync import Client
from limen.service.service import OPTIONS

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"


def tables(page: str, heading: str = "") -> list[list[str]]:
    """The cells of all rows of the tables of a page, or of those below a heading and above the next; backticks off."""
    text = (DOCS / page).read_text()
    if heading:
        text = re.split(r"^#+ ", text.partition(f"\n{heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    rows = re.findall(r"^\|(.+)\|$", text, re.MULTILINE)
    return [[cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", row)] for row in rows if "---" not in row]


def defaults(rows: list[list[str]]) -> dict[str, Any]:
    """Name to default, of rows whose second cell is a Python literal (or a product of two)."""
    return {row[0]: eval(row[1], {"__builtins__": {}}) for row in rows}


def literal(row: list[str]) -> bool:
    try:
        ast.parse(row[1], mode="eval")
    except SyntaxError:
        return False
    return bool(row[1])


# -- services ---------------------------------------------------------------------------------------------------
def test_every_option_of_service_stands_in_the_table_with_its_default() -> None:
    said = tables("services.md", "## Options")[1:]
    parameters = inspect.signature(limen.service).parameters
    assert [row[0] for row in said] == [*(name for name in parameters if name != "output"), "**output"]
    assert {*parameters} == {*OPTIONS}
    assert defaults(said[:-1]) == {name: p.default for name, p in parameters.items() if name != "output"}


def test_every_option_of_topic_stands_in_the_table_with_its_default() -> None:
    parameters = list(inspect.signature(limen.topic).parameters.values())
    assert defaults(tables("services.md", "## Topics")[1:]) == {
        p.name: p.default for p in parameters if p.name != "uri"
    }


def test_everything_that_the_state_holds_stands_in_the_table() -> None:
    said = {
        name.strip("` ") for row in tables("services.md", "## The state of a call")[1:] for name in row[0].split(",")
    }
    there = {name for name, value in vars(limen.State).items() if isinstance(value, property)} | {"service"}
    assert said == there


# -- errors -----------------------------------------------------------------------------------------------------
def ours() -> Iterator[tuple[str, type[exc.Error]]]:
    return ((name, error) for name, error in exc.TABLE.items() if getattr(exc, name, None) is error)  # no example's


def test_the_table_of_errors_is_the_one_of_the_program() -> None:
    said = tables("errors.md", "## The table")[1:]
    there = [
        [
            name,
            "" if error is exc.Error else error.__mro__[1].__name__,
            error.uri,
            str(error.status),
            inspect.cleandoc(error.__doc__ or "").splitlines()[0].replace("`", ""),
        ]
        for name, error in ours()
    ]
    assert [[*row[:4], row[4].replace("`", "")] for row in said] == there


def test_what_a_router_says_besides_is_listed() -> None:
    code = "\n".join(path.read_text() for path in Path(limen.__file__).parent.rglob("*.py"))
    said = {*re.findall(r'"(wamp\.error\.[a-z_.]+)"', code)} - {error.uri for error in exc.TABLE.values()}
    cells = [row[0] for row in tables("errors.md", "## What a router says besides")[1:]]
    assert {uri for cell in cells for uri in re.findall(r"wamp[\w.]+", cell)} == said


def test_the_errors_whose_facts_are_listed_exist() -> None:
    assert {row[0] for row in tables("errors.md", "## Facts")[1:]} <= {name for name, _ in ours()}


# -- commands ---------------------------------------------------------------------------------------------------
def commands(command: click.Command, path: tuple[str, ...] = ("limen",)) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands(inner, (*path, name))
        return
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    names = [str(p.name).upper() if p.required else f"[{str(p.name).upper()}]" for p in arguments]
    yield " ".join([*path, *names]), command


COMMANDS = dict(commands(main))


def test_every_command_has_its_heading() -> None:
    assert {
        f"limen {name}" for name in re.findall(r"^## limen (.+)$", (DOCS / "cli.md").read_text(), re.MULTILINE)
    } == {*COMMANDS}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_stands_in_its_table(name: str) -> None:
    said = {row[0]: row[1] for row in tables("cli.md", f"## {name}")[1:]}
    options = {p.opts[0]: p for p in COMMANDS[name].params if isinstance(p, click.Option)}
    assert said.keys() == options.keys()
    told = {option: str(p.default) for option, p in options.items() if type(p.default) in (str, int)}
    assert {option: said[option] for option in told} == told


# -- settings ---------------------------------------------------------------------------------------------------
def test_every_setting_stands_in_the_tables_with_its_default() -> None:
    rows = [row for row in tables("settings.md") if row[0].isupper() and len(row) == 4]
    assert defaults(rows) == {name: value for name, value in vars(Config).items() if name.isupper()}


# -- Python -----------------------------------------------------------------------------------------------------
def test_every_option_of_connect_stands_in_the_table_with_its_default() -> None:
    said = tables("python.md", "## connect")[1:]
    parameters = inspect.signature(connect).parameters
    assert [row[0] for row in said] == [*parameters][1:]
    assert defaults(said) == {name: p.default for name, p in parameters.items() if name != "url"}


def test_every_public_name_of_limen_stands_on_the_page() -> None:
    text = (DOCS / "python.md").read_text()
    assert [name for name in limen.__all__ if f"`{name}" not in text] == []


@pytest.mark.parametrize(
    ("heading", "thing"),
    [
        ("## Session", limen.client.Session),
        ("## Clients", Client),
        ("## Clients", AsyncClient),
        ("## auth", type(limen.auth)),
    ],
)
def test_every_public_name_of_a_class_stands_below_its_heading(heading: str, thing: type) -> None:
    text = (DOCS / "python.md").read_text().partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    assert [
        name for name in vars(thing) if not name.startswith("_") and not re.search(rf"`[^`]*\b{name}\b", text)
    ] == []
