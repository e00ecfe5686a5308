"""The plotter of the whiteboard: a Python process with a node of the same tree.

    python examples/whiteboard/plotter.py http://localhost:9000

A page calls it, and it calls the page back: the page gives itself as an argument, to be told how far it is. It may come
later than pages, and go and come back: it says when it is there.
"""

import asyncio
import sys
from collections.abc import Iterator
from itertools import pairwise
from math import cos, pi, sin
from uuid import uuid4

from limen import Connection, Node, Path, Proxy, Signal, call, exc, when_connected

COLOR = "#d6336c"
AT_ONCE = 12
"""Points in one piece of ink."""


class Plotter(Node):
    on_ready = Signal()
    """It can be called, for the first time or again."""

    @call
    async def draw(self, figure: str, x: float, y: float, size: float, pad: Proxy | None = None) -> int:
        """Draws one of FIGURES round (x, y), *size* wide, and gives the number of its points. *pad*: is told how far it
        is."""
        if figure not in FIGURES:
            raise exc.InvalidCall(f"There is no figure {figure!r}; there are {', '.join(FIGURES)}.")
        points = [(x + size / 2 * dx, y + size / 2 * dy) for dx, dy in FIGURES[figure]()]
        board, id = self.remote("@board"), uuid4().hex
        for start in range(0, len(points) - 1, AT_ONCE):
            piece = points[start : start + AT_ONCE + 1]
            await board.on_ink.notify(id, "the plotter", COLOR, flat(piece))
            if pad is not None:
                await pad.progress(figure, min(1, (start + AT_ONCE) / len(points)))
            await asyncio.sleep(0.03)
        await board.add(id, "the plotter", COLOR, flat(points))
        return len(points)

    @call
    def figures(self) -> list[str]:
        return list(FIGURES)


def rose() -> Iterator[tuple[float, float]]:
    for step in range(361):
        angle = step * pi / 180
        yield cos(5 * angle) * cos(angle), cos(5 * angle) * sin(angle)


def spiral() -> Iterator[tuple[float, float]]:
    for step in range(300):
        angle = step * pi / 30
        yield step / 300 * cos(angle), step / 300 * sin(angle)


def star() -> Iterator[tuple[float, float]]:
    corners = [(sin(4 * pi * corner / 5), -cos(4 * pi * corner / 5)) for corner in range(6)]
    for (x, y), (to_x, to_y) in pairwise(corners):
        for step in range(30):
            yield x + (to_x - x) * step / 30, y + (to_y - y) * step / 30
    yield corners[-1]


FIGURES = {"rose": rose, "spiral": spiral, "star": star}


def flat(points: list[tuple[float, float]]) -> list[float]:
    return [round(number, 1) for point in points for number in point]


async def main(url: str) -> None:
    connection = Connection(url)
    await when_connected(connection)
    async with connection, Plotter().bound(Path("whiteboard") + "plotter", connection.new_context()) as plotter:
        connection.on("restored", plotter.on_ready.notify)
        await plotter.on_ready.notify()
        print("The plotter is ready.", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "http://localhost:9000"))
    except KeyboardInterrupt:
        pass
