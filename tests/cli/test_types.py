"""`limen types`, as somebody types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

LIMEN = str(Path(sys.executable).with_name("limen"))
PROGRAM = """
from dataclasses import dataclass
from limen import service

class Odd: ...

@dataclass
class Item:
    name: str

@service(safe=False)
def hello(name: str = "World", odd: Odd | None = None) -> Item:
    "Greets."
"""


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "shop.py").write_text(PROGRAM)
    return subprocess.run([LIMEN, "types", *words], cwd=folder, capture_output=True, text=True, timeout=60)


def test_all_files_are_written_into_the_folder(tmp_path: Path) -> None:
    done = run(tmp_path, "shop.py", "--out", "types")
    assert done.returncode == 0, done.stderr
    written = [line.removeprefix("Wrote ").removesuffix(".") for line in done.stdout.splitlines()]
    assert written == ["types/services.d.ts", "types/shop_client.py", "types/openapi.json"]
    assert all((tmp_path / path).is_file() for path in written)
    assert (tmp_path / "types" / "limen" / "limen.d.mts").is_file()
    assert '"hello"' in (tmp_path / "types" / "services.d.ts").read_text()


def test_one_format_goes_to_standard_output_and_notes_beside_it(tmp_path: Path) -> None:
    done = run(tmp_path, "shop.py", "--format", "openapi")
    assert json.loads(done.stdout)["paths"]["/hello"]["post"]["summary"] == "Greets."
    assert "Note: hello, odd: Odd can't be described" in done.stderr


def test_without_folder_and_format_it_says_what_to_say(tmp_path: Path) -> None:
    done = run(tmp_path, "shop.py")
    assert done.returncode == 2
    assert "Say --out DIR" in done.stderr


def test_a_program_without_services_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_text("import limen\n")
    done = run(tmp_path, "empty.py", "--format", "dts")
    assert done.returncode == 1
    assert "declares no services" in done.stderr
