"""What the pages of `test_tabs.py` talk to."""

from pathlib import Path

from limen import auth, config, get_state, service, static, topic

config.IS_DEVELOPMENT = True
config.MAX_USER_SESSIONS = 3
config.IMPERSONATOR_ROLES = ("support",)
topic("staff.news", roles=["support"])
news = topic("news", safe=False)


@service()
def whoami():
    return [get_state().user, get_state().impersonated_by]


@service(safe=False)
def tell(text: str):
    news.publish(text, by="us")


for name, role in {"ada": "user", "sue": "support"}.items():
    auth.add_user(name, "lovelace", roles=[role])
static("/", Path(__file__).parent / "site", index="index.html", csp="default-src 'self'")
