"""What these tests may ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from crews import Crew, crew_of


@pytest.fixture(scope="package")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    """Three workers on one SQLite file, for all tests here."""
    server = crew_of(3, tmp_path_factory.mktemp("crew"), "--realm-rules", "open")
    yield server
    server.stop()
