"""What the WSGI servers of these tests serve. FOLDER: where a large file lies."""

import os
from collections.abc import Iterator

import limen
from limen import auth, config, get_state, service, static

config.IS_DEVELOPMENT = True
config.KEYS = os.environ.get("KEYS", "")
config.PROXIES = ("127.0.0.9",)


@service(safe=False, methods=("GET", "POST"))
def hello(name: str = "World") -> str:
    return f"Hello, {name}!"


@service(safe=False, methods=("GET", "POST"))
def who() -> dict[str, object]:
    state = get_state()
    return {"origin": state.origin, "tls": state.tls, "domain": state.domain, "process": os.getpid()}


@service(safe=False)
def length(text: str) -> int:
    return len(text)


@service()
def sealed() -> str | None:
    return get_state().user


@service()
def count(number: int) -> Iterator[int]:
    yield from range(number)


@service()
def process() -> int:
    return os.getpid()


if "USER_ADA" in os.environ:
    auth.add_user("ada", "correct horse")
static("/files", os.environ["FOLDER"])
app = limen.wsgi()
