"""`statements.py`: each statement as text, in both dialects.

Core compiles them once, here, and the store runs the texts on the driver itself. That saves half of what a unit of work
costs through Core's execution, and 0.3 s and 16 MiB at the start of every server.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from sqlalchemy.schema import CreateIndex, CreateTable

from limen.store.sql.postgres.policy import policy
from limen.store.sql.tables import DIALECTS, metadata

from .clauses import (
    Statement,
)
from .indexes import of_indexes
from .records import of_records


def _statements(dialect: str) -> list[Statement]:
    return [*of_records(dialect), *of_indexes(dialect)]


def _create(dialect: str) -> list[str]:
    made: list[Any] = [CreateTable(table) for table in metadata.sorted_tables]
    made += [CreateIndex(index) for table in metadata.sorted_tables for index in table.indexes]
    texts = [_flat(str(each.compile(dialect=DIALECTS[dialect]))) for each in made]
    if dialect == "postgresql":
        texts += [
            text
            for table in metadata.sorted_tables
            if "domain" in (table.name, *table.c.keys())
            for text in policy(table.name)
        ]
    return texts


def _text(dialect: str, name: str, statement: Any, order: Sequence[str]) -> str:
    """The text of *statement*, whose parameters are to be given in *order*."""
    compiled = statement.compile(dialect=DIALECTS[dialect])
    if compiled.positiontup != list(order):
        raise AssertionError(f"{name}: parameters {compiled.positiontup} are not {order}: {compiled}")
    return _flat(str(compiled))


def _flat(text: str) -> str:
    return " ".join(text.split())


def written() -> str:
    """The module `statements.py`."""
    names = [name for name, _, _ in _statements("sqlite")]
    lines = [
        '"""The statements of an SQL store as text. Written by python -m limen.store.sql.compose; not to be edited."""',
        "",
        "from typing import NamedTuple",
        "",
        "",
        "class Statements(NamedTuple):",
        '    """Each statement by name, in one dialect. *create*: what makes the tables in an empty database."""',
        "",
        "    create: tuple[str, ...]",
        *(f"    {name}: str" for name in names),
        "",
        "",
    ]
    for dialect in DIALECTS:
        lines += [f"{dialect.upper()} = Statements(", "    create=("]
        lines += [f"        {_quoted(text)}," for text in _create(dialect)]
        lines += ["    ),"]
        for name, statement, order in _statements(dialect):
            lines += [f"    {name}={_quoted(_text(dialect, name, statement, order))},"]
        lines += [")"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    wrapped = "\n".join(textwrap.wrap(text, 92, break_long_words=False, break_on_hyphens=False))
    if "\n" not in wrapped and '"' not in wrapped:
        return f'"{wrapped}"'
    return f'"""{wrapped}\n"""' if wrapped.endswith('"') else f'"""{wrapped}"""'
