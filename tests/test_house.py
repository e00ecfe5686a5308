"""The house holds: floors, size of rooms, what may stand in a committed file, pins."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from functools import cache
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
LINES_AT_MOST = 500
ROOMS = {".py", ".js", ".mjs", ".ts", ".css", ".html"}

MAY_NOT_STAND = {
    "the host of a package registry": r"registry[.](?:npmjs|yarnpkg)|pypi[.]org|files[.]pythonhosted|npmmirro[r]",
    "a package's address in a lock": r'"resolved"\s*:|--(extra-)?index[-]url|registry\s*=\s*"?http',
    "a path of one machine": r"(?<![\w./-])/(?:work|root|home)/",
    "who or what typed it": r"(?i)\bclaude\b|\banthropic\b|\bopenai\b|\bcopilot\b|\bsub-?agent\b|co-authored[-]by",
}
"""What to a pattern; written so that the patterns do not match themselves."""


@cache
def tracked() -> list[Path]:
    """The files that are committed, or would be."""
    said = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    paths = [ROOT / name for name in said.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def test_a_room_imports_only_from_lower_floors() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--config", "tests/floors.ini"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_room_is_crowded() -> None:
    rooms = [path for path in tracked() if path.suffix in ROOMS]
    crowded = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in rooms}
    assert {name: lines for name, lines in crowded.items() if lines > LINES_AT_MOST} == {}


@pytest.mark.parametrize("what", MAY_NOT_STAND)
def test_no_committed_file_holds(what: str) -> None:
    pattern = re.compile(MAY_NOT_STAND[what])
    found = []
    for path in tracked():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue  # a picture
        lines = enumerate(text.splitlines(), 1)
        found += [
            f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}" for number, line in lines if pattern.search(line)
        ]
    assert found == []


def test_nothing_built_or_fetched_is_committed() -> None:
    kinds = re.compile(r"(^|/)(node_modules|dist|build|\.venv)/|^src/limen/browser/|\.min\.m?js$|\.wasm$|^uv\.lock$")
    assert [str(path) for path in tracked() if kinds.search(path.relative_to(ROOT).as_posix())] == []


def test_each_file_of_the_tests_has_a_name_of_its_own() -> None:
    """pytest imports them by their names alone; two of one name would be one module."""
    names: dict[str, list[str]] = {}
    for path in tracked():
        place = path.relative_to(ROOT)
        if place.parts[0] == "tests" and place.suffix == ".py" and not (path.parent / "__init__.py").exists():
            names.setdefault(place.name, []).append(str(place))
    assert {name: places for name, places in names.items() if len(places) > 1 and name != "conftest.py"} == {}


def pins(name: str) -> dict[str, list[Version]]:
    """Package to the versions that requirements/*name*.txt pins for one Python or another."""
    pinned: dict[str, list[Version]] = {}
    for line in (ROOT / "requirements" / f"{name}.txt").read_text().splitlines():
        if found := re.match(r"([\w.-]+)==([^\s;]+)", line):
            pinned.setdefault(canonical(found[1]), []).append(Version(found[2]))
    return pinned


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_each_dependency_is_pinned_within_what_pyproject_asks() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = {
        "runtime": project["project"]["dependencies"],
        "runtime and test": chain.from_iterable(project["project"]["optional-dependencies"].values()),
        **project["dependency-groups"],
    }
    wrong = []
    for name, wanted in asked.items():
        pinned = {package: found for file in name.split(" and ") for package, found in pins(file).items()}
        for requirement in map(Requirement, wanted):
            versions = pinned.get(canonical(requirement.name), [])
            if not versions or not all(requirement.specifier.contains(version) for version in versions):
                wrong.append(f"requirements/{name}.txt: {requirement}; `make pins` mends it")
    assert wrong == []


def test_the_pinned_versions_agree_with_each_other() -> None:
    first: dict[str, list[Version]] = {}
    for name in ("runtime", "test", "lint"):
        pinned = pins(name)
        assert {
            package: versions for package, versions in pinned.items() if first.get(package, versions) != versions
        } == {}
        first.update(pinned)
