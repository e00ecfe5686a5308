"""With several workers each event of `limen.on` is told in one of them, and permissions hold in all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from served import Server
from waiting import until

from limen import connect, exc
from limen.client import Session

PROGRAM = """
import os
from pathlib import Path
from limen import auth, on, service

TOLD = Path(__file__).with_name("told.txt")

def tell(event):
    with TOLD.open("a") as out:  # a line at once: of two writers none cuts the other
        out.write(f"{event.name} {event.user} {event.why}\\n")

for name in ("server.started", "server.stopping", "session.opened", "session.closed"):
    on(name, tell)

@service(ssl=False)
def process():
    return os.getpid()

@service(ssl=False, roles=["chief"])
def grant(role, pattern):
    return auth.grant(role, pattern)

auth.add_user("ada", "lovelace", roles=["chief"])
"""


async def test_each_event_is_told_once_and_a_permission_holds_in_all_workers(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    server = serve(tmp_path / "program.py", "--workers", "2", "--db", f"sqlite:///{tmp_path}/t.db")

    def told() -> list[str]:
        path = tmp_path / "told.txt"
        return path.read_text().splitlines() if path.exists() else []

    who = {"user": "ada", "password": "lovelace"}
    sessions: list[Session] = []
    processes: set[int] = set()
    while len(processes) < 2 or len(sessions) < 3:  # the kernel says which worker gets a connection
        sessions.append(await connect(server.url, **who).__aenter__())
        processes.add(await sessions[-1].call("process"))
    assert await sessions[0].call("grant", "nurse", "process") is True

    async def closed(session: Session) -> bool:
        try:
            await session.call("process")
        except exc.Forbidden:
            return True
        return False

    async with asyncio.timeout(10):
        while not all([await closed(session) for session in sessions]):
            await asyncio.sleep(0.1)
    ids = [row["id"] for row in await sessions[0].sessions()]
    await asyncio.gather(*(sessions[0].end_session(id) for id in ids[1:]))
    for session in sessions:
        await session.close()
    await until(lambda: len([line for line in told() if line.startswith("session.closed")]) >= len(sessions))
    await asyncio.to_thread(server.stop)
    lines = told()
    assert sorted(lines) == sorted(
        [
            "server.started  ",
            *["session.opened ada "] * len(sessions),
            *["session.closed ada ended"] * (len(sessions) - 1),
            "session.closed ada logout",
            "server.stopping  ",
        ]
    )
