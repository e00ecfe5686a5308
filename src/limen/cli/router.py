"""`limen router`: a WAMP router on its own.

SIGTERM and Ctrl-C end it: nobody comes in any more, all sessions hear GOODBYE, and then the connections end.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from limen.door.router.config import Settings


@click.command()
@click.option("--realm", "realms", multiple=True, metavar="NAME", help="A realm; may be given again.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@click.option("--anonymous", is_flag=True, help="Everybody comes into these realms, and may do everything.")
def router(realms: tuple[str, ...], host: str, port: int, anonymous: bool) -> None:
    """Serve as a WAMP router, without a program: clients of any language call and publish to each other.

    \b
    limen router --realm realm1 --anonymous      everybody may do everything, at ws://127.0.0.1:8080/ws
    """
    from limen.door.router.config import Listener, Settings, anyone

    if not realms or not anonymous:
        raise click.UsageError("Say which realms there are, and who comes in: --realm realm1 --anonymous.")
    sys.exit(run(Settings(realms=tuple(map(anyone, realms)), listeners=(Listener(host=host, port=port),))))


def run(settings: Settings) -> int:
    """Routes until told to stop; the exit code. Raises `exc.InvalidAddress` where a listener can't listen."""
    import uvloop

    from .process import raise_file_limit

    raise_file_limit()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(settings))


async def _run(settings: Settings) -> int:
    from limen.app.router import Router

    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with Router(settings).alive() as listening:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopping.set)
        for where in listening:
            print(f"Limen listens on {where}", flush=True)
        await stopping.wait()
    return 0
