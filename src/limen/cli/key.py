"""`limen key`: credentials for programs that come in without a person."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from limen import exc

from .options import db as _db
from .options import domain as _domain
from .options import keys as _keys
from .options import operator


@click.group()
def key() -> None:
    """Keys of machines: new, list, remove. Speaks to the running server, or opens the file when none runs."""


@key.command("new")
@click.argument("name")
@click.option("--role", "roles", multiple=True, help="Of a new account; may be given again. Default: user.")
@click.option("--http", is_flag=True, help="A secret for signed requests over plain HTTP.")
@click.option("--cryptosign", is_flag=True, help="An Ed25519 key for WAMP's cryptosign.")
@click.option("--public", default=None, help="The public half (hexadecimal) of a key that was made elsewhere.")
@click.option("--out", default=None, type=click.Path(path_type=Path), help="The credentials file; default: NAME.key.")
@_domain
@_db
@_keys
def new(
    name: str,
    roles: tuple[str, ...],
    http: bool,
    cryptosign: bool,
    public: str | None,
    out: Path | None,
    **where: Any,
) -> None:
    """Make a key for NAME, an account without a password (made if need be), and write it to a credentials file."""
    if http and cryptosign:
        raise click.UsageError("--http or --cryptosign, not both: a key is of one kind.")
    path = None if public else _free(out, name)
    kind = "http" if http else "ed25519" if cryptosign else "x25519"
    wanted = {"name": name, "domain": where["domain"], "roles": list(roles), "kind": kind}
    with operator(where["db"], where["keys"], make=True) as operate:
        made = operate("key.new", **wanted, public=public)
        if path is not None:
            try:
                _write(path, made)
            except exc.Error:
                operate("key.remove", id=made["id"], domain=made["domain"])  # nobody has its private half
                raise
    click.echo(f"Key {made['id']} of {made['user']} in {made['domain']}.")
    if path is not None:
        click.echo(f"Wrote {path}: whoever has this file is {made['user']}.")
    elif made["server"]:
        click.echo(f"The server's public key: {made['server']}")


@key.command("list")
@click.option("--domain", default=None, help="Only this tenant.")
@_db
@_keys
def list_keys(domain: str | None, db: str | None, keys: str | None) -> None:
    """List the keys: domain, user, kind, id."""
    with operator(db, keys) as operate:
        rows = operate("key.list", domain=domain)
    for row in rows:
        click.echo(f"{row['domain']}\t{row['user']}\t{row['kind']}\t{row['id']}")


@key.command("remove")
@click.argument("id")
@_domain
@_db
@_keys
def remove(id: str, domain: str, db: str | None, keys: str | None) -> None:
    """Remove the key of that ID; the sessions that came in with it end. The account stays (`limen user remove`)."""
    with operator(db, keys) as operate:
        operate("key.remove", id=id, domain=domain)
    click.echo(f"Removed {id} from {domain}.")


def _free(out: Path | None, name: str) -> Path:
    """Where the credentials go; nothing is made before that is known to be free."""
    if out is None and not re.fullmatch(r"[\w@-][\w.@-]*", name):
        raise click.UsageError(f"{name!r} is no name of a file; say --out FILE.")
    path = out if out is not None else Path(f"{name}.key")
    if path.exists() or path.is_symlink():
        raise exc.StoreError(f"{path} is there already, and a key is not written over; say --out, or move it away.")
    if not path.parent.is_dir():
        raise exc.StoreError(f"There is no folder {path.parent}.")
    return path


def _write(path: Path, made: dict[str, Any]) -> None:
    from limen.core.seal.machine import Credentials
    from limen.store.files import make_private

    if not make_private(path, Credentials(**made).dump()):
        raise exc.StoreError(f"{path} is there already, and a key is not written over; say --out, or move it away.")
