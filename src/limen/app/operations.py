"""What an operator may ask of a running App, or of its files when none runs: users and the abuse ledger.

One table, two ways in: `limen.app.control` carries the same operations over the Unix socket of a running server.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from limen import exc
from limen.base.names import domain_name, long_enough

from .seen import seen_operations

if TYPE_CHECKING:
    from .app import App

Operation = Callable[..., Any]


def operations(app: App) -> dict[str, Operation]:
    """Name to function; each takes JSON-like keyword arguments and gives a JSON-like value."""
    auth = app.auth

    def refuse_strange(domain: str) -> None:
        if app.hub is not None and app.domain_of(domain_name(domain)) != domain_name(domain):
            # nobody could log in, and nobody would know why
            raise exc.InvalidAddress(
                f"The server that runs here does not answer for {domain!r}, but for "
                f"{', '.join(sorted({app.config.DOMAIN, *app.domains}))}; say --domain, here or to `limen serve`."
            )

    def refuse_short(password: str, domain: str) -> None:
        long_enough(password, app.config.domain(domain_name(domain)).PASSWORD_MIN_LENGTH)

    def user_add(name: str, password: str, domain: str, roles: list[str] | None = None) -> None:
        refuse_strange(domain)
        refuse_short(password, domain)
        if not auth.add_user(name, password, domain, roles or ()):
            raise exc.Error(f"There is a user {name!r} in {domain!r} already; `limen user passwd` sets a new password.")

    def user_list(domain: str | None = None) -> list[dict[str, Any]]:
        return [
            {"domain": a.domain, "user": a.user, "roles": list(a.roles), "disabled": a.disabled}
            for a in auth.users(domain)
        ]

    def user_passwd(name: str, password: str, domain: str) -> None:
        refuse_short(password, domain)
        auth.set_password(name, password, domain)

    def user_remove(name: str, domain: str, erase: bool = False) -> None:
        if not auth.remove_user(name, domain, erase=erase):
            raise exc.RecordNotFound(f"There is no user {name!r} in {domain!r}.")

    def key_new(
        name: str, domain: str, roles: list[str] | None = None, kind: str = "x25519", public: str | None = None
    ) -> dict[str, Any]:
        refuse_strange(domain)
        if not auth.add_machine(name, domain, roles or ()) and roles:
            raise exc.Error(f"There is a user {name!r} in {domain!r} already, who keeps their roles: leave --role out.")
        made = auth.add_key(name, domain, kind=kind, public=None if public is None else _hexadecimal(public))
        return asdict(made)

    def key_list(domain: str | None = None) -> list[dict[str, Any]]:
        return [
            {"domain": key.domain, "user": key.user, "id": key.id.hex(), "kind": key.kind, "created": key.created}
            for key in auth.keys(domain=domain)
        ]

    def key_remove(id: str, domain: str) -> None:
        if not auth.remove_key(id, domain):
            raise exc.RecordNotFound(f"There is no key {id!r} in {domain!r}; `limen key list` shows them.")

    def user_set(name: str, domain: str, roles: list[str] | None = None, profile: dict[str, Any] | None = None) -> None:
        if roles:
            auth.set_roles(name, roles, domain)
        if profile:
            auth.set_profile(name, profile, domain)

    def user_disable(name: str, domain: str, disabled: bool = True) -> None:
        auth.disable(name, domain, disabled)

    def user_sessions(name: str | None = None, domain: str | None = None) -> list[dict[str, Any]]:
        return auth.sessions(name, domain)

    def user_end(name: str, domain: str) -> int:
        return auth.end_sessions(name, domain)

    def permission_list(domain: str | None = None) -> list[dict[str, Any]]:
        return [{"domain": p.domain, "role": p.role, "pattern": p.pattern} for p in auth.permissions(domain)]

    def explain_(user: str, name: str, domain: str | None = None) -> list[dict[str, Any]]:
        from .explain import explain

        return explain(app, user, name, domain)

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
        hub, vault = app.hub, app.vault
        if hub is None:
            count = vault.ledger.clear(domain, origin)
            vault.ledger_store.clear(domain, origin)
            return count

        async def forget() -> int:
            count = await hub.gate.forget(domain, origin)
            if hub.across is not None:
                await hub.across.clear(domain, origin)
            return count

        async def clear() -> int:
            count = await forget()
            await asyncio.to_thread(vault.ledger_store.clear, domain, origin)
            await forget()  # what a worker read from the store before that
            return count

        return asyncio.run_coroutine_threadsafe(clear(), hub.loop).result(30)

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
        "key.new": key_new,
        "key.list": key_list,
        "key.remove": key_remove,
        "user.set": user_set,
        "user.disable": user_disable,
        "user.sessions": user_sessions,
        "user.end": user_end,
        "permission.grant": auth.grant,
        "permission.revoke": auth.revoke,
        "permission.list": permission_list,
        "explain": explain_,
        "abuse.list": abuse_list,
        "abuse.clear": abuse_clear,
        **seen_operations(lambda: app.hub),
    }


def _hexadecimal(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise exc.InvalidCredential("A public key is written in hexadecimal digits.") from None
