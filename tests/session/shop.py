"""An application, for these tests: a desktop with a cursor, whose view counts what it is told."""

from __future__ import annotations

import asyncio
import os
from typing import Any, ClassVar

from limen import Node, Signal, call
from limen.session import ApplicationService, Context, Controller, SessionRoot, View


class Cursor(Node):
    on_moved = Signal()

    @call
    async def move(self, to: int) -> int:
        self.current = to
        await self.on_moved.notify(to)
        return to


class DesktopController(Controller):
    on_saved = Signal()

    def __init__(self) -> None:
        self.has_view = asyncio.Event()
        self.asked = 0

    async def viewed(self) -> None:
        self.has_view.set()

    @call
    async def save(self, what: str) -> str:
        self.asked += 1
        self.saved = self["saved"] = what
        await self.on_saved.notify(what)
        return f"saved {what}"

    @call
    async def where(self) -> int:
        return os.getpid()

    @call
    async def logout(self) -> Any:
        return await self.remote("#view").logout("bye")


class Desktop(Context):
    CONTROLLER = DesktopController
    VIEW: ClassVar = {"type": "Desktop", "title": "Welcome"}
    ROLES: ClassVar = {**Context.ROLES, "cursor": "controller.cursor"}

    async def begin(self, root: SessionRoot, name: str) -> None:
        await super().begin(root, name)
        await self.controller.node_add("cursor", Cursor())


class Shop(ApplicationService):
    OPENS = Desktop
    GRACE = 60.0


class DesktopView(View):
    on_clicked = Signal()

    def __init__(self) -> None:
        self.told: list[str] = []

    @call
    def logout(self, word: str) -> str:
        self.told.append(word)
        return f"{word}, too"


VIEWS = {"Desktop": DesktopView}
