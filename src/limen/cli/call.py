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
    KEY:=JSON, or :=JSON by place, says exactly what it is. KEY:@PATH, or :@PATH, sends that file. A file that comes is
    written to standard output as it is.
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
                    came = False
                    for value in values:
                        show(value)
                        came = True
                if not came and values.result is not None:
                    show(values.result)
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

    >>> parse(("7", "due=2026-11-21", 'zip:="8001"', "tags:=[1]", ":=null", "text=a=b", "mail=a:@b"))
    ([7, None], {'due': datetime.date(2026, 11, 21), 'zip': '8001', 'tags': [1], 'text': 'a=b', 'mail': 'a:@b'})
    >>> parse((f"picture:@{__file__}",))[1]["picture"].filename
    'call.py'
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for argument in arguments:
        key, sign, text = _parts(argument)
        value = _value(argument, sign, text)
        if not key:
            args.append(value)
        elif key in kwargs:
            raise click.UsageError(f"{key} is given twice; a list is {key}:=[…].")
        else:
            kwargs[key] = value
    return args, kwargs


def _parts(argument: str) -> tuple[str, str, str]:
    """Name ("" by place), sign ("=", ":=", ":@"; "" for none) and the rest."""
    file, at, path = argument.partition(":@")
    if at and (not file or file.isidentifier()):
        return file, at, path
    key, equals, text = argument.partition("=")
    if not equals:
        return "", "", argument
    return key.removesuffix(":"), ":=" if key.endswith(":") else "=", text


def _value(argument: str, sign: str, text: str) -> Any:
    from limen.base.files import Upload
    from limen.base.limits import load_json
    from limen.base.parse import auto_parse

    try:
        if sign == ":@":
            return Upload.of(text)
        return load_json(text.encode()) if sign == ":=" else auto_parse(text)
    except exc.InvalidValue as error:
        raise click.UsageError(f"{argument}: what stands behind := is no JSON: {error}") from None
    except OSError as error:
        raise click.UsageError(f"{argument}: the file {text} can't be read: {error.strerror or error}") from None


def show(value: Any) -> None:
    """Prints a line, at once, whoever reads it; of a file its bytes."""
    from limen.client.files import SyncDownload

    if isinstance(value, SyncDownload):
        for piece in value:
            sys.stdout.buffer.write(piece)
    else:
        click.echo(_json(value))
    sys.stdout.flush()


def _json(value: Any) -> str:
    from limen.service.formats import json

    return json(value).decode()
