"""What the page of this folder talks to."""

import asyncio
import datetime
import decimal
import uuid
from pathlib import Path

from limen import auth, config, exc, get_state, service, static, topic

config.IS_DEVELOPMENT = True
config.MAX_USER_SESSIONS = 100
config.CHILD_SESSIONS = False  # each tab logs in by itself; test_tabs.py is about the others
news = topic("lab.news")
ran: list[str] = []
cancelled: list[str] = []


@service("lab/add")
def add(a: int, b: int):
    return a + b


@service("lab/echo", auto_parse=False)
def echo(value=None):
    return value


@service("lab/values")
def values():
    return {
        "decimal": decimal.Decimal("1.50"),
        "uuid": uuid.UUID(int=1),
        "when": datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC),
        "big": 2**60,
        "bytes": b"hi",
        "set": {1},
        "tuple": (1, 2),
    }


@service("lab/same", auto_parse=False)
def same(value):
    """Whether what comes back is what `values` gave."""
    return value == {**values(), "uuid": str(uuid.UUID(int=1))}


@service("lab/slow")
async def slow(name: str, seconds: float = 1.0):
    ran.append(name)
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        cancelled.append(name)
        raise
    return name


@service("lab/count")
async def count(n: int, pause: float = 0.0):
    try:
        for i in range(1, n + 1):
            yield i
            await asyncio.sleep(pause)
    except (asyncio.CancelledError, GeneratorExit):
        cancelled.append("count")
        raise


@service("lab/log")
def log():
    return {"ran": ran, "cancelled": cancelled}


@service("lab/tell")
def tell(text: str):
    news.publish(text, by=get_state().user)


@service("lab/fail")
def fail():
    raise exc.RecordVersionMismatch("Someone was faster.", vsn=3)


@service("lab/open", safe=False, ssl=False, auto_parse=False)
def open_(*args, **kwargs):
    return [list(args), kwargs]


for name, password in {"ada": "lovelace", "grace": "hopper", "mary": "somerville"}.items():
    auth.add_user(name, password)
static("/", Path(__file__).parent / "site", index="index.html", csp="default-src 'self'")
