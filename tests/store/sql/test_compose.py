from __future__ import annotations

import re
from pathlib import Path

import pytest

from limen.store.sql import statements
from limen.store.sql.compose.texts import written


def test_the_statements_are_what_core_makes_of_the_tables() -> None:
    text = Path(statements.__file__).read_text("utf-8")
    assert text == written(), "say: python -m limen.store.sql.compose"


@pytest.mark.parametrize("dialect", ["SQLITE", "POSTGRESQL"])
def test_every_statement_about_records_names_its_domain(dialect: str) -> None:
    for name, text in getattr(statements, dialect)._asdict().items():
        if name not in ("create", "count_records") and re.search(r"\b(record|version|transaction)\b", text):
            where = text.partition("WHERE")[2] + text.partition("VALUES")[0].partition("(")[2]
            assert re.search(r"\bdomain\b", where), name
