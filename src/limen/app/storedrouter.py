"""The App behind a router with sealed logins: it keeps users, their sessions and the ledger, and has no services.

`limen user add NAME --db URL --domain REALM` adds one; a user comes into the realm of that name, and no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from limen import exc
from limen.base.names import domain_name

from .app import App

if TYPE_CHECKING:
    from limen.door.router.config import Settings, Store


def app_of(store: Store) -> App:
    """The App; `answer_for` says which tenants it has."""
    app = App()
    app.config.DB, app.config.KEYS = store.db, store.keys
    return app


def answer_for(app: App, settings: Settings) -> None:
    """The tenants of *app* are the realms of *settings* whose names are host names."""
    names = [realm.name for realm in settings.realms if is_tenant(realm.name)]
    if names:
        app.config.DOMAIN, app.domains = names[0], set(names[1:])


def is_tenant(name: str) -> bool:
    """Whether a realm may be a tenant: sealed logins bind a host name.

    >>> is_tenant("clinic.example"), is_tenant("com.example.Realm"), is_tenant("realm1")
    (True, False, True)
    """
    try:
        return domain_name(name) == name
    except exc.InvalidAddress:
        return False
