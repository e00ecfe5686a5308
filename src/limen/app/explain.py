"""`limen explain`: why somebody may use an address, or may not, step by step, as the guard of a call goes
(`service/pipeline.py`), by the same functions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from limen.base.names import domain_name, user_name
from limen.base.principal import ANONYMOUS, Principal
from limen.service.guard import has_role, wants_tls, wants_user

if TYPE_CHECKING:
    from limen.service.service import Service
    from limen.service.topic import Topic

    from .app import App

Step = dict[str, Any]
"""*ok*: True, False, or None for what depends on the moment; *says*: a sentence."""


def explain(app: App, user: str, name: str, domain: str | None = None) -> list[Step]:
    """The steps, the last of which is the verdict: None where it depends on something that was said before.

    *user*: a name, or "anonymous" for whoever has not logged in. *name*: of a service or a topic.
    """
    tenant = domain_name(domain or app.config.DOMAIN)
    uri = name.strip("/").removesuffix(".json").replace("/", ".")
    steps: list[Step] = []

    def step(ok: bool | None, says: str) -> bool:
        steps.append({"ok": ok, "says": says})
        return ok is not False

    def verdict() -> list[Step]:
        answers = [each["ok"] for each in steps]
        ok = False if False in answers else None if None in answers else True
        says = {True: "So they may.", False: "So they may not.", None: "So they may, if what is marked with ? holds."}
        steps.append({"ok": ok, "says": says[ok]})
        return steps

    service, topic = app.registry.by_uri(uri), app.registry.topic(uri)
    there: Service | Topic | None = service or topic
    if there is None:
        step(False, f"No service and no topic of this program stands at {uri!r}.")
        return verdict()
    step(True, f"{uri} is a {'service' if service is not None else 'topic'} of this program.")
    principal = _principal(app, user, tenant, step)
    if principal is None:
        return verdict()
    if service is not None and wants_tls(service, development=app.config.IS_DEVELOPMENT):
        step(None, "It is only offered over TLS (ssl); calls in the same process are not asked.")
    elif service is not None:
        lax = wants_tls(service, development=False)
        step(True, "It asks for TLS, but not in development." if lax else "It does not ask for TLS.")
    if wants_user(there):
        known = principal.user is not None
        step(known, "It is for users in a sealed session (safe)." + ("" if known else " Log in first."))
    else:
        step(True, "It is for everybody (safe=False).")
    if there.roles:
        step(has_role(principal.roles, there.roles), f"The program asks for a role: {', '.join(there.roles)}.")
    else:
        step(True, "The program asks for no role.")
    rule = app.permissions.rulebook.rule(tenant, uri)
    if rule is None:
        step(True, f"No permission names it in {tenant}: it is open to all roles.")
    else:
        allowed = app.permissions.rulebook.allows(principal, uri)
        step(allowed, f"The permission {rule[0]!r} decides: it is for {', '.join(sorted(rule[1]))}.")
    if there.check_perm is not None:
        step(None, f"The program asks {_name(there.check_perm)} at each call (check_perm); it was not asked now.")
    if service is not None and principal.user is None and service.check_abusive:
        _abuse(app, tenant, step)
    return verdict()


def _principal(app: App, user: str, domain: str, step: Any) -> Principal | None:
    """Who that is, with roles as they are now; None where they can't log in."""
    if user == ANONYMOUS:
        step(True, "Whoever has not logged in has the role anonymous.")
        return Principal(domain)
    name = user_name(user)
    account = app.vault.accounts.get(domain, name)
    if account is None:
        step(False, f"There is no user {name!r} in {domain!r}.")
        return None
    if account.disabled:
        step(False, f"{name} in {domain} is disabled: nobody can log in as them.")
        return None
    roles = account.roles or ("user",)
    step(True, f"{name} in {domain} has {'the roles' if len(roles) > 1 else 'the role'} {', '.join(roles)}.")
    return Principal(domain, user=name, roles=roles, sealed=True)


def _abuse(app: App, domain: str, step: Any) -> None:
    ledger, now = app.vault.ledger, time.time()
    refused = [o for d, o, _ in app.on_loop(lambda: ledger.levels(now)) if d == domain and ledger.refused(d, o, now)]
    if refused:
        step(None, f"Not from {', '.join(refused)}: refused for abuse at present (limen abuse list).")
    else:
        step(True, "No origin is refused for abuse at present.")


def _name(function: Any) -> str:
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', function)}"
