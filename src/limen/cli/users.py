"""`limen user set`, `disable`, `enable`, `sessions`, `end`: the rest of `limen user`."""

from __future__ import annotations

import time
from typing import Any

import click

from .options import db as _db
from .options import domain as _domain
from .options import keys as _keys
from .options import operator


@click.command("set")
@click.argument("name")
@click.option("--role", "roles", multiple=True, help="May be given again; the first is the main one. In place of all.")
@click.option("--profile", multiple=True, help="KEY=VALUE; may be given again. KEY= takes it out.")
@_domain
@_db
@_keys
def set_(name: str, roles: tuple[str, ...], profile: tuple[str, ...], domain: str, db: str, keys: str | None) -> None:
    """Give NAME other roles, or change their profile; it holds from the next login or return of a session."""
    pairs: dict[str, Any] = {}
    for pair in profile:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise click.UsageError(f"--profile takes KEY=VALUE, not {pair!r}.")
        pairs[key] = value or None
    if not roles and not pairs:
        raise click.UsageError("Say --role or --profile.")
    with operator(db, keys) as operate:
        operate("user.set", name=name, domain=domain, roles=list(roles), profile=pairs)
    click.echo(f"Changed {name} in {domain}.")


@click.command("disable")
@click.argument("name")
@_domain
@_db
@_keys
def disable(name: str, domain: str, db: str, keys: str | None) -> None:
    """Shut NAME out; all of that user's sessions end."""
    with operator(db, keys) as operate:
        operate("user.disable", name=name, domain=domain)
    click.echo(f"{name} in {domain} can't log in any more; open sessions were ended.")


@click.command("enable")
@click.argument("name")
@_domain
@_db
@_keys
def enable(name: str, domain: str, db: str, keys: str | None) -> None:
    """Let NAME in again."""
    with operator(db, keys) as operate:
        operate("user.disable", name=name, domain=domain, disabled=False)
    click.echo(f"{name} in {domain} may log in again.")


@click.command("sessions")
@click.argument("name", required=False)
@click.option("--domain", default=None, help="Only this tenant.")
@_db
@_keys
def sessions(name: str | None, domain: str | None, db: str, keys: str | None) -> None:
    """List the sessions of NAME, or of all: domain, user, id, kind, from where, since when, last used."""
    with operator(db, keys) as operate:
        rows = operate("user.sessions", name=name, domain=domain)
    for row in rows:
        times = "\t".join(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(row[key])) for key in ("opened", "used"))
        acting = f"\tacts as {row['acting']}" if row["acting"] else ""
        said = "\t".join(row[key] for key in ("domain", "user", "id", "kind", "origin"))
        click.echo(f"{said}\t{times}{acting}")


@click.command("end")
@click.argument("name")
@_domain
@_db
@_keys
def end(name: str, domain: str, db: str, keys: str | None) -> None:
    """End all sessions of NAME, who may log in again."""
    with operator(db, keys) as operate:
        count = operate("user.end", name=name, domain=domain)
    click.echo(f"Ended {count} session(s) of {name} in {domain}.")


COMMANDS = (set_, disable, enable, sessions, end)
