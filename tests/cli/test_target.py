"""What `limen serve` says before it serves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("target", ["shop.py", "shop"])
def test_a_program_whose_app_was_not_named_is_told_how_to_name_it(target: str, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("import limen\nown = limen.App()\nown.service('hello', safe=False)(lambda: 1)\n")
    command = [Path(sys.executable).with_name("limen"), "serve", target, "--port", "0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert done.stderr == f"Error: {target} declares nothing on the default App; to serve its own, say {target}:own.\n"
