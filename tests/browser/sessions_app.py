"""An application whose pages `test_sessions_in_pages.py` reloads."""

from pathlib import Path

import limen
from limen import Signal, auth, call, config, service, static
from limen.session import ApplicationService, Controller, SessionRoot

config.IS_DEVELOPMENT = True
config.MAX_USER_SESSIONS = 100
config.CHILD_SESSIONS = False
auth.add_user("ada", "lovelace")
auth.add_user("eve", "lovelace")
over: list[str] = []


class Desktop(Controller):
    VIEW = "Desktop"
    on_noted = Signal()

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.views = 0

    async def viewed(self) -> None:
        self.views += 1

    @call
    async def note(self, text: str) -> list[str]:
        self.notes.append(text)
        await self.on_noted.notify(text)
        await self.remote("#view").show(self.notes)
        return self.notes

    @call
    async def counted(self) -> int:
        return self.views


class Application(ApplicationService):
    OPENS = Desktop
    GRACE = 20.0

    async def ended(self, session: SessionRoot, why: str) -> None:
        over.append(f"{session.node_path} {why}")


@limen.bind("shop")
class Shop(Application): ...


@limen.bind("stall")
class Stall(Application):
    SAFE = False


@limen.bind("moment")
class Moment(Application):
    SAFE = False
    GRACE = 0.2


@service(safe=False, methods=["GET"])
async def ended() -> list[str]:
    """The sessions that were, and why they are no more."""
    return over


static(
    "/", Path(__file__).parent / "site", csp="default-src 'self'; connect-src 'self' ws://localhost:* ws://127.0.0.1:*"
)
