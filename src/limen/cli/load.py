"""`limen load`: a load test of one's own services."""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limen import exc

from .call import context_of, parse
from .options import password

if TYPE_CHECKING:
    from limen.client.core import AsyncClient
    from limen.client.load import Report, Visit

SHARED = 8
"""Sessions of one user, unless more are asked for: a server allows so many, and each can hold many calls."""


@click.command()
@click.argument("url")
@click.argument("name", required=False)
@click.argument("arguments", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--script", default=None, metavar="FILE", help="Python with `async def visit(client)`: what a user does.")
@click.option("--users", type=click.IntRange(1, 10_000), default=10, show_default=True, help="So many at once.")
@click.option("--seconds", type=click.FloatRange(0.1, 3600), default=10.0, show_default=True, help="For so long.")
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), default=None, help="Visits a second, all together."
)
@click.option("--user", default=None, help="Log in as this user; the password is asked for, or standard input's line.")
@click.option("--key", default=None, metavar="FILE", help="Log in as a machine, with a file of `limen key new`.")
@click.option("--clients", type=click.IntRange(1), default=None, help="Connections that the users share.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=None, help="Seconds for each call.")
@click.option("--ca", default=None, metavar="FILE", help="Certificate of an authority of your own to believe, too.")
@click.option("--json", "as_json", is_flag=True, help="The figures as JSON.")
def load(
    url: str,
    name: str | None,
    arguments: tuple[str, ...],
    script: str | None,
    users: int,
    seconds: float,
    rate: float | None,
    user: str | None,
    key: str | None,
    clients: int | None,
    timeout: float | None,
    ca: str | None,
    as_json: bool,
) -> None:
    """Call the service NAME of the server at URL again and again, from many users at once, and tell what it took.

    The arguments are written as for `limen call`. Exit code 1: calls failed. https and http make plain calls, or sealed
    ones over HTTP with --user or --key; ws and wss take a WebSocket.
    """
    from limen.client.load import load as run

    if (name is None) is (script is None):
        raise click.UsageError("Say the NAME of a service, or --script FILE" + (", not both." if name else "."))
    if user is not None and key is not None:
        raise click.UsageError("--user or --key, not both.")
    visit = _script(Path(script)) if script is not None else _calls(str(name), arguments)
    secret = password("Password", confirm=False) if user is not None else None
    context, signed_in = context_of(ca), user is not None or key is not None

    @asynccontextmanager
    async def enter() -> AsyncIterator[AsyncClient]:
        async with _client(url, timeout, context) as client:
            if signed_in:
                await client.login(user, secret, key=key)
            yield client

    so_far: list[Report] = []

    def watch(report: Report) -> None:
        so_far[:] = [report]
        if sys.stderr.isatty():
            _show(report)

    try:
        report = asyncio.run(
            run(
                enter,
                visit,
                users=users,
                seconds=seconds,
                rate=rate,
                clients=clients or (min(users, SHARED) if signed_in else None),
                watch=watch,
            )
        )
    except KeyboardInterrupt:  # what was seen until then is worth having
        if not so_far:
            raise
        report = so_far[0]
    click.echo(json.dumps(report.to_dict(), indent=2) if as_json else report.table())
    sys.exit(1 if report.errors or not report.calls else 0)


def _client(url: str, timeout: float | None, context: Any) -> AsyncClient:
    from limen.client.http import AsyncHttpClient
    from limen.client.ws import AsyncWsClient

    kind = AsyncHttpClient if url.startswith("http") else AsyncWsClient
    return kind(url, timeout=timeout, ssl=context)


def _calls(name: str, arguments: tuple[str, ...]) -> Visit:
    args, kwargs = parse(arguments)

    async def visit(client: Any) -> None:
        await client.call(name, *args, **kwargs)

    return visit


def _script(path: Path) -> Visit:
    """The function `visit` of a file."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise exc.NotFound(f"There is no Python file {path}.")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    visit = getattr(module, "visit", None)
    if not inspect.iscoroutinefunction(visit):
        raise exc.NotFound(f"{path} has no `async def visit(client)`: what one user does, once.")
    return visit


def _show(report: Report) -> None:
    click.echo(
        f"\r{report.seconds:5.0f} s  {report.calls:>9} calls  {report.errors.total()} errors", nl=False, err=True
    )
    if report.busy:
        click.echo(err=True)
