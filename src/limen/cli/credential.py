"""`limen credential`: what the configuration of `limen router` holds of a password, instead of the password."""

from __future__ import annotations

import base64
import json
import secrets

import click

from limen import exc

from .options import password

METHODS = ("wamp-scram", "scram", "wampcra")
ROUNDS = {"pbkdf2": 600_000, "argon2id": 3, "wampcra": 100_000}
"""Iterations: as OWASP advises, and RFC 9106 (section 4, the second choice). WAMP-CRA's clients are often slow."""


@click.command()
@click.argument("name")
@click.option("--role", "roles", multiple=True, help="May be given again; the first is the authrole. Default: user.")
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default="wamp-scram",
    show_default=True,
    help="'wamp-scram' as the specification has it; 'scram' for Autobahn|Python; 'wampcra' with a salt.",
)
@click.option("--pbkdf2", is_flag=True, help="SCRAM by PBKDF2, for clients that have no Argon2.")
@click.option("--iterations", type=click.IntRange(1, 10_000_000), default=None, help="How often; the client waits.")
@click.option("--memory", type=click.IntRange(8, 2**20), default=65536, show_default=True, help="KiB, of Argon2.")
def credential(
    name: str, roles: tuple[str, ...], method: str, pbkdf2: bool, iterations: int | None, memory: int
) -> None:
    """Print the user NAME for the configuration of `limen router`; the password is asked for, or read as one line.

    With SCRAM nobody who reads the configuration can come in by it; with WAMP-CRA whoever reads it can.
    """
    given = password("Password")
    if not given:
        raise click.UsageError("A password has at least one character.")
    line = _cra(given, iterations) if method == "wampcra" else _scram(given, method, pbkdf2, iterations, memory)
    click.echo("[[realm.user]]")
    click.echo(f"name = {json.dumps(name, ensure_ascii=False)}")
    click.echo("roles = " + json.dumps(list(roles) or ["user"], ensure_ascii=False))
    click.echo(line)


def _scram(given: str, method: str, pbkdf2: bool, iterations: int | None, memory: int) -> str:
    from limen.core.wamp.auth import scram

    kdf = scram.PBKDF2 if pbkdf2 else scram.FORMS[method].kdfs[-1]
    rounds, memory = iterations or ROUNDS["pbkdf2" if pbkdf2 else "argon2id"], 0 if pbkdf2 else memory
    try:
        made = scram.derive(given, secrets.token_bytes(16), kdf, rounds, memory)
    except ValueError as error:
        raise exc.InvalidCredential(f"This password can't be used: {error}.") from None
    named = {"salt": made.salt, "stored_key": made.stored_key, "server_key": made.server_key}
    texts = ", ".join(f'{name} = "{base64.b64encode(raw).decode()}"' for name, raw in named.items())
    return f'scram = {{ kdf = "{kdf}", iterations = {rounds}, memory = {memory}, {texts} }}'


def _cra(given: str, iterations: int | None) -> str:
    from limen.core.wamp.auth import wampcra

    made = wampcra.salted(given, secrets.token_hex(16), iterations or ROUNDS["wampcra"])
    return (
        f'wampcra = {{ secret = "{made.secret}", salt = "{made.salt}", '
        f"iterations = {made.iterations}, keylen = {made.keylen} }}"
    )
