"""`limen call`: one call from the shell."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from limen import exc

from .options import password

if TYPE_CHECKING:
    from ssl import SSLContext

    from limen.client.sync import Client

STATUS: dict[type[exc.Error], int] = {
    exc.ConnectionLost: 3,
    exc.Unauthorized: 4,
    exc.InvalidCredential: 4,
    exc.OutcomeUnknown: 5,
    exc.Timeout: 5,
}
"""Exit status of an error, by its class; of any other: 1. (2 is the command line's.)"""


@click.command()
@click.argument("url")
@click.argument("name")
@click.argument("arguments", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--user", default=None, help="Log in as this user; the password is asked for, or standard input's line.")
@click.option("--key", default=None, metavar="FILE", help="Log in as a machine, with a file of `limen key new`.")
@click.option("--stream", is_flag=True, help="Print the values of a stream as they come.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=None, help="Seconds; default: none.")
@click.option("--ca", default=None, metavar="FILE", help="Certificate of an authority of your own to believe, too.")
def call(
    url: str,
    name: str,
    arguments: tuple[str, ...],
    user: str | None,
    key: str | None,
    stream: bool,
    timeout: float | None,
    ca: str | None,
) -> None:
    """Call the service NAME of the server at URL (http, https, ws, wss), and print its result as JSON.

    KEY=VALUE is an argument by name, VALUE alone one by place; what looks like a number or a date is one.
    KEY:=JSON, or :=JSON by place, says exactly what it is.
    """
    args, kwargs = parse(arguments)
    if user is not None and key is not None:
        raise click.UsageError("--user or --key, not both.")
    secret = password("Password", confirm=False) if user is not None else None
    try:
        with _client(url, ca=ca, timeout=timeout) as client:
            if user is not None or key is not None:
                client.login(user, secret, key=key)
            if stream:
                with client.stream(name, *args, **kwargs) as values:
                    for value in values:
                        show(value)
            else:
                show(client.apply(name, args, kwargs))
    except exc.Error as error:
        click.echo(f"{error.exc}: {error}", err=True)
        if error.facts:
            click.echo(_json(error.facts), err=True)
        sys.exit(next((status for kind, status in STATUS.items() if isinstance(error, kind)), 1))


def _client(url: str, *, ca: str | None, timeout: float | None) -> Client:
    from limen.client.http import HttpClient
    from limen.client.ws import WsClient

    context = context_of(ca)
    kind = HttpClient if url.startswith("http") else WsClient
    return kind(url, timeout=timeout, ssl=context)


def context_of(ca: str | None) -> SSLContext | None:
    """TLS that believes the authority of the file *ca*, too; None: the usual."""
    if ca is None:
        return None
    import ssl

    try:
        context = ssl.create_default_context()
        context.load_verify_locations(ca)
    except OSError as error:
        raise click.UsageError(f"--ca {ca}: {error.strerror or error}.") from None
    return context


def parse(arguments: tuple[str, ...]) -> tuple[list[Any], dict[str, Any]]:
    """Arguments as they stand on the command line.

    >>> parse(("7", "due=2026-11-21", 'zip:="8001"', "tags:=[1]", ":=null", "text=a=b"))
    ([7, None], {'due': datetime.date(2026, 11, 21), 'zip': '8001', 'tags': [1], 'text': 'a=b'})
    """
    from limen.base.limits import load_json
    from limen.base.parse import auto_parse

    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for argument in arguments:
        key, equals, text = argument.partition("=")
        try:
            value = load_json(text.encode()) if equals and key.endswith(":") else auto_parse(text if equals else key)
        except exc.InvalidValue as error:
            raise click.UsageError(f"{argument}: what stands behind := is no JSON: {error}") from None
        key = key.removesuffix(":")
        if not equals or not key:
            args.append(value)
        elif key in kwargs:
            raise click.UsageError(f"{key} is given twice; a list is {key}:=[…].")
        else:
            kwargs[key] = value
    return args, kwargs


def show(value: Any) -> None:
    """Prints a line, at once, whoever reads it."""
    click.echo(_json(value))
    sys.stdout.flush()


def _json(value: Any) -> str:
    from limen.service.formats import json

    return json(value).decode()
