"""`limen router`: a WAMP router on its own.

SIGTERM and Ctrl-C end it: nobody comes in any more, all sessions hear GOODBYE, and then the connections end. SIGHUP has
it read its configuration anew.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from .options import keys as _keys

if TYPE_CHECKING:
    from limen.app.router import Router
    from limen.door.router.config import Listener, Settings

State: TypeAlias = "tuple[int, int, int] | None"
Watch: TypeAlias = Callable[[asyncio.Event], Coroutine[Any, Any, None]]

LOOK = 1.0
"""Seconds between two looks at the files of a configuration that is to be reloaded when they change."""
CONFIGURED = "--config says which realms and users there are: leave --realm, --anonymous and --db out."
LISTENERS = "The configuration has listeners: leave --host, --port and --unix out."
NOBODY = "Say which realms there are, and who comes in: --realm realm1 --anonymous, or --config FILE."


@click.command()
@click.option("--realm", "realms", multiple=True, metavar="NAME", help="A realm; may be given again.")
@click.option("--anonymous", is_flag=True, help="Everybody comes into these realms, and may do everything.")
@click.option("--host", default=None, help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), default=None, help="0 takes a free one.  [default: 8080]")
@click.option("--unix", default=None, metavar="PATH", help="Listen for RawSockets at this Unix socket, too.")
@click.option("--config", default=None, metavar="FILE", help="Realms, roles, users, listeners: docs/router.md.")
@click.option("--check", is_flag=True, help="Only say what is wrong in the configuration.")
@click.option("--reload", is_flag=True, help="Read the configuration anew when it changes.")
@click.option("--db", default=None, help="URL of a store whose users (`limen user`) come in by the sealed login.")
@_keys
def router(
    realms: tuple[str, ...],
    anonymous: bool,
    host: str | None,
    port: int | None,
    unix: str | None,
    config: str | None,
    check: bool,
    reload: bool,
    db: str | None,
    keys: str | None,
) -> None:
    """Serve as a WAMP router, without a program: clients of any language call and publish to each other.

    \b
    limen router --realm realm1 --anonymous      everybody may do everything, at ws://127.0.0.1:8080/ws
    limen router --config router.toml --reload   as the file says, and as it says after a change
    limen router --config router.toml --check    what is wrong in the file
    """
    if config is None:
        if check or reload:
            raise click.UsageError("--check and --reload go with --config FILE.")
        if not realms or not (anonymous or db):
            raise click.UsageError(NOBODY)
        sys.exit(run(lambda: made(realms, anonymous, host, port, unix, db, keys)))
    if realms or anonymous or db or keys:
        raise click.UsageError(CONFIGURED)
    if check:
        settings = told(config, host, port, unix)
        click.echo(f"{config} is right: {len(settings.realms)} realm(s), {len(settings.listeners)} listener(s).")
        return
    sys.exit(run(lambda: told(config, host, port, unix), config, watch=reload))


def made(
    realms: tuple[str, ...],
    anonymous: bool,
    host: str | None,
    port: int | None,
    unix: str | None,
    db: str | None,
    keys: str | None,
) -> Settings:
    """What the options say where there is no file."""
    from limen.core.wamp.uris import is_reserved, is_uri
    from limen.door.router.config import Settings, Store, anyone

    for name in realms:
        if not is_uri(name) or is_reserved(name):
            raise click.UsageError(f"--realm {name}: a realm's name is a URI: realm1, com.example.realm1.")
    if len(set(realms)) < len(realms):
        raise click.UsageError("--realm: one of them is given twice.")
    return Settings(
        listeners(host, port, unix),
        tuple(anyone(name, strangers=anonymous) for name in realms),
        store=Store(db, keys or "") if db else None,
    )


def listeners(host: str | None, port: int | None, unix: str | None) -> tuple[Listener, ...]:
    """Those that the options ask for."""
    from limen.door.router.config import Listener

    web = Listener(host=host or "127.0.0.1", port=8080 if port is None else port)
    return (web,) if unix is None else (web, Listener("rawsocket", unix=unix))


def told(file: str, host: str | None = None, port: int | None = None, unix: str | None = None) -> Settings:
    """What the file says; remarks go to standard error. Raises `Mistakes`."""
    from msgspec.structs import replace

    from limen.door.router.reading import read

    settings, remarks = read(file)
    for remark in remarks:
        print(remark, file=sys.stderr, flush=True)
    if not settings.listeners:
        return replace(settings, listeners=listeners(host, port, unix))
    if (host, port, unix) != (None, None, None):
        raise click.UsageError(LISTENERS)
    return settings


def run(read: Callable[[], Settings], config: str | None = None, *, watch: bool = False) -> int:
    """Routes until told to stop; the exit code. *read*: gives the settings, at the start and at each SIGHUP; with
    *watch*, also when the file *config* changes. Raises `exc.Error` where it can't begin."""
    import uvloop

    from .process import raise_file_limit

    raise_file_limit()
    before = _state(config) if config else None  # what changes from now on is looked for
    settings = read()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(settings, read, partial(_watch, config, before) if config and watch else None))


async def _run(settings: Settings, read: Callable[[], Settings], watch: Watch | None) -> int:
    from limen.app.router import Router

    stopping, renewing = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    router = Router(settings)
    async with router.alive() as listening:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopping.set)
        loop.add_signal_handler(signal.SIGHUP, renewing.set)
        for where in listening:
            print(f"Limen listens on {where}", flush=True)
        tasks = [loop.create_task(_renew(router, read, renewing))]
        if watch is not None:
            tasks.append(loop.create_task(watch(renewing)))
        await stopping.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return 0


async def _renew(router: Router, read: Callable[[], Settings], renewing: asyncio.Event) -> None:
    """Reads the configuration anew whenever it is asked to. What is wrong changes nothing, and is said."""
    from limen import exc

    while True:
        await renewing.wait()
        renewing.clear()
        try:
            before = router.where
            later = await router.take(await asyncio.to_thread(read))
        except (exc.Error, click.UsageError) as error:
            print(f"{error}\nThe configuration stays as it was.", file=sys.stderr, flush=True)
            continue
        except Exception as error:  # whatever it is, sessions go on
            print(f"{error!r}\nThe configuration may be half as it was.", file=sys.stderr, flush=True)
            continue
        print("The configuration was read anew.", flush=True)
        for where in router.where:
            if where not in before:
                print(f"Limen listens on {where}", flush=True)
        for what in later:
            print(f"Only a restart changes {what}.", file=sys.stderr, flush=True)


async def _watch(file: str, before: State, renewing: asyncio.Event) -> None:
    while True:
        await asyncio.sleep(LOOK)
        now = _state(file)
        if now != before:
            before = now
            renewing.set()


def _state(file: str) -> State:
    try:
        there = os.stat(file)
    except OSError:
        return None  # it is being replaced
    return there.st_mtime_ns, there.st_size, there.st_ino
