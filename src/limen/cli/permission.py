"""`limen permission`: who may use what, said at run time; `limen explain`: why somebody may, or may not."""

from __future__ import annotations

import sys

import click

from limen import exc

from .options import db as _db
from .options import domain as _domain
from .options import keys as _keys
from .options import operator

MARKS = {True: "yes", False: "no ", None: "?  "}


@click.group()
def permission() -> None:
    """Which roles may use which services and topics, besides what the program says. At once, also while it runs."""


@permission.command("grant")
@click.argument("role")
@click.argument("pattern")
@_domain
@_db
@_keys
def grant(role: str, pattern: str, domain: str, db: str, keys: str | None) -> None:
    """Let users with ROLE use PATTERN: "ward.close", or "ward." for all that begins so. It is closed to other roles."""
    with operator(db, keys) as operate:
        new = operate("permission.grant", role=role, pattern=pattern, domain=domain)
    click.echo(f"{role} may use {pattern} in {domain}{'' if new else ', as before'}.")


@permission.command("revoke")
@click.argument("role")
@click.argument("pattern")
@_domain
@_db
@_keys
def revoke(role: str, pattern: str, domain: str, db: str, keys: str | None) -> None:
    """Take back what was granted."""
    with operator(db, keys) as operate:
        if not operate("permission.revoke", role=role, pattern=pattern, domain=domain):
            raise exc.RecordNotFound(
                f"{role} was not granted {pattern} in {domain}; `limen permission list` shows all."
            )
    click.echo(f"{role} was granted {pattern} in {domain}, and is no more.")


@permission.command("list")
@click.option("--domain", default=None, help="Only this tenant.")
@_db
@_keys
def list_(domain: str | None, db: str, keys: str | None) -> None:
    """List what was granted: domain, pattern, role."""
    with operator(db, keys) as operate:
        rows = operate("permission.list", domain=domain)
    for row in rows:
        click.echo(f"{row['domain']}\t{row['pattern']}\t{row['role']}")


@click.command()
@click.argument("user")
@click.argument("service")
@click.option("--app", "target", default=None, help="The program, where no server runs; as for `serve`.")
@_domain
@_db
@_keys
def explain(user: str, service: str, target: str | None, domain: str, db: str | None, keys: str | None) -> None:
    """Say why USER (or anonymous) may use SERVICE, or may not, step by step. Exit code 1: they may not."""
    from .operate import operator as reach
    from .operate import program

    if target is not None:
        with program(target, db, keys) as operate:
            steps = operate("explain", user=user, name=service, domain=domain)
    elif not db:
        raise click.UsageError("Say --db of the server that runs, or --app with the program.")
    else:
        try:
            with reach(db, keys, running=True) as operate:
                steps = operate("explain", user=user, name=service, domain=domain)
        except exc.ConnectionLost:
            raise click.UsageError(f"No server runs on {db}, so say which program: --app.") from None
    for step in steps:
        click.echo(f"{MARKS[step['ok']]}  {step['says']}")
    sys.exit(1 if steps[-1]["ok"] is False else 0)
