"""A whiteboard: browser windows and a Python process share one live tree.

    python examples/whiteboard              the board on http://localhost:9000, and the plotter; one command for both
    limen serve examples/whiteboard/board.py --port 9000          the board alone

    whiteboard.board         here: the strokes, and what is just being drawn
    whiteboard.plotter       another Python process (plotter.py), that draws figures when it is asked to
    whiteboard.pads.…        a page each: it can be called, too

Nobody logs in: whoever reaches the server may draw. It listens on this machine alone.
"""

from pathlib import Path

from limen import Node, Signal, bind, call, exc, realm_rule, static

MOST_STROKES, MOST_POINTS = 2_000, 5_000
MOST_IN_ALL = 200_000
"""Points on the board: all that it holds is told to a new window in one message (16 MiB at most)."""
SIZE = 1600, 1000


class Board(Node):
    """Its strokes are its dictionary: each by its id, `{"by": …, "color": …, "points": [x, y, x, y, …]}`. Whoever has a
    mirror of it sees each that is added or removed."""

    on_ink = Signal()
    """(id, by, color, points): more of a stroke that is being drawn. It is said by whoever draws, and not kept."""
    on_pointer = Signal()
    """(who, name, color, x, y): where somebody's pointer is."""

    @call
    def add(self, id: str, by: str, color: str, points: list[float]) -> None:
        """A stroke is drawn to its end."""
        if len(self) >= MOST_STROKES:
            raise exc.InvalidCall(f"The board is full: it holds {MOST_STROKES:,} strokes. Clear it.")
        drawn = sum(len(stroke["points"]) for key, stroke in self.items() if key != id[:40])
        if drawn + len(points) > 2 * MOST_IN_ALL:
            raise exc.InvalidCall(f"The board is full: it holds {MOST_IN_ALL:,} points. Clear it.")
        if not 2 <= len(points) <= 2 * MOST_POINTS or len(points) % 2:
            raise exc.InvalidCall(f"A stroke has 1 to {MOST_POINTS:,} points, each an x and a y.")
        self[id[:40]] = {"by": by[:40], "color": color[:9], "points": [round(number, 1) for number in points]}

    @call
    def remove(self, id: str) -> None:
        """Takes a stroke away; nothing happens where it is gone already."""
        self.pop(id, None)

    @call
    def clear_all(self) -> None:
        """Takes all strokes away."""
        self.clear()


bind("whiteboard.board", Board)
realm_rule(["call", "publish", "subscribe"], "whiteboard.", match="prefix", safe=False)
realm_rule(["register"], "whiteboard.pads.", match="prefix", safe=False)
realm_rule(["register"], "whiteboard.plotter", match="prefix", safe=False)
static("/", Path(__file__).parent / "static", index="index.html")
