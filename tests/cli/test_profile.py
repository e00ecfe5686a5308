"""`limen profile`: a real server under each of the profilers, stopped as a person would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from served import Server

LIMEN = str(Path(sys.executable).with_name("limen"))
PROGRAM = """
from limen import service

@service(safe=False, ssl=False, methods=["GET"])
def busy(n: int):
    if n < 0:
        return "never"
    return sum(number * number for number in range(n))
"""


@pytest.mark.parametrize(
    ("by", "out", "holds"),
    [("cpu", "flame.svg", b"<svg"), ("memory", "memory.html", b"<html"), ("coverage", "coverage", b"")],
)
def test_a_server_is_profiled_until_it_is_stopped(
    start: Callable[..., Server], tmp_path: Path, by: str, out: str, holds: bytes
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    server = start([LIMEN, "profile", "program.py", "--port", "0", "--by", by], cwd=tmp_path)
    with urllib.request.urlopen(f"{server.url}/busy/300000.json") as answer:
        assert answer.status == 200
    os.killpg(server.process.pid, signal.SIGINT)  # as Ctrl-C of a terminal does: to all of them
    assert server.process.wait(60) == 0, server.lines
    server.stop()
    assert f"Wrote {out}." in server.lines
    if holds:
        assert holds in (tmp_path / out).read_bytes()
    else:
        assert "program.py       6      1    83%   7" in server.lines
        assert (tmp_path / out / "index.html").exists()
    assert {path.name for path in tmp_path.iterdir()} - {"__pycache__"} == {"program.py", out}


def test_a_running_process_is_looked_at(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: sum(range(1000))"]) as process:
        words = [LIMEN, "profile", "--pid", str(process.pid), "--seconds", "1", "--out", "now.svg"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, cwd=tmp_path)
        process.kill()
    assert done.returncode == 0, done.stderr
    assert b"<svg" in (tmp_path / "now.svg").read_bytes()


@pytest.mark.parametrize("words", [[], ["program.py", "--pid", "1"], ["--pid", "1", "--by", "memory"]])
def test_a_wrong_use_is_told(words: list[str], tmp_path: Path) -> None:
    done = subprocess.run([LIMEN, "profile", *words], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 2
    assert "Error: " in done.stderr
