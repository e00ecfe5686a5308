"""Accounts as records of any store, and their profiles, perhaps in another.

    limen.login     the whole account as it is now, OPAQUE record included: one read is all a login asks. No history:
                    what a password was must not be learnt from a backup
    limen.account   roles, whether it is disabled, how many passwords it has had: who changed that, when and why
    limen.profile   the profile, with its history; all its versions are erased when the account is removed
    limen.ended     of each domain: whose sessions ended lately, for the other servers of the database; no history

The first three are under the same key, made of the user's name, and written in one transaction; `limen.login` is in
each of them, so that of two who change an account at once one finds it changed, and does it again.

Where profiles are kept in another store, this store decides all the same: `limen.profile` is written here, in the one
transaction, and the other store follows its log (`follow.py`). `limen.login` then says which edition of the profile it
goes with, and who reads an account whose profile is not there yet brings it there first, or says that it can't.
"""

from __future__ import annotations

import builtins
import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from itertools import count
from typing import Any

import msgspec

from limen import exc
from limen.base import values
from limen.core.guard.accounts import Account
from limen.core.record.port import ERASE, RecordStore, Version

from .ended import ended_since, telling
from .follow import Follower
from .machinekeys import ending_keys
from .rows import Edit, alive, by_caller, drop, everything, key, own, put, until_fresh
from .slots import ending

log = logging.getLogger("limen")
LOGIN = "limen.login"
ACCOUNT = "limen.account"
PROFILE = "limen.profile"
_Make = Callable[[Account | None], Account | None]


class _Login(msgspec.Struct):
    user: str
    record: bytes
    key_number: int
    roles: tuple[str, ...]
    disabled: bool
    created: float
    edition: int
    """The version of the profile that goes with it."""
    profile: Any = None
    """None where profiles are kept in another store."""


class _About(msgspec.Struct):
    user: str
    roles: tuple[str, ...]
    disabled: bool
    created: float
    passwords: int
    """So many passwords were set: where this rises in the history, one was."""


class _Profile(msgspec.Struct):
    user: str
    edition: int
    profile: Any


_login = msgspec.json.Decoder(_Login).decode
_about = msgspec.json.Decoder(_About).decode
_profile = msgspec.json.Decoder(_Profile).decode
_encode = msgspec.json.Encoder().encode


