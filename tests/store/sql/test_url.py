"""URLs of stores: those that are refused are refused in words, and none shows a password."""

from __future__ import annotations

import pytest

from limen import exc
from limen.store.sql import SQLStore


@pytest.mark.parametrize(
    "url",
    [
        "mysql://ada:se/cret@localhost/todo",
        "mysql://ada:secret@localhost/todo",
        "postgresql://ada:se/cret@localhost:x/todo",
        "postgresql://ada@localhost:1/todo?password=secret&connect_timeout=1",
        "sqlite://ada:secret@localhost/todo.db",
        "sqlite:///todo.db?password=secret",
        "secret",
    ],
)
def test_a_url_that_is_refused_or_leads_nowhere_shows_no_password(url: str) -> None:
    with pytest.raises(exc.StoreError) as refused:
        SQLStore(url)
    said = f"{refused.value}{refused.value.__context__}"
    assert "secret" not in said
    assert "cret@" not in said
