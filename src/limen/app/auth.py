"""Users: `limen.auth`. Passwords are kept as OPAQUE registration records (docs/security.md), never as themselves.

from limen import auth
auth.setup(storage)                                    # which DataStore keeps accounts, sessions and the ledger
auth.add_user("ada", "correct horse", domain="localhost", roles=["admin"])
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from limen import exc
from limen.base.names import domain_name, user_name
from limen.core.guard.accounts import Account, MachineKey, Permission

if TYPE_CHECKING:
    from limen.core.seal.machine import Credentials

    from .app import App
    from .datastore import DataStore

DEFAULT_ROLE = "user"


class Auth:
    """The accounts of one App. May be used before the server starts, and from any thread while it runs."""

    def __init__(self, app: App) -> None:
        self._app = app

    def setup(self, storage: DataStore) -> None:
        """Says which DataStore keeps accounts, sessions, abuse and settings. Without it: the App's default store.

        Raises `StoreError` once the App has opened its stores.
        """
        self._app.set_auth_storage(storage)

    def add_user(
        self,
        name: str,
        password: str,
        domain: str | None = None,
        roles: Iterable[str] = (),
        profile: Mapping[str, Any] | None = None,
    ) -> bool:
        """Adds a user. True: added. False: that user exists already and is left as it is, so that a program may say
        this at every start.

        *domain*: the tenant, default `config.DOMAIN`; the App answers for it from now on. *roles*: the first is
        `get_state().role`; default 'user'. *profile*: JSON-like values for `get_state().profile`.
        Takes about 0.2 s (Argon2id). Raises `InvalidCredential` for a name or password that can't be one.
        """
        tenant, user = self._names(name, domain)
        self._app.domains.add(tenant)
        if self._app.vault.accounts.get(tenant, user) is not None:
            return False
        # A server that stopped while it removed somebody of that name may have left a slot of theirs.
        self._app.end_sessions(tenant, user)
        account = self._account(tenant, user, password, tuple(roles) or (DEFAULT_ROLE,), dict(profile or {}))
        return self._added(account)

    def set_password(self, name: str, password: str, domain: str | None = None) -> None:
        """Gives a user a new password; all of that user's sessions end. Raises `RecordNotFound`."""
        tenant, user = self._names(name, domain)
        old = self._get(tenant, user)
        fresh = self._account(tenant, user, password, old.roles, dict(old.profile))
        # Before: should the machine stop in between, no session outlives the old password. After: nor does one that
        # began with it meanwhile.
        self._app.end_sessions(tenant, user, why="password")
        self._change(tenant, user, "password", record=fresh.record, key_number=fresh.key_number)
        self._app.end_sessions(tenant, user, why="password")

    def set_roles(self, name: str, roles: Iterable[str], domain: str | None = None) -> None:
        """Gives a user other roles; they hold from the next login or resume. Where they let the user act as others no
        more, sessions that do so end. Raises `RecordNotFound`."""
        tenant, user = self._names(name, domain)
        self._change(tenant, user, "roles", roles=tuple(roles) or (DEFAULT_ROLE,))
        self._end_acting(tenant, user)

    def set_profile(self, name: str, profile: Mapping[str, Any], domain: str | None = None) -> None:
        """Changes what is kept of a user: the values of *profile* are put into theirs, None takes one out. It holds
        from the next login or return of a session. Raises `RecordNotFound`."""
        tenant, user = self._names(name, domain)
        known = dict(self._get(tenant, user).profile) | dict(profile)
        self._change(tenant, user, "profile", profile={key: value for key, value in known.items() if value is not None})

    def disable(self, name: str, domain: str | None = None, disabled: bool = True) -> None:
        """Shuts a user out (or lets them in again); their sessions end. Raises `RecordNotFound`."""
        tenant, user = self._names(name, domain)
        self._change(tenant, user, "disabled" if disabled else "enabled", disabled=disabled)
        if disabled:
            self._app.end_sessions(tenant, user, why="disabled")

    def remove_user(self, name: str, domain: str | None = None, *, erase: bool = False) -> bool:
        """Removes a user; their sessions end. False: there was none.

        With *erase* nothing tells any more who that was, where the law asks for it: the account is taken out of the
        history with all its versions, the abuse ledger forgets the name, and in all that the user ever wrote stands a
        pseudonym instead, the same everywhere ("erased-" and 16 hexadecimal digits). The transactions that did it,
        "erase a person", are the proof. Records of the program's own are not looked at: `db.forget` erases those. Also
        for users who were removed before; doing it again goes on where it was interrupted.
        """
        tenant, user = self._names(name, domain)
        if erase:
            return self._erase(tenant, user)
        # The slots that are kept where the account is end with it. Those that are kept elsewhere end before: should the
        # machine stop in between, none is left for whoever gets that name next. After: nor is one that began meanwhile.
        self._app.end_sessions(tenant, user, why="removed")
        found = self._app.vault.accounts.remove(tenant, user, reason="removed")
        self._app.end_sessions(tenant, user, why="removed")
        self._note("removed", tenant, user)
        return found

    def _erase(self, domain: str, user: str) -> bool:
        from limen.core.seal.kdf import hkdf_expand, lp  # heavy, and needed only here
        from limen.store.rows import by_caller

        app, vault, reason = self._app, self._app.vault, "erase a person"
        app.end_sessions(domain, user, why="removed")
        found = vault.accounts.remove(domain, user, reason=reason, erase=True)
        self._note("erased", domain, "")  # whose name is to be forgotten
        app.end_sessions(domain, user, why="removed")
        app.on_loop(lambda: vault.ledger.forget(domain, user))
        vault.ledger_store.forget(domain, user)
        # Made with the key file: the same whenever it is asked for, and nothing that can be computed from the database.
        digits = hkdf_expand(vault.keys.domain(domain).fake_key, lp("erased", user), 8).hex()
        for records in app.record_stores():
            found = bool(records.forget_user(by_caller(domain, reason), user, f"erased-{digits}")) or found
        return found

    def users(self, domain: str | None = None) -> list[Account]:
        """All users, or those of one domain, ordered by domain and name."""
        return self._app.vault.accounts.list(domain_name(domain) if domain else None)

    # -- machines ---------------------------------------------------------------------------------------------------
    def add_machine(
        self,
        name: str,
        domain: str | None = None,
        roles: Iterable[str] = (),
        profile: Mapping[str, Any] | None = None,
    ) -> bool:
        """Adds a user without a password, who comes in with a key (`add_key`); arguments and result as `add_user`."""
        tenant, user = self._names(name, domain)
        self._app.domains.add(tenant)
        if self._app.vault.accounts.get(tenant, user) is not None:
            return False
        self._app.end_sessions(tenant, user)  # as in add_user
        roles = tuple(roles) or (DEFAULT_ROLE,)
        account = Account(tenant, user, b"", 1, roles, dict(profile or {}), created=time.time())
        return self._added(account)

    def add_key(
        self, name: str, domain: str | None = None, *, kind: str = "x25519", public: bytes | None = None
    ) -> Credentials:
        """Gives a user one more key, and gives what the program that comes in with it must know: keep it secret.

        *kind*: "x25519" for sealed sessions, "ed25519" for WAMP's cryptosign, "http" for signed requests. *public*:
        the public half (32 bytes), where the private one was made elsewhere; `private` is then ''.

        Raises `RecordNotFound`, and `InvalidCredential` where that key is known already or can't be one.
        """
        from . import machines

        tenant, user = self._names(name, domain)
        self._get(tenant, user)
        made = machines.add_key(self._app.vault, tenant, user, kind, public)
        self._note("key added", tenant, user, key=made.id)
        return made

    def remove_key(self, id: str, domain: str | None = None) -> bool:
        """Removes the key of that *id* (hexadecimal, as `keys` has it in `MachineKey.id`); the sessions that came in
        with it end. False: there was none."""
        from . import machines

        tenant = domain_name(domain or self._app.config.DOMAIN)
        removed = machines.remove_key(self._app, tenant, id)
        if removed:
            self._note("key removed", tenant, "", key=id)
        return removed

    def keys(self, name: str | None = None, domain: str | None = None) -> list[MachineKey]:
        """All keys of machines, or those of one user or domain."""
        user = None if name is None else user_name(name)
        tenant = domain_name(domain or self._app.config.DOMAIN) if domain or user else None
        return self._app.vault.machines.list(tenant, user)

    # -- sessions -----------------------------------------------------------------------------------------------
    def sessions(self, name: str | None = None, domain: str | None = None) -> list[dict[str, Any]]:
        """The sessions of a user, or of all, the oldest first: dicts of `domain`, `user`, `id`, `kind` ("tab", "lane"
        or "child"), `opened`, `used`, `login` (seconds since 1970), `origin`, `acting` (as whom, or ''), `parent` (the
        id of the session that let it in, or ''). `used` is behind by up to a minute."""
        tenant = domain_name(domain) if domain else self._app.config.DOMAIN if name else None
        found = self._app.vault.slots.list(tenant, user_name(name) if name else None)
        return [{"domain": slot.domain, "user": slot.user, **slot.shown()} for slot in found]

    def end_sessions(self, name: str, domain: str | None = None) -> int:
        """Ends all sessions of a user, who may log in again; gives how many. Raises `RecordNotFound`."""
        tenant, user = self._names(name, domain)
        self._get(tenant, user)
        return self._app.end_sessions(tenant, user)

    # -- permissions --------------------------------------------------------------------------------------------
    def grant(self, role: str, pattern: str, domain: str | None = None) -> bool:
        """Lets users with *role* use *pattern*: the address of a service or topic, "ward.close", or "ward." for ward
        and all below it. From then on that address is closed to all roles that were not granted it; of several
        patterns the longest decides. It holds at once, here and within a second in other processes of the same
        database. False: it was granted already. Raises InvalidAddress."""
        return self._permission("granted", role, pattern, domain, self._app.permissions.grant)

    def revoke(self, role: str, pattern: str, domain: str | None = None) -> bool:
        """Takes back what `grant` gave. False: it was not granted. An address that no pattern names any more is open
        to whom the program lets."""
        return self._permission("revoked", role, pattern, domain, self._app.permissions.revoke)

    def permissions(self, domain: str | None = None) -> list[Permission]:
        """All that was granted, or what was in one domain, ordered by domain, pattern and role."""
        return self._app.permissions.list(domain)

    def _end_acting(self, domain: str, user: str) -> None:
        """Ends the sessions in which *user* acts as somebody else, unless their roles let them."""
        from limen.door.hub.identity import may_act

        app, slots = self._app, self._app.vault.slots
        acting = [slot for slot in slots.list(domain, user) if slot.acting]
        if not acting or may_act(self._get(domain, user), app.config.domain(domain)):
            return
        gone = [over for slot in acting for over in slots.remove(domain, slot.handle)]
        app.vault.accounts.tell_ended(domain, user)
        if app.hub is not None:
            app.hub.loop.call_soon_threadsafe(app.hub.logins.slots_over, gone, "ended")

    def _names(self, name: str, domain: str | None) -> tuple[str, str]:
        return domain_name(domain or self._app.config.DOMAIN), user_name(name)

    def _get(self, domain: str, user: str) -> Account:
        account = self._app.vault.accounts.get(domain, user)
        if account is None:
            raise _unknown(domain, user)
        return account

    def _change(self, domain: str, user: str, reason: str, **changes: Any) -> None:
        """Changes these attributes of an account, and no other, whoever changes it at the same time."""
        if self._app.vault.accounts.update(domain, user, reason=reason, **changes) is None:
            raise _unknown(domain, user)
        self._note(reason, domain, user)

    def _added(self, account: Account) -> bool:
        added = self._app.vault.accounts.put(account, create=True, reason="added")
        if added:
            self._note("added", account.domain, account.user)
        return added

    def _permission(self, did: str, role: str, pattern: str, domain: str | None, do: Callable[..., bool]) -> bool:
        done = do(role, pattern, domain)
        if done:
            tenant = domain_name(domain or self._app.config.DOMAIN)
            self._app.note("permission", did=did, domain=tenant, role=role, pattern=pattern)
        return done

    def _note(self, did: str, domain: str, user: str, **facts: object) -> None:
        """For the log: an account was changed."""
        self._app.note("account", did=did, domain=domain, user=user, **facts)

    def _account(
        self, domain: str, user: str, password: str, roles: tuple[str, ...], profile: dict[str, Any]
    ) -> Account:
        from limen.core.seal.login import make_record  # heavy, and needed only here

        keys = self._app.vault.keys.domain(domain)
        record = make_record(keys, user, password, entropy=secrets.token_bytes(96))
        return Account(domain, user, record, keys.number, roles, profile, created=time.time())


def _unknown(domain: str, user: str) -> exc.RecordNotFound:
    return exc.RecordNotFound(f"There is no user {user!r} in {domain!r}.")
