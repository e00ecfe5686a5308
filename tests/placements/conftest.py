"""Routers and programs that the placements share, and the connections of the seed's test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
import pytest_asyncio
from routers import REALM, ROUTERS, At, Routers
from stage import PROGRAMS, Program

from limen import Connection
from limen.testing import connections


@pytest.fixture(scope="session")
def routers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Routers]:
    """`routers("crossbar")` says where that router is."""
    routers = Routers(tmp_path_factory.mktemp("routers"))
    yield routers
    routers.stop()


@pytest.fixture
def router(request: pytest.FixtureRequest, routers: Routers) -> At:
    """Where the router is whose name is the parameter."""
    return routers(request.param)


@pytest_asyncio.fixture(params=["memory", *ROUTERS], loop_scope="session")
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Connection, Connection]]:
    """Two connections to one router, not open yet."""
    if request.param == "memory":
        async with connections(2) as (one, other):
            yield one, other
    else:
        at = request.getfixturevalue("routers")(request.param)
        async with Connection(at.url, REALM) as one, Connection(at.url, REALM) as other:
            yield one, other


@pytest.fixture
def connection1(pair: tuple[Connection, Connection]) -> Connection:
    return pair[0]


@pytest.fixture
def connection2(pair: tuple[Connection, Connection]) -> Connection:
    return pair[1]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def program() -> AsyncIterator[Callable[[str], Awaitable[Program]]]:
    """`await program("node")`: a process that plays, one for all tests."""
    running: dict[str, Program] = {}

    async def program(name: str) -> Program:
        if name not in running:
            running[name] = await Program.start(PROGRAMS[name])
        return running[name]

    yield program
    for one in running.values():
        await one.end()
