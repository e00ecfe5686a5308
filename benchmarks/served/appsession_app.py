"""An application whose sessions are weighed: a desktop with a cursor, for anybody."""

import limen
from limen import Node, Signal, call
from limen.session import ApplicationService, Context, Controller, SessionRoot

limen.config.MAX_ORIGIN_CONNECTIONS = 100_000


class Cursor(Node):
    on_moved = Signal()

    @call
    async def move(self, to: int) -> int:
        self["current"] = to
        return to


class DesktopController(Controller):
    VIEW = "Desktop"

    async def viewed(self) -> None:
        self.page = self.remote("#view")
        self["title"] = "Welcome"
        await self.cursor.move(1)


class Desktop(Context):
    CONTROLLER = DesktopController

    async def begin(self, root: SessionRoot, name: str) -> None:
        await super().begin(root, name)
        await self.controller.node_add("cursor", Cursor())


@limen.bind("shop")
class Shop(ApplicationService):
    OPENS = Desktop
    SAFE = False
    GRACE = 1.0
    MAX_PER_ORIGIN = MAX_SESSIONS = 100_000
