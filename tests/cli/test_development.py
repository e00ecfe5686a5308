"""`limen serve --dev`: the program is imported in the child only, and a broken one is waited for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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
            if "SyntaxError" in line and not mended:
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
