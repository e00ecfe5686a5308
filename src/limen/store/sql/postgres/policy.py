"""Row level security: on PostgreSQL, what a connection sees is one tenant's, also where a statement forgets to say so.

The engine says whose rows a connection may see by the setting `limen.domain`: `=` and the name of the domain, or `*`
for the store's own maintenance. A connection that says nothing sees nothing. Superusers, and roles with BYPASSRLS, are
not held by any policy: Limen should run as an ordinary role, which may own the tables.
"""

from __future__ import annotations

SETTING = "limen.domain"
EVERY = "*"
"""Not one tenant but all: the store's own maintenance."""
_SAID = f"current_setting('{SETTING}', true)"
_NAME = f"substr(nullif({_SAID}, ''), 2)"


def setting(domain: str | None) -> str:
    """What `limen.domain` is set to for the work of *domain* (None: of all), whatever that is called.

    >>> setting("todo.example"), setting(""), setting("*"), setting(None)
    ('=todo.example', '=', '=*', '*')
    """
    return EVERY if domain is None else f"={domain}"


def policy(table: str) -> tuple[str, ...]:
    """The statements that put *table*, which has a column `domain` (or is the table `domain`), under row level
    security. The sub-selects are looked at once for each statement, not once for each row.

    >>> policy("record")[0]
    'ALTER TABLE "record" ENABLE ROW LEVEL SECURITY'
    """
    its = f"name = {_NAME}"
    own = its if table == "domain" else f"domain = (SELECT id FROM domain WHERE {its})"  # noqa: S608 of constants
    return (
        f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY',
        f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY',
        f"CREATE POLICY tenant ON \"{table}\" USING ({own} OR (SELECT {_SAID}) = '{EVERY}')",
    )
