"""What `limen serve` says before it serves."""

from __future__ import annotations

from limen import App
from limen.cli.target import plain_advice


def app(*, development: bool = False) -> App:
    app = App()
    app.config.IS_DEVELOPMENT = development

    @app.service()
    def sealed(): ...

    @app.service(safe=False, ssl=False)
    def plain(): ...

    return app


def test_serving_without_tls_says_that_services_will_be_refused_and_what_to_do() -> None:
    assert plain_advice(app(), tls=False).startswith("Without TLS 1 of 2 services answer RequireSSL (/sealed, ")


def test_there_is_nothing_to_say_with_tls_in_development_or_where_plain_will_do() -> None:
    plain = App()
    plain.service("hello", ssl=False)(lambda: None)
    assert [plain_advice(app(), tls=True), plain_advice(app(development=True), tls=False)] == ["", ""]
    assert plain_advice(plain, tls=False) == plain_advice(App(), tls=False) == ""
