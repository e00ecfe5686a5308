"""`limen db`: the database as a whole. Each command is a thin door to a function of `limen.store.sql`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import click

from limen import exc

from .options import NO_DB
from .options import db as _db
from .options import keys as _keys

_file = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))


@click.group()
def db() -> None:
    """The database: init, migrate, status, check, backup, restore, prune."""


@db.command("init")
@_db
def init(db: str | None) -> None:
    """Make the database, if it is not there."""
    from limen.store.sql import SQLStore, schema
    from limen.store.sql.maintenance.database import found_at, shown, sqlite_path

    url = _said(db)
    path = sqlite_path(url)
    if path is None or path.exists():
        found = found_at(url)
        if schema.usable(found, path or shown(url), url):
            click.echo(f"There is a database at {shown(url)} already (schema {found}).")
            return
    SQLStore(url).close()
    click.echo(f"Made a database at {shown(url)} (schema {schema.SCHEMA}).")


@db.command("migrate")
@_db
def migrate(db: str | None) -> None:
    """Bring a database that an older Limen made to the newest schema. No server may run."""
    from limen.store.sql.maintenance.database import shown
    from limen.store.sql.maintenance.migrate import migrate

    url = _said(db)
    with Progress() as progress:
        done = migrate(url, progress)
    if done.before == done.after:
        click.echo(f"{shown(url)} has the newest schema ({done.after}): nothing to do.")
        return
    click.echo(f"Migrated {shown(url)} from schema {done.before} to {done.after}. All sessions have ended.")
    if done.kept is not None:
        click.echo(f"What it was before is kept in {done.kept}; remove that when all is well.")


@db.command("status")
@_db
def status(db: str | None) -> None:
    """Show what is in the database, and whether a server runs on it."""
    from limen.store.sql.maintenance.status import status

    for name, value in status(_said(db)):
        click.echo(f"{name:<10}  {value}".rstrip())


@db.command("check")
@_db
def check(db: str | None) -> None:
    """Look through the whole database, and say what is wrong; exit code 1 where something is."""
    from limen.store.sql.maintenance.check import check
    from limen.store.sql.maintenance.database import shown

    url, wrong = _said(db), 0
    with Progress() as progress:
        for sentence in check(url, progress):
            wrong += 1
            progress.pause()
            click.echo(sentence)
    if wrong:
        raise exc.StoreError(f"{shown(url)}: {wrong} thing(s) are wrong. Put back a backup: limen db restore FILE.")
    click.echo(f"{shown(url)}: nothing is wrong.")


@db.command("backup")
@_file
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@_db
@_keys
def backup(file: Path, force: bool, db: str | None, keys: str | None) -> None:
    """Write a backup into FILE, while servers go on. It is an SQLite file, whichever store it is of."""
    from limen.store.sql.maintenance.backup import backup

    url = _said(db)
    with Progress() as progress:
        size = backup(url, file, force=force, progress=progress)
    click.echo(f"Wrote {file} ({_size(size)}).")
    key_file = _key_file(url, keys)
    if key_file is not None:
        click.echo(
            f"The key file {key_file} is not in it. Keep a copy of that, too, elsewhere: without it nobody can log in."
        )


@db.command("restore")
@_file
@click.option("--replace", is_flag=True, help="Put it in the place of a database that has something in it.")
@click.option("--yes", is_flag=True, help="With --replace: do not ask.")
@_db
@_keys
def restore(file: Path, replace: bool, yes: bool, db: str | None, keys: str | None) -> None:
    """Make the backup FILE the database. No server may run; all sessions end."""
    from limen.store.sql.maintenance.database import shown
    from limen.store.sql.maintenance.restore import restore

    url = _said(db)
    if replace and not yes:
        click.confirm(f"Replace all that is in {shown(url)} by {file}?", abort=True)
    with Progress() as progress:
        done = restore(file, url, replace=replace, progress=progress)
    click.echo(
        f"Restored {done.records} record(s) of {done.domains} domain(s) to {shown(url)}. All sessions have ended."
    )
    key_file = _key_file(url, keys)
    if key_file is not None and not key_file.exists():
        click.echo(f"Put the key file of that time at {key_file}: without it nobody can log in.")


@db.command("prune")
@click.option("--app", "target", required=True, help="The program whose models say how much is kept; as for `serve`.")
@_db
def prune(target: str, db: str | None) -> None:
    """Drop versions that the models of a program do not ask to be kept. Servers may go on."""
    import limen
    from limen.store.sql import schema
    from limen.store.sql.maintenance.database import found_at, shown

    from .target import load

    url = _said(db)
    if not schema.usable(found_at(url), shown(url), url):
        raise exc.StoreError(f"There is nothing in {shown(url)}.")
    limen.default.config.DB = url
    app = load(target)
    app.config.DB = url
    total = 0
    for model, records in app.storage.models():
        if model.keep is not None:
            dropped = sum(records.prune(domain, model.name, model.keep, time.time()) for domain in records.domains())
            click.echo(f"{model.name}: dropped {dropped} version(s).")
            total += dropped
    if not total:
        click.echo("Nothing was to be dropped.")


def _said(url: str | None) -> str:
    if not url:
        raise click.UsageError(NO_DB)
    return url


def _key_file(url: str, keys: str | None) -> Path | None:
    from limen.app.vault import own_path
    from limen.store.keyfile import keys_path

    return keys_path(own_path(url), keys or "")


def _size(size: int) -> str:
    """
    >>> _size(12), _size(1_234_567)
    ('0.0 MB', '1.2 MB')
    """
    return f"{size / 1e6:.1f} MB"


class Progress:
    """Shows on standard error how far a long work is: as a bar on a terminal, else as a line now and then."""

    SLOW = 1.0
    """Seconds after which a terminal is shown a bar."""
    SEEN = 10.0
    """Seconds between two lines."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._what, self._bar = "", None
        self._since = time.monotonic()

    _bar: Any

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if what != self._what:
            self.pause()
            self._what, self._since = what, now
        if self._terminal:
            if self._bar is None and now - self._since >= self.SLOW and done < total:
                self._bar = click.progressbar(length=total, label=what, file=sys.stderr).__enter__()
            if self._bar is not None:
                self._bar.update(done - self._bar.pos)
        elif now - self._since >= self.SEEN:
            self._since = now
            click.echo(f"{what}: {done} of {total}", err=True)

    def pause(self) -> None:
        """Leaves the bar, so that a line can be written."""
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.pause()
