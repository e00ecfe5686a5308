"""`limen router`: a WAMP router on its own."""

from __future__ import annotations

import asyncio
import signal
import sys

import click


@click.command()
@click.option("--realm", "realms", multiple=True, metavar="NAME", help="A realm; may be given again.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, help="Port of the WebSocket listener; 0 takes a free one.")
@click.option("--anonymous", is_flag=True, help="Everybody comes into these realms, and may do everything.")
def router(realms: tuple[str, ...], host: str, port: int, anonymous: bool) -> None:
    """Serve as a WAMP router: WebSocket at /ws, each realm open to the sessions that the configuration lets in."""
    from limen.door.router.config import Listener, RealmSettings, Settings, anyone

    made = tuple(anyone(name) if anonymous else RealmSettings(name=name) for name in realms)
    settings = Settings(realms=made, listeners=(Listener(host=host, port=port),))
    sys.exit(run(settings))


def run(settings: object) -> int:
    """Routes until SIGTERM or Ctrl-C; the exit code."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(settings))


async def _run(settings: object) -> int:
    from limen.app.listeners import Standing
    from limen.app.router import Router

    made = Router(settings)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    async with made.alive():
        standing = [Standing(made.hub, listener, made.config) for listener in settings.listeners]
        for one in standing:
            await one.open()
            print(f"Limen routes at {one.where}", flush=True)
        await stopping.wait()
        for one in standing:
            one.stop()
        await made.hub.drain()
        for one in standing:
            await one.close(5.0)
    return 0
