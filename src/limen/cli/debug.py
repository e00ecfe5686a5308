"""`limen debug`: a server in development that a debugger may attach to, or the one that runs already."""

from __future__ import annotations

import sys

import click

from limen.app.debugger import PORT

from .options import db as _db
from .options import keys as _keys


@click.command()
@click.argument("target", required=False)
@click.option("--debug-port", default=PORT, show_default=True, help="Where the debugger attaches, on 127.0.0.1.")
@click.option("--wait", is_flag=True, help="Import the program only when a debugger has attached.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=9000, show_default=True, help="Port; 0 takes a free one.")
@_db
@_keys
def debug(
    target: str | None, debug_port: int, wait: bool, host: str, port: int, db: str | None, keys: str | None
) -> None:
    """Serve TARGET in development, with a debugger (debugpy) listening on loopback. Without TARGET the server that runs
    on --db starts listening, if it was started in development."""
    from limen.app import debugger

    if target is None:
        from .operate import operator

        if not db:
            raise click.UsageError("Say TARGET to serve, or --db of the server that runs.")
        with operator(db, keys, running=True) as operate:
            _say(operate("debug.listen", port=debug_port))
        return
    _say(debugger.listen(debug_port))
    if wait:
        import debugpy

        click.echo("Waiting for a debugger …", err=True)
        debugpy.wait_for_client()
    from .target import serve_target

    sys.exit(serve_target(target, host=host, port=port, db=db, keys=keys, dev=True, reload=False))


def _say(where: str) -> None:
    click.echo(f"A debugger may attach at {where} (VS Code: Run, Start Debugging, Python: Remote Attach).", err=True)
