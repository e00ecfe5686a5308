"""What several commands have in common: how they reach the data, and the options that say where it is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import click

NO_DB = "Say which store: --db URL, or set LIMEN_DB."
db = click.option(
    "--db",
    envvar="LIMEN_DB",
    default=None,
    help="URL of the store: sqlite:///todo.db or postgresql://user@host/todo (default: $LIMEN_DB).",
)
keys = click.option("--keys", default=None, help="Key file (default: beside the SQLite file).")
domain = click.option("--domain", default="localhost", show_default=True, help="The tenant.")


def operator(db: str | None, keys: str | None, *, make: bool = False) -> AbstractContextManager[Callable[..., Any]]:
    """`limen.cli.operate.operator` for the options of a command."""
    from .operate import is_missing
    from .operate import operator as reach

    if not db:
        raise click.UsageError(NO_DB)
    if make and is_missing(db):
        click.echo(f"There was no database at {db}; making one.", err=True)
    return reach(db, keys, make=make)


def password(prompt: str, *, confirm: bool = True) -> str:
    """A password, asked for at the terminal; else one line of standard input. Never an argument: those are seen."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    said: str = click.prompt(prompt, hide_input=True, confirmation_prompt=confirm)
    return said
