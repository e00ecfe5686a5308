"""docs/asvs.md is whole and true: each requirement once, one of four verdicts, tests that exist, counts that add up."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from served import Server

from limen.app.app import App

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "asvs.md").read_text()
VERDICTS = ["held", "not applicable", "yours", "open"]

NUMBERS = """
1.1:1-7 1.2:1-4 1.4:1,4-5 1.5:1-4 1.6:1-4 1.7:1-2 1.8:1-2 1.9:1-2 1.10:1 1.11:1-2 1.12:2 1.14:1-6 2.1:1-12
2.2:1-3 2.3:1-3 2.4:1-5 2.5:1-7 2.6:1-3 2.7:1-6 2.8:1-7 2.9:1-3 2.10:1-4 3.1:1 3.2:1-4 3.3:1-4 3.4:1-5 3.5:1-3
3.7:1 4.1:1-3,5 4.2:1-2 4.3:1-3 5.1:1-5 5.2:1-8 5.3:1-10 5.4:1-3 5.5:1-4 6.1:1-3 6.2:1-6 6.3:1-2 6.4:1-2
7.1:1-4 7.2:1-2 7.3:1,3-4 7.4:1-3 8.1:1-4 8.2:1-3 8.3:1-8 9.1:1-3 9.2:1-4 10.2:1-2 10.3:1-3 11.1:1-8 12.1:1-3
12.2:1 12.3:1-6 12.4:1-2 12.5:1-2 12.6:1 13.1:1,3-5 13.2:1-3,5-6 13.3:1-2 13.4:1-2 14.1:1-4 14.2:1-6 14.3:2-3
14.4:1-7 14.5:1-4
"""
"""The requirements of levels 1 and 2 of ASVS 4.0.3, by section."""


ROW = re.compile(r"^\| ([0-9.]+) \| (.+?) \| \*\*(.+?)\*\* \| (.*?) ?\|$", re.MULTILINE)
TEST = re.compile(r"\[(test_\w+)\]\(\.\./(tests/[^)]+\.py)\)")
ROWS = [(found[1], found[3], found[4]) for found in ROW.finditer(PAGE)]
"""Number, verdict, reasons."""


def numbers() -> Iterator[str]:
    for word in NUMBERS.split():
        section, _, those = word.partition(":")
        for part in those.split(","):
            first, _, last = part.partition("-")
            yield from (f"{section}.{number}" for number in range(int(first), int(last or first) + 1))


def test_each_requirement_stands_there_once() -> None:
    assert [number for number, _, _ in ROWS] == list(numbers())
    assert len(ROWS) == 259


def test_each_verdict_is_one_of_the_four_and_has_its_reason() -> None:
    assert {verdict for _, verdict, _ in ROWS} <= {*VERDICTS}
    assert [number for number, verdict, why in ROWS if not why and verdict != "yours"] == []
    assert [number for number, verdict, why in ROWS if verdict == "held" and "](" not in why] == []


def test_the_counts_at_the_top_are_true() -> None:
    counted: dict[str, Counter[str]] = {}
    for number, verdict, _ in ROWS:
        counted.setdefault(number.partition(".")[0], Counter())[verdict] += 1
    said = re.findall(
        r"^\| (?:\[V(\d+) |(all) \|)(?:.*\) \|)? (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE
    )
    assert {chapter or word: [int(count) for count in counts] for chapter, word, *counts in said} == {
        **{chapter: [count[verdict] for verdict in VERDICTS] for chapter, count in counted.items()},
        "all": [sum(count[verdict] for count in counted.values()) for verdict in VERDICTS],
    }


def test_the_tests_that_it_names_exist() -> None:
    missing = [
        f"{number}: {name} in {file}"
        for number, _, why in ROWS
        for name, file in TEST.findall(why)
        if not (ROOT / file).is_file() or not re.search(rf"\bdef {name}\(", (ROOT / file).read_text())
    ]
    assert missing == []


# -- claims of the page that had no test elsewhere ----------------------------------------------------------------
def test_a_new_program_knows_nobody() -> None:
    assert App().auth.users() == []


def test_the_code_knows_no_other_server() -> None:
    """Whatever Limen asks for, it was told to: no address stands in what runs, but those of examples."""
    sources = [*(ROOT / "src" / "limen").rglob("*.py"), *(ROOT / "js" / "src").rglob("*.js")]
    found = {host for source in sources for host in re.findall(r"(?:https?|wss?)://([\w.-]+\w)", source.read_text())}
    strange = {host for host in found if not re.fullmatch(r"(?i)(.+\.)?(localhost|example)(\.org|\.com)?", host)}
    assert strange - {"127.0.0.1"} == set()


def test_no_answer_says_what_server_it_is(tmp_path: Path, serve: Callable[..., Server]) -> None:
    (tmp_path / "program.py").write_text("from limen import service\n\n@service(safe=False)\ndef add(): return 1\n")
    server = serve(tmp_path / "program.py", cwd=tmp_path)
    for path in ("/", "/add", "/ws", "/limen/limen.js", "/%00"):
        try:
            answer = urlopen(f"{server.url}{path}", timeout=10)
        except HTTPError as error:
            answer = error
        with answer:
            said = str(answer.headers).lower() + (answer.read().decode() if path != "/limen/limen.js" else "")
        assert not re.search("^(server|x-powered-by|via):|uvicorn|python|picows", said, re.MULTILINE), path
