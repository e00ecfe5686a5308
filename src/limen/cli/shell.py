"""`limen shell`: Python with the program at hand."""

from __future__ import annotations

from typing import Any

import click

from .options import db as _db
from .options import keys as _keys


@click.command()
@click.argument("target", required=False)
@click.option("--user", default=None, help="Call services as this user; no password is asked.")
@click.option("--role", "roles", multiple=True, help="With --user, a role; may be given again. Default: user.")
@click.option("--domain", default=None, help="The tenant. Default: the program's.")
@_db
@_keys
@click.option("-c", "code", default=None, help="Run this code and end.")
def shell(
    target: str | None,
    user: str | None,
    roles: tuple[str, ...],
    domain: str | None,
    db: str | None,
    keys: str | None,
    code: str | None,
) -> None:
    """Python with TARGET loaded. At hand are its names, and app, auth, call, client, config, exc, limen, storage."""
    import limen

    from .target import apply, load

    apply(limen.default, (domain,) if domain else (), db, keys, dev=False)
    app = load(target) if target else limen.default
    if app is not limen.default:
        apply(app, (domain,) if domain else (), db, keys, dev=False)
    with limen.PyClient(app, user=user, roles=roles or ("user",), domain=domain) as client:
        names: dict[str, Any] = {
            **_program(target),
            "app": app,
            "auth": app.auth,
            "call": client.call,
            "client": client,
            "config": app.config,
            "exc": limen.exc,
            "limen": limen,
            "storage": app.storage,
        }
        if code is not None:
            _run(code, names)
            return
        who = f"as {user}" if user else "as nobody: --user NAME calls as somebody"
        _interact(names, f'Limen shell on {target or "the default App"}; call("name", …) {who}.')


def _run(code: str, names: dict[str, Any]) -> None:
    """Runs *code*. What it raises is shown from its own first line on: what called it is none of its business."""
    import sys
    import traceback

    import limen

    try:
        exec(compile(code, "-c", "exec"), names)  # noqa: S102  # that is what was asked for
    except limen.exc.Error:
        raise
    except Exception as error:
        own = error.__traceback__ and error.__traceback__.tb_next
        traceback.print_exception(error.with_traceback(own))
        sys.exit(1)


def _program(target: str | None) -> dict[str, Any]:
    """The public names of the module that *target* was."""
    import sys
    from pathlib import Path

    name = (target or "").partition(":")[0]
    module = sys.modules.get(Path(name).stem if name.endswith(".py") else name)
    return {key: value for key, value in vars(module).items() if not key.startswith("_")} if module else {}


def _interact(names: dict[str, Any], banner: str) -> None:
    import sys

    try:
        if not sys.stdin.isatty():
            raise ImportError("IPython is for people")
        from IPython import start_ipython  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        import code

        if sys.stdin.isatty():
            import readline
            import rlcompleter

            readline.set_completer(rlcompleter.Completer(names).complete)
            readline.parse_and_bind("tab: complete")
        code.interact(banner if sys.stdin.isatty() else "", local=names, exitmsg="")
        return
    print(banner)
    start_ipython(argv=["--no-banner"], user_ns=names)
