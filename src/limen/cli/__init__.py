"""The command `limen`. Each command is a thin door to a plain function; nothing heavy is imported before it is used."""

from __future__ import annotations

import sys
from typing import Any

import click

from limen import exc

from .call import call
from .credential import credential
from .db import db as database
from .debug import debug
from .key import key
from .load import load
from .options import NO_DB, password
from .options import db as _db
from .options import domain as _domain
from .options import keys as _keys
from .options import operator as _operator
from .permission import explain, permission
from .profile import profile
from .router import router
from .shell import shell
from .top import top
from .types import types
from .users import COMMANDS as USER_COMMANDS


class Sentences(click.Group):
    """Shows an error of ours as its sentences, never as a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except exc.Error as error:
            raise click.ClickException(str(error)) from None
        except PermissionError as error:
            raise click.ClickException(f"You may not open {error.filename}.") from None


@click.group(cls=Sentences, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="limen")
def main() -> None:
    """Limen: functions and objects of the server, used from the browser as if they were there."""


@main.command()
@click.argument("target")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=9000, show_default=True, help="Port; 0 takes a free one.")
@click.option("--domain", multiple=True, help="Domain (tenant, host name) to answer for; the first is the default one.")
@_db
@_keys
@click.option("--tls", default=None, help="'local' makes an own authority and certificate; or CERT,KEY files.")
@click.option(
    "--proxy",
    multiple=True,
    metavar="ADDRESS",
    help="Proxy (address, network, 'unix') whose Forwarded or X-Forwarded-… headers are believed; may be repeated.",
)
@click.option("--metrics", metavar="[HOST:]PORT", default=None, help="Where Prometheus finds metrics; see METRICS.")
@click.option("--workers", type=click.IntRange(1, 256), default=None, help="So many processes serve, on one port.")
@click.option("--dev", is_flag=True, help="Development: TLS is not forced, modules reload, errors show their source.")
@click.option(
    "--realm-rules",
    type=click.Choice(["closed", "open"]),
    default="closed",
    show_default=True,
    help="'open' lets anonymous WAMP sessions register and publish: for trying, and for testing clients.",
)
def serve(target: str, **options: Any) -> None:
    """Serve TARGET: a module, module:app, or a .py file."""
    from .target import serve_target

    sys.exit(serve_target(target, **options))


main.add_command(database)
main.add_command(permission)
main.add_command(explain)
main.add_command(debug)
main.add_command(load)
main.add_command(profile)
main.add_command(shell)
main.add_command(router)
main.add_command(credential)
main.add_command(key)
main.add_command(call)
main.add_command(top)
main.add_command(types)


@main.group()
def user() -> None:
    """Users and their sessions. Speaks to the running server, or opens the file when none runs."""


for _command in USER_COMMANDS:
    user.add_command(_command)


@user.command("add")
@click.argument("name")
@click.option("--role", "roles", multiple=True, help="May be given again; the first is the main one. Default: user.")
@_domain
@_db
@_keys
def user_add(name: str, roles: tuple[str, ...], domain: str, db: str | None, keys: str | None) -> None:
    """Add the user NAME; the password is asked for, or read as one line from standard input."""
    with _operator(db, keys, make=True) as operate:
        operate("user.add", name=name, password=password("Password"), domain=domain, roles=list(roles))
    click.echo(f"Added {name} in {domain}.")


@user.command("list")
@click.option("--domain", default=None, help="Only this tenant.")
@_db
@_keys
def user_list(domain: str | None, db: str | None, keys: str | None) -> None:
    """List the users: domain, name, roles."""
    with _operator(db, keys) as operate:
        rows = operate("user.list", domain=domain)
    for row in rows:
        roles = ",".join(row["roles"])
        click.echo(f"{row['domain']}\t{row['user']}\t{roles}" + ("\tdisabled" if row["disabled"] else ""))


@user.command("passwd")
@click.argument("name")
@_domain
@_db
@_keys
def user_passwd(name: str, domain: str, db: str | None, keys: str | None) -> None:
    """Give NAME a new password; all of that user's sessions end."""
    with _operator(db, keys) as operate:
        operate("user.passwd", name=name, password=password("New password"), domain=domain)
    click.echo(f"{name} in {domain} has a new password; open sessions were ended.")


@user.command("remove")
@click.argument("name")
@click.option("--erase", is_flag=True, help="Erase the name everywhere but in your own records; what they wrote stays.")
@_domain
@_db
@_keys
def user_remove(name: str, erase: bool, domain: str, db: str | None, keys: str | None) -> None:
    """Remove NAME; all of that user's sessions end."""
    with _operator(db, keys) as operate:
        operate("user.remove", name=name, domain=domain, erase=erase)
    click.echo(f"{'Erased' if erase else 'Removed'} {name} from {domain}.")


@main.group()
def abuse() -> None:
    """The abuse ledger: which origins have misbehaved of late."""


@abuse.command("list")
@_db
@_keys
def abuse_list(db: str | None, keys: str | None) -> None:
    """List origins by level: domain, origin, level, whether they are refused."""
    with _operator(db, keys) as operate:
        rows = operate("abuse.list")
    for row in rows:
        click.echo(f"{row['domain']}\t{row['origin']}\t{row['level']:.1f}" + ("\trefused" if row["refused"] else ""))


@abuse.command("clear")
@click.argument("origin", required=False)
@click.option("--domain", default=None, help="Only this tenant.")
@_db
@_keys
def abuse_clear(origin: str | None, domain: str | None, db: str | None, keys: str | None) -> None:
    """Forget ORIGIN, or all of them."""
    with _operator(db, keys) as operate:
        count = operate("abuse.clear", origin=origin, domain=domain)
    click.echo(f"Cleared {count} row(s).")


@main.group()
def keys() -> None:
    """The key file, without which nobody can log in."""


@keys.command("new")
@_db
@_keys
def keys_new(db: str | None, keys: str | None) -> None:
    """Make a new key file for a store whose key file is lost. All passwords must be set anew."""
    from .operate import new_keys

    if not db:
        raise click.UsageError(NO_DB)
    click.echo(f"Wrote {new_keys(db, keys)}. Give every user a new password: limen user passwd NAME.")
