"""The OpenAPI document is true: schemathesis asks a real server, and finds nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import rich_program
from served import Server

from limen import App
from limen.service.describe import describe
from limen.service.describe.openapi import openapi

HERE = Path(__file__).parent
SCHEMATHESIS = str(Path(sys.executable).with_name("schemathesis"))


def test_schemathesis_finds_nothing(serve: Callable[..., Server], tmp_path: Path) -> None:
    """Every address, method and type of body, with what fits and what does not: statuses, types and schemas of all
    answers are those that are documented; what fits is taken and what does not is refused."""
    url = serve(f"{HERE / 'rich_program.py'}:app", "--dev").url
    options = ["--checks", "all", "--phases", "examples,coverage,fuzzing", "-n", "6"]
    # A machine that has much to do is none of the document's faults.
    patient = ["--suppress-health-check", "all"]
    steady = ["--generation-deterministic", "--no-shrink", "--generation-allow-x00", "false", "--continue-on-failure"]
    done = subprocess.run(
        [SCHEMATHESIS, "run", f"{url}/limen/openapi.json", *options, *steady, *patient],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    asked = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert asked is not None, done.stdout[-3000:]
    assert int(asked[1]) > 1000


def test_only_what_plain_http_answers_is_described() -> None:
    document = openapi(describe(rich_program.app.registry))
    assert document["x-limen-sealed"] == ["stop", "todo", "todo/add"]
    assert not any(path.startswith(("/todo/add", "/stop")) for path in document["paths"])


def test_an_operation_says_where_its_arguments_go() -> None:
    paths = openapi(describe(rich_program.app.registry))["paths"]
    assert [each["name"] for each in paths["/hello"]["get"]["parameters"]] == ["name"]
    assert paths["/hello/{name}"]["get"]["parameters"][0]["in"] == "path"
    assert paths["/list.{format}"]["get"]["parameters"][0]["schema"] == {"enum": ["csv", "json", "txt"]}
    assert "text/csv" in paths["/list.{format}"]["get"]["responses"]["200"]["content"]
    assert [*paths["/put"]["post"]["requestBody"]["content"]] == ["multipart/form-data", "application/octet-stream"]


def test_the_methods_of_a_class_share_its_path() -> None:
    paths = openapi(describe(rich_program.app.registry))["paths"]
    assert [*paths["/shelf/{number}"]] == ["delete", "get", "head", "put"]
    assert [*paths["/shelf"]] == ["delete", "get", "head", "put"]


def test_errors_that_a_docstring_names_have_their_status() -> None:
    responses = openapi(describe(rich_program.app.registry))["paths"]["/buy"]["post"]["responses"]
    assert {"404", "409", "422"} <= responses.keys()
    assert "504" not in responses


def test_the_ids_of_operations_are_told_once() -> None:
    paths = openapi(describe(rich_program.app.registry))["paths"]
    ids = [told["operationId"] for at in paths.values() for told in at.values()]
    assert len(ids) == len({*ids})


def test_what_asks_for_a_role_is_asked_with_a_signed_request() -> None:
    app = App()

    @app.service(safe=False, roles=["device"])
    def report() -> None: ...

    @app.service(safe=False)
    def hello() -> None: ...

    document = openapi(describe(app.registry))
    assert document["paths"]["/report"]["post"]["security"] == [{"signed": []}]
    assert "security" not in document["paths"]["/hello"]["post"]
    assert document["components"]["securitySchemes"]["signed"]["name"] == "Authorization"
