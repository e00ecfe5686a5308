"""What the pages of `test_nodes_in_pages.py` talk to."""

from pathlib import Path
from typing import Any

from limen import auth, config, default, realm_rule, service, static
from limen.app.near import near

config.IS_DEVELOPMENT = True
config.MAX_USER_SESSIONS = 100
config.CHILD_SESSIONS = False  # each tab logs in by itself
realm_rule(["register", "call", "publish", "subscribe"], "test.", match="prefix", roles=["user"])
realm_rule(["register", "call", "publish", "subscribe"], "open.", match="prefix", safe=False)
realm_rule(["call"], "test.", match="prefix", roles=["guest"])


@service("lab/ask", auto_parse=False)
async def ask(uri: str, args: list[Any]) -> Any:
    """What the program's own session is told there."""
    async with near(default.open(), "localhost") as program:
        return await program.apply(uri, args)


for name, role in {"ada": "user", "grace": "user", "guest": "guest"}.items():
    auth.add_user(name, "lovelace", roles=[role])
static(
    "/", Path(__file__).parent / "site", csp="default-src 'self'; connect-src 'self' ws://localhost:* ws://127.0.0.1:*"
)
