"""What the WSGI servers of these tests serve. FOLDER: where a large file lies."""

import os

import limen
from limen import auth, config, get_state, service, static

config.IS_DEVELOPMENT = True
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


def add_ada() -> None:
    if "ada" not in [user["user"] for user in auth.list_users()]:
        auth.add_user("ada", "correct horse")


static("/files", os.environ["FOLDER"])
app = limen.wsgi()
