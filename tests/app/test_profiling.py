"""What `@profile` says of a function; its figures are the machine's, its lines are ours."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from limen import App, PyClient, exc
from limen.app.profiling import METERS, Profile

KIB = 1024


@pytest.fixture
def profile() -> Profile:
    return Profile()


def marked(report: str) -> dict[str, str]:
    """Source line to what stands between its number and itself."""
    _, head, *lines = report.splitlines()
    at = head.index("source")
    return {line[at:].strip(): line[6:at] for line in lines}


def test_time_counts_calls_and_names_the_function(profile: Profile) -> None:
    @profile
    def work(n: int) -> int:
        return n

    assert profile.report() == ""
    assert [work(1), work(2)] == [1, 2]
    assert re.match(r"\S+work: 2 calls, [\d.]+ ms in all, [\d.]+ ms each, [\d.]+ ms the longest$", profile.report())


def test_a_call_that_fails_is_counted_and_fails(profile: Profile) -> None:
    @profile()
    def work() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        work()
    assert ": 1 call, " in profile.report()


@pytest.mark.parametrize("by", METERS)
async def test_every_kind_of_function_stays_what_it_was(profile: Profile, by: str) -> None:
    @profile(by)
    def plain(n: int) -> int:
        return n

    @profile(by)
    async def waits(n: int) -> int:
        await asyncio.sleep(0)
        return n

    @profile(by)
    def yields(n: int) -> Iterator[int]:
        yield from range(n)

    @profile(by)
    async def streams(n: int) -> AsyncIterator[int]:
        for number in range(n):
            yield number

    assert plain(3) == await waits(3) == 3
    assert list(yields(3)) == [number async for number in streams(3)] == [0, 1, 2]
    assert plain.__name__ == "plain"
    assert all(name in profile.report() for name in ("plain", "waits", "yields", "streams"))


def test_lines_say_how_often_each_ran(profile: Profile) -> None:
    @profile("lines")
    def work(n: int) -> int:
        total = 0
        for number in range(n):
            total += number
        return total

    work(10)
    said = marked(profile.report())
    assert said["total += number"].split()[0] == "10"
    assert said["return total"].split()[0] == "1"


def test_coverage_marks_what_did_not_run(profile: Profile) -> None:
    @profile("coverage")
    def work(n: int) -> str:
        if n > 5:
            return "many"
        return "few"

    work(1)
    said = marked(profile.report())
    assert {source for source, mark in said.items() if "!" in mark} == {'return "many"'}
    work(9)
    assert "100 % of its lines ran" in profile.report()


def test_memory_is_told_of_the_line_that_took_and_kept_it(profile: Profile) -> None:
    kept = []

    def take(size: int) -> bytearray:
        return bytearray(size)

    @profile("memory")
    def work() -> int:
        kept.append(take(2 * KIB * KIB))
        gone = bytearray(8 * KIB * KIB)
        return len(gone)

    work()
    said = marked(profile.report())
    assert float(said["kept.append(take(2 * KIB * KIB))"]) == pytest.approx(2 * KIB, rel=0.05)
    assert not said["gone = bytearray(8 * KIB * KIB)"].strip()
    peak = re.search(r"([\d.]+) KiB at its peak", profile.report())
    assert peak is not None
    assert float(peak[1]) > 9 * KIB


def test_a_service_is_measured_on_its_thread(profile: Profile) -> None:
    app = App()

    @app.service(safe=False)
    @profile("lines")
    def work(n: int) -> int:
        return n + 1

    with PyClient(app) as client:
        assert client.call("work", 41) == 42
        with pytest.raises(exc.InvalidArguments):  # its annotations are still seen
            client.call("work", "x")
    assert marked(profile.report())["return n + 1"].split()[0] == "1"


def test_an_unknown_way_is_refused(profile: Profile) -> None:
    with pytest.raises(ValueError, match="time, lines, memory, coverage; not by 'speed'"):
        profile("speed")


def test_the_report_comes_when_the_process_ends(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("from limen import profile\n@profile\ndef work(): ...\nwork()\n")
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=True)
    assert done.stderr.startswith("work: 1 call, ")
    assert done.stdout == ""
