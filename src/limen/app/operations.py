"""What an operator may ask of a running App, or of its files when none runs: users and the abuse ledger.

One table, two ways in: `limen.app.control` carries the same operations over the Unix socket of a running server.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from limen import exc
from limen.base.names import domain_name, long_enough

from .seen import seen_operations

if TYPE_CHECKING:
    from limen.door.hub.hub import Hub

    from .app import App

Operation = Callable[..., Any]
Rows = list[dict[str, Any]]


def operations(app: App) -> dict[str, Operation]:
    """Name to function; each takes JSON-like keyword arguments and gives a JSON-like value."""
    users, keys, abuse, auth = _Users(app), _Keys(app), _Abuse(app), app.auth
    return {
        "user.add": users.add,
        "user.list": users.list,
        "user.passwd": users.passwd,
        "user.remove": users.remove,
        "user.set": users.set,
        "user.disable": users.disable,
        "user.sessions": auth.sessions,
        "user.end": auth.end_sessions,
        "key.new": keys.new,
        "key.list": keys.list,
        "key.remove": keys.remove,
        "permission.grant": auth.grant,
        "permission.revoke": auth.revoke,
        "permission.list": partial(_permissions, app),
        "explain": partial(_explain, app),
        "abuse.list": abuse.list,
        "abuse.clear": abuse.clear,
        "debug.listen": partial(_listen, app),
        **seen_operations(lambda: app.hub),
    }


class _Users:
    def __init__(self, app: App) -> None:
        self._app, self._auth = app, app.auth

    def add(self, name: str, password: str, domain: str, roles: Sequence[str] | None = None) -> None:
        _refuse_strange(self._app, domain)
        self._refuse_short(password, domain)
        if not self._auth.add_user(name, password, domain, roles or ()):
            raise exc.Error(f"There is a user {name!r} in {domain!r} already; `limen user passwd` sets a new password.")

    def passwd(self, name: str, password: str, domain: str) -> None:
        self._refuse_short(password, domain)
        self._auth.set_password(name, password, domain)

    def _refuse_short(self, password: str, domain: str) -> None:
        long_enough(password, self._app.config.domain(domain_name(domain)).PASSWORD_MIN_LENGTH)

    def remove(self, name: str, domain: str, erase: bool = False) -> None:
        if not self._auth.remove_user(name, domain, erase=erase):
            raise exc.RecordNotFound(f"There is no user {name!r} in {domain!r}.")

    def set(
        self, name: str, domain: str, roles: Sequence[str] | None = None, profile: dict[str, Any] | None = None
    ) -> None:
        if roles:
            self._auth.set_roles(name, roles, domain)
        if profile:
            self._auth.set_profile(name, profile, domain)

    def disable(self, name: str, domain: str, disabled: bool = True) -> None:
        self._auth.disable(name, domain, disabled)

    def list(self, domain: str | None = None) -> Rows:
        return [
            {"domain": a.domain, "user": a.user, "roles": [*a.roles], "disabled": a.disabled}
            for a in self._auth.users(domain)
        ]


class _Keys:
    def __init__(self, app: App) -> None:
        self._app, self._auth = app, app.auth

    def new(
        self,
        name: str,
        domain: str,
        roles: Sequence[str] | None = None,
        kind: str = "x25519",
        public: str | None = None,
    ) -> dict[str, Any]:
        _refuse_strange(self._app, domain)
        if not self._auth.add_machine(name, domain, roles or ()) and roles:
            raise exc.Error(f"There is a user {name!r} in {domain!r} already, who keeps their roles: leave --role out.")
        made = self._auth.add_key(name, domain, kind=kind, public=None if public is None else _hexadecimal(public))
        return asdict(made)

    def remove(self, id: str, domain: str) -> None:
        if not self._auth.remove_key(id, domain):
            raise exc.RecordNotFound(f"There is no key {id!r} in {domain!r}; `limen key list` shows them.")

    def list(self, domain: str | None = None) -> Rows:
        return [
            {"domain": key.domain, "user": key.user, "id": key.id.hex(), "kind": key.kind, "created": key.created}
            for key in self._auth.keys(domain=domain)
        ]


class _Abuse:
    def __init__(self, app: App) -> None:
        self._app, self._vault = app, app.vault

    def list(self) -> Rows:
        now, ledger = time.time(), self._vault.ledger
        return self._app.on_loop(
            lambda: [
                {"domain": d, "origin": o, "level": level, "refused": ledger.refused(d, o, now)}
                for d, o, level in ledger.levels(now)
            ]
        )

    def clear(self, origin: str | None = None, domain: str | None = None) -> int:
        hub, vault = self._app.hub, self._vault
        if hub is None:
            count = vault.ledger.clear(domain, origin)
            vault.ledger_store.clear(domain, origin)
            return count
        return asyncio.run_coroutine_threadsafe(self._clear(hub, domain, origin), hub.loop).result(30)

    async def _clear(self, hub: Hub, domain: str | None, origin: str | None) -> int:
        count = await self._forget(hub, domain, origin)
        await asyncio.to_thread(self._vault.ledger_store.clear, domain, origin)
        await self._forget(hub, domain, origin)  # what a worker read from the store before that
        return count

    async def _forget(self, hub: Hub, domain: str | None, origin: str | None) -> int:
        count = await hub.gate.forget(domain, origin)
        if hub.across is not None:
            await hub.across.clear(domain, origin)
        return count


def _permissions(app: App, domain: str | None = None) -> Rows:
    return [{"domain": p.domain, "role": p.role, "pattern": p.pattern} for p in app.auth.permissions(domain)]


def _explain(app: App, user: str, name: str, domain: str | None = None) -> Rows:
    from .explain import explain

    return explain(app, user, name, domain)


def _listen(app: App, port: int) -> str:
    if not app.config.IS_DEVELOPMENT:
        raise exc.Forbidden("This server is not in development (--dev): it opens no door for a debugger.")
    from .debugger import listen

    return listen(port)


def _refuse_strange(app: App, domain: str) -> None:
    if app.hub is not None and app.domain_of(domain_name(domain)) != domain_name(domain):
        # nobody could log in, and nobody would know why
        raise exc.InvalidAddress(
            f"The server that runs here does not answer for {domain!r}, but for "
            f"{', '.join(sorted({app.config.DOMAIN, *app.domains}))}; say --domain, here or to `limen serve`."
        )


def _hexadecimal(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise exc.InvalidCredential("A public key is written in hexadecimal digits.") from None