class Accounts:
    """See `limen.core.guard.accounts.AccountStore`.

    *records*: where roles and passwords are, and the slots that end with an account if they are there too. *profiles*:
    where profiles are, if that is another store. *alone*: nobody changes accounts in *records* but through this object.

    >>> from limen.store.memory import MemDictStore
    >>> accounts = Accounts(MemDictStore().records)
    >>> accounts.put(Account("localhost", "ada", b"", 1, roles=("admin",)), create=True)
    True
    >>> accounts.get("localhost", "ada").roles, accounts.get("localhost", "bob")
    (('admin',), None)
    """

    def __init__(self, records: RecordStore, profiles: RecordStore | None = None, *, alone: bool = True) -> None:
        self._records = records
        self._profiles = None if profiles is records else profiles
        self._follower = None
        if self._profiles is not None:
            self._follower = Follower(records, self._profiles, {PROFILE}, name="profile")
        self._alone = alone
        self._changes = 0
        self._asked = count(-1, -1)

    @property
    def changes(self) -> int:
        return self._changes if self._alone else next(self._asked)

    def get(self, domain: str, user: str) -> Account | None:
        uuid = key(user)
        version = alive(self._records.read(domain, LOGIN, uuid)[1])
        if self._profiles is None:
            return None if version is None else _account(domain, user, _login(version.fields))
        profile = self._profiles.read(domain, PROFILE, uuid)[1]  # asked for unknown users too: alike for both
        return None if version is None else self._with_profile(domain, user, version, profile)

    def put(self, account: Account, *, create: bool = False, reason: str = "") -> bool:
        def make(old: Account | None) -> Account | None:
            return None if create and old is not None else account

        return self._write(account.domain, account.user, make, reason) is not None

    def update(self, domain: str, user: str, *, reason: str = "", **changes: Any) -> Account | None:
        def make(old: Account | None) -> Account | None:
            return None if old is None else replace(old, **changes)

        return self._write(domain, user, make, reason)

    def remove(self, domain: str, user: str, *, reason: str = "", erase: bool = False) -> bool:
        found = until_fresh(lambda: self._remove(domain, user, reason, erase))
        if found:
            self._done(domain)
        return found

    def list(self, domain: str | None = None) -> builtins.list[Account]:
        names = self._records.domains() if domain is None else [domain]
        users = [(name, _login(row.fields).user) for name in names for row in everything(self._records, name, LOGIN)]
        return [account for name, user in sorted(users) if (account := self.get(name, user)) is not None]

    def ended(self, domain: str, since: int | None) -> tuple[int, Collection[str] | None]:
        return ended_since(self._records, domain, since)

    def tell_ended(self, domain: str, user: str) -> None:
        def work() -> None:
            edit = Edit(self._records, domain)
            edit.commit(own(domain), [telling(edit, user)])

        if not self._alone:
            until_fresh(work)

    def recover(self) -> None:
        """Brings profiles to where this store is, should a server have stopped in between. For a server's start."""
        if self._follower is not None:
            for domain in self._records.domains():
                self._follower.follow(domain)

    # -- inside ------------------------------------------------------------------------------------
    def _write(self, domain: str, user: str, make: _Make, reason: str) -> Account | None:
        """Puts what *make* makes of the account in its place; None where it makes nothing of it."""

        def work() -> Account | None:
            edit, uuid = Edit(self._records, domain), key(user)
            login, about, profile = (edit.read(model, uuid) for model in (LOGIN, ACCOUNT, PROFILE))
            there = None if login is None or login.deleted else _login(login.fields)
            old = None if there is None else _account(domain, user, there, _profile_of(profile))
            account = make(old)
            if account is None:
                return None
            shown = values.tag(dict(account.profile), "json")
            changes = []
            edition = profile.vsn if profile is not None else 0
            if old is None or alive(profile) is None or dict(account.profile) != dict(old.profile):
                edition += 1
                changes.append(put(PROFILE, uuid, profile, _text(_Profile(user, edition, shown))))
            passwords = 0 if about is None or about.deleted else _about(about.fields).passwords
            passwords += there is None or there.record != account.record
            told = _text(_About(user, account.roles, account.disabled, account.created, passwords))
            if about is None or about.deleted or about.fields != told:
                changes.append(put(ACCOUNT, uuid, about, told))
            roles, disabled, created = account.roles, account.disabled, account.created
            now = _Login(user, account.record, account.key_number, roles, disabled, created, edition)
            if self._profiles is None:
                now.profile = shown
            if old is not None and (old.record != account.record or account.disabled > old.disabled):
                changes += [] if self._alone else [telling(edit, user)]
            edit.commit(by_caller(domain, reason), [*changes, put(LOGIN, uuid, login, _text(now), keep=0)])
            return account

        done = until_fresh(work)
        if done is not None:
            self._done(domain)
        return done

    def _remove(self, domain: str, user: str, reason: str, erase: bool) -> bool:
        edit, uuid = Edit(self._records, domain), key(user)
        login, about, profile = (edit.read(model, uuid) for model in (LOGIN, ACCOUNT, PROFILE))
        found = alive(login) is not None
        changes = [*ending(edit, user), *ending_keys(edit, user)]
        if login is not None and not login.deleted:
            changes.append(drop(LOGIN, login, keep=0))
        if about is not None and erase and not about.erased:
            changes.append(drop(ACCOUNT, about, kind=ERASE))
            found = True
        elif about is not None and not about.deleted:
            changes.append(drop(ACCOUNT, about))
        if profile is not None and not profile.erased:
            changes.append(drop(PROFILE, profile, kind=ERASE))
        if changes:
            changes += [] if self._alone else [telling(edit, user, unnamed=erase)]
            edit.commit(by_caller(domain, reason), changes)
        return found

    def _done(self, domain: str) -> None:
        """The account is another one. Only now: what is read from here on has it."""
        self._changes += 1
        if self._follower is not None:
            try:
                self._follower.follow(domain)
            except exc.StoreError:  # it is decided; whoever needs the profile tries again
                log.exception("The store of profiles is behind that of permissions")

    def _with_profile(self, domain: str, user: str, version: Version, profile: Version | None) -> Account | None:
        """The account and its profile from the other store, at least of the edition that goes with it."""
        assert self._follower is not None
        assert self._profiles is not None
        login = _login(version.fields)
        there = _profile_of(profile)
        if there is None or there.edition < login.edition:
            self._follower.follow(domain)
            there = _profile_of(self._profiles.read(domain, PROFILE, key(user))[1])
            if there is None or there.edition < login.edition:
                if alive(self._records.read(domain, LOGIN, key(user))[1]) is None:
                    return None  # it was removed meanwhile
                raise exc.StoreError("The store of profiles has not followed that of permissions yet; try again.")
        return _account(domain, user, login, there)


def _account(domain: str, user: str, login: _Login, profile: _Profile | None = None) -> Account | None:
    if login.user != user:
        return None
    shown = login.profile if profile is None else profile.profile
    return Account(
        domain,
        user,
        login.record,
        login.key_number,
        login.roles,
        values.untag(shown, "json") if shown else {},
        login.disabled,
        login.created,
    )


def _profile_of(version: Version | None) -> _Profile | None:
    there = alive(version)
    return None if there is None else _profile(there.fields)


def _text(row: msgspec.Struct) -> str:
    return _encode(row).decode()
