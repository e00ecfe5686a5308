"""A fixture: a WSGI server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from wsgi_here import SERVERS, Running, running


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Each of them, with records in memory."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "big.bin").write_bytes(bytes(range(256)) * 8192)
    with running(request.param, folder) as server:
        yield server
