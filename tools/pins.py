"""Writes requirements/*.txt: the versions that pyproject.toml's dependencies resolve to, for every Python it names.

`pins.py [--upgrade]`; needs uv. Without --upgrade what is pinned stays as it is, as far as it may.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMPILE = ["uv", "pip", "compile", "--quiet", "--universal", "--no-emit-index-url", "--python-version", "3.11"]
FILES = {
    "runtime": "pyproject.toml --extra tls --extra reload --extra postgresql",
    "test": "--group test --constraints requirements/runtime.txt",
    "soak": "--group soak --constraints requirements/test.txt",
    "lint": "--group lint --constraints requirements/test.txt",
    "node": "requirements/node.in",
    "crossbar": "requirements/crossbar.in",
}
"""File to what is compiled into it, in this order."""

for name, what in FILES.items():
    output = f"requirements/{name}.txt"
    command = [*COMPILE, "--custom-compile-command", "make pins", *what.split(), "--output-file", output, *sys.argv[1:]]
    try:
        subprocess.run(command, cwd=ROOT, check=True)
    except FileNotFoundError:
        sys.exit("`make pins` needs uv: pip install uv")
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
    print(output)
