"""What `limen serve` serves in these tests: the shop for those who have logged in, and a stall for anybody."""

from shop import Desktop, Shop

import limen
from limen.session import ApplicationService, Caller, SessionRoot

limen.config.IS_DEVELOPMENT = True
limen.config.MAX_ORIGIN_CONNECTIONS = 1000
for user, password in (("ada", "correct horse"), ("bob", "battery staple"), ("eve", "long enough too")):
    limen.auth.add_user(user, password)

# Whatever rules allow, sessions stay their parties' own.
for actions in (["register", "call", "publish", "subscribe", "force_reregister"],):
    limen.realm_rule(actions, "", match="prefix", safe=False)
    limen.realm_rule(actions, "wamp.", match="prefix", safe=False)


@limen.bind("shop")
class ServedShop(Shop):
    GRACE = 30.0

    def policy(self, caller: Caller, session: SessionRoot) -> bool:
        return caller.user == "bob"


@limen.bind("stall")
class Stall(ApplicationService):
    OPENS = Desktop
    SAFE = False
    GRACE = 0.2

    async def ended(self, session: SessionRoot, why: str) -> None:
        await self.node_context.tree.session.publish("over", str(session.node_path), why)


@limen.bind("booth")
class Booth(ApplicationService):
    """As the stall, with patience."""

    OPENS = Desktop
    SAFE = False
