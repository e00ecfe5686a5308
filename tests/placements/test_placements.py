"""One scenario, vectors/three_nodes.json, with each of its nodes in each place, through each router."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from playwright.async_api import BrowserContext
from routers import REALM, ROUTERS, At
from stage import Here, Page, Place, play

from limen import NodeContext
from limen.testing import connections

NODES = ("first", "second", "third")
FAR = ("python", "node", "autobahn", "autobahn-js", "page")

Standing = Mapping[str, str]


def standing(first: str, second: str, third: str) -> dict[str, str]:
    return dict(zip(NODES, (first, second, third), strict=True))


IN_ONE_PROCESS = [
    standing("here.1", "here.1", "here.1"),
    standing("here.1", "here.1", "here.2"),
    standing("here.1", "here.2", "here.3"),
]
PLACEMENTS = [
    *IN_ONE_PROCESS,
    *({**standing("here.1", "here.1", "here.2"), node: far} for far in FAR for node in NODES),
    *(standing(far, far, "here.1") for far in ("python", "node", "page")),
    standing("python", "node", "page"),
    standing("autobahn", "page", "autobahn-js"),
    *(standing(far, far, far) for far in ("node", "page")),
    *(standing(f"{far}.1", f"{far}.1", f"{far}.2") for far in ("node", "page")),
]


def said(standing: Standing) -> str:
    return " ".join(standing.values())


pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_without_any_connection() -> None:
    await play({"here": Here({"only": NodeContext()})}, standing("here", "here", "here"))


@pytest.mark.parametrize("standing", IN_ONE_PROCESS, ids=said)
async def test_connected_in_memory(standing: Standing) -> None:
    async with connections(3) as opened:
        contexts = {str(n): connection.new_context() for n, connection in enumerate(opened, 1)}
        await play({"here": Here(contexts)}, standing)


@pytest.mark.parametrize("router", ROUTERS, indirect=True)
@pytest.mark.parametrize("standing", PLACEMENTS, ids=said)
async def test_each_in_its_place(
    router: At, standing: Standing, program: Callable[[str], Awaitable[Place]], context: BrowserContext
) -> None:
    async with places(router, standing, program, context) as made:
        await play(made, standing)


@asynccontextmanager
async def places(
    router: At, standing: Standing, program: Callable[[str], Awaitable[Place]], context: BrowserContext
) -> AsyncIterator[dict[str, Place]]:
    """Where *standing* says that nodes stand, with the connections that it names."""
    made: dict[str, Place] = {}
    async with AsyncExitStack() as stack:
        for name, _, connection in sorted(where.partition(".") for where in set(standing.values())):
            if name not in made:
                made[name] = await place(name, router, program, context)
            await made[name].do("open", connection=connection or "only", url=router.url, realm=REALM)
            stack.push_async_callback(made[name].do, "close", connection=connection or "only")
        yield made


async def place(name: str, router: At, program: Callable[[str], Awaitable[Place]], context: BrowserContext) -> Place:
    if name == "here":
        return Here({})
    if name == "page":
        return await Page.open(context, router.origin)
    return await program(name)
