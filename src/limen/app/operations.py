"""What an operator may ask of a running App, or of its files when none runs: users and the abuse ledger.

One table, two ways in: `limen.app.control` carries the same operations over the Unix socket of a running server.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from limen import exc
from limen.base.names import domain_name

if TYPE_CHECKING:
    from .app import App

Operation = Callable[..., Any]


def operations(app: App) -> dict[str, Operation]:
    """Name to function; each takes JSON-like keyword arguments and gives a JSON-like value."""
    auth = app.auth

    def user_add(name: str, password: str, domain: str, roles: list[str] | None = None) -> None:
        if app.hub is not None and app.domain_of(domain_name(domain)) != domain_name(domain):
            # nobody could log in, and nobody would know why
            raise exc.InvalidAddress(
                f"The server that runs here does not answer for {domain!r}, but for "
                f"{', '.join(sorted({app.config.DOMAIN, *app.domains}))}; say --domain, here or to `limen serve`."
            )
        if not auth.add_user(name, password, domain, roles or ()):
            raise exc.Error(f"There is a user {name!r} in {domain!r} already; `limen user passwd` sets a new password.")

    def user_list(domain: str | None = None) -> list[dict[str, Any]]:
        return [
            {"domain": a.domain, "user": a.user, "roles": list(a.roles), "disabled": a.disabled}
            for a in auth.users(domain)
        ]

    def user_passwd(name: str, password: str, domain: str) -> None:
        auth.set_password(name, password, domain)

    def user_remove(name: str, domain: str, erase: bool = False) -> None:
        if not auth.remove_user(name, domain, erase=erase):
            raise exc.RecordNotFound(f"There is no user {name!r} in {domain!r}.")

    def abuse_list() -> list[dict[str, Any]]:
        now = time.time()
        ledger = app.vault.ledger
        return app.on_loop(
            lambda: [
                {"domain": d, "origin": o, "level": level, "refused": ledger.refused(d, o, now)}
                for d, o, level in ledger.levels(now)
            ]
        )

    def abuse_clear(origin: str | None = None, domain: str | None = None) -> int:
        count = app.on_loop(lambda: app.vault.ledger.clear(domain, origin))
        app.vault.ledger_store.clear(domain, origin)
        return count

    def debug_listen(port: int) -> str:
        if not app.config.IS_DEVELOPMENT:
            raise exc.Forbidden("This server is not in development (--dev): it opens no door for a debugger.")
        from .debugger import listen

        return listen(port)

    return {
        "debug.listen": debug_listen,
        "user.add": user_add,
        "user.list": user_list,
        "user.passwd": user_passwd,
        "user.remove": user_remove,
        "abuse.list": abuse_list,
        "abuse.clear": abuse_clear,
    }
