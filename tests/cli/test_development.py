"""`limen serve --dev`: the program is imported in the child only, and a broken one is waited for."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from served import Server

import limen

LIMEN = str(Path(sys.executable).with_name("limen"))
PROGRAM = 'from limen import service\nprint("imported", flush=True)\n'


def test_a_program_that_is_broken_at_its_first_start_is_waited_for(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM + "oops(\n")
    with subprocess.Popen(
        [LIMEN, "serve", "program.py", "--dev", "--port", "0"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as server:
        assert server.stdout is not None
        said = ""
        mended = False
        for line in server.stdout:
            said += line
            if "is tried again when a file changes" in line and not mended:
                mended = True
                program.write_text(PROGRAM)
            if "Limen listens" in line:
                break
        server.terminate()
    assert said.count("SyntaxError") == 1
    assert said.count("imported") == 1  # once: not in the watching process too


@pytest.mark.parametrize("target", ["nosuch", "nosuch.py", "nosuch:app"])
def test_a_wrong_target_is_told_at_once(tmp_path: Path, target: str) -> None:
    done = subprocess.run([LIMEN, "serve", target, "--dev"], cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert done.returncode != 0
    assert "There is no" in done.stderr
    assert "Traceback" not in done.stderr


SESSION = """
from limen import auth, service

@service()
def answer():
    return {answer}

auth.add_user("ada", "lovelace")
"""


async def test_a_session_outlives_a_change_of_the_program(tmp_path: Path, start: Callable[..., Server]) -> None:
    program = tmp_path / "program.py"
    program.write_text(SESSION.format(answer=1))
    server = start([LIMEN, "serve", "program.py", "--dev", "--port", "0"], cwd=tmp_path)  # without --db
    async with limen.connect(server.url, user="ada", password="lovelace") as session:
        assert await session.call("answer") == 1
        back = asyncio.Event()
        session.on("online", back.set)
        program.write_text(SESSION.format(answer=2))
        async with asyncio.timeout(20):
            await back.wait()
        assert await session.call("answer") == 2


def test_what_is_kept_without_a_store_goes_with_the_command(tmp_path: Path, start: Callable[..., Server]) -> None:
    (tmp_path / "program.py").write_text(SESSION.format(answer=1))
    command = [LIMEN, "serve", "program.py", "--dev", "--port", "0"]
    server = start(command, cwd=tmp_path, env={"TMPDIR": str(tmp_path)})
    assert len(list(tmp_path.glob("limen-dev-*/dev.db"))) == 1
    assert server.stop() == 0
    assert list(tmp_path.glob("limen-dev-*")) == []
