"""What the pages of `test_tabs.py` talk to."""

from pathlib import Path

from limen import auth, config, get_state, service, static, topic

config.IS_DEVELOPMENT = True
config.MAX_USER_SESSIONS = 3
config.IMPERSONATOR_ROLES = ("support",)
topic("staff.news", roles=["support"])


@service()
def whoami():
    return [get_state().user, get_state().impersonated_by]


for name, role in {"ada": "user", "sue": "support"}.items():
    auth.add_user(name, "lovelace", roles=[role])
static("/", Path(__file__).parent / "site", index="index.html", csp="default-src 'self'")
