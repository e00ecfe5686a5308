"""What `import limen` loads, and what it leaves until it is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

import limen

NAMES = (
    "asyncio ssl sqlite3 socket logging subprocess concurrent.futures email html http urllib.request uuid decimal "
    "hashlib msgspec cbor2 cryptography rbcl uvicorn uvloop httptools picows click sqlalchemy alembic psycopg pydantic "
    "limen.base.values limen.base.parse limen.base.files limen.base.hict limen.base.limits limen.core limen.store "
    "limen.transport limen.service.pipeline limen.service.binding limen.client limen.web limen.door limen.cli "
    "limen.testing limen.app.datastore limen.app.auth limen.app.hooks limen.app.permissions limen.app.vault "
    "limen.app.running limen.app.pyclient"
)
HEAVY = set(NAMES.split())
DATABASES = {"sqlalchemy", "alembic", "sqlite3", "limen.store.sql"}
SERVICES = """
@limen.service("greet/hello", safe=False, ssl=False, cache=60)
def hello(name="World"): ...

@limen.service
async def secret(): ...

changed = limen.topic("todo.changed", roles=["nurse"])
limen.realm_rule(["call"], "device.", match="prefix")
limen.config.DOMAIN = "clinic.example"
assert limen.App().registry.by_path("/hello") is None and limen.get_state().user is None
"""


def loaded(program: str) -> set[str]:
    words = [sys.executable, "-c", f"import limen\n{program}\nimport sys\nprint(*sys.modules)"]
    return set(subprocess.run(words, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize("program", ["", SERVICES], ids=["import", "services and topics"])
def test_nothing_heavy_is_loaded_before_it_is_used(program: str) -> None:
    modules = loaded(program)
    assert sorted(modules & HEAVY) == []
    assert not [name for name in modules if name.startswith(("limen.core.", "limen.store.", "limen.door."))]


def test_the_list_names_modules_that_there_are() -> None:
    """A program that uses what Limen has loads them: a misspelt name would hold for ever."""
    program = """
import importlib
for name in %r:
    importlib.import_module(name)
""" % [name for name in HEAVY if name not in ("psycopg", "pydantic")]
    assert {name for name in HEAVY if name.startswith("limen.")} <= loaded(program)


def test_users_are_loaded_when_they_are_asked_for() -> None:
    modules = loaded("limen.auth; assert 'auth' in dir(limen)")
    assert "limen.app.auth" in modules
    assert not modules & DATABASES


def test_models_need_neither_a_database_nor_a_server() -> None:
    modules = loaded("@limen.add_model\nclass Todo: done: bool = False\nlimen.storage; limen.field('done') == True")
    assert "limen.core.record.model" in modules
    assert not modules & (DATABASES | {"cryptography", "uvicorn", "limen.door"})


def test_every_public_name_is_there_when_it_is_asked_for() -> None:
    assert all(getattr(limen, name) is not None for name in limen.__all__)
    assert set(limen.__all__) <= set(dir(limen))
    with pytest.raises(AttributeError, match="'nothing'"):
        _ = limen.nothing


def test_what_is_made_later_is_made_once() -> None:
    app = limen.App()
    assert app.storage is app.storage
    assert app.hooks is app.hooks
    assert limen.storage is limen.default.storage
    assert limen.auth is limen.default.auth
