"""`limen profile`: a whole server under a profiler, whose report is written when it stops.

Each profiler is a well-kept program of its own; this composes its command line.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click

from limen import exc

SERVE = ["-m", "limen.cli", "serve"]
_WAYS = {
    "cpu": ("py_spy", "flame.svg", "a flame graph of all threads, sampled 100 times a second (py-spy)"),
    "memory": ("memray", "memory.html", "a flame graph of what held memory at its peak (memray)"),
    "coverage": ("coverage", "coverage", "which lines of the program ran: a folder of pages (coverage.py)"),
}


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("target", required=False)
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@click.option("--by", type=click.Choice([*_WAYS]), default="cpu", show_default=True, help="What is looked at.")
@click.option("--out", default=None, help="Where the report is written. Default: flame.svg, memory.html, coverage/.")
@click.option("--pid", type=int, default=None, help="Look at this running process instead, until Ctrl-C (by cpu only).")
@click.option("--seconds", type=click.IntRange(1), default=None, help="With --pid: stop after so long.")
def profile(
    target: str | None, options: tuple[str, ...], by: str, out: str | None, pid: int | None, seconds: int | None
) -> None:
    """Serve TARGET under a profiler until Ctrl-C, then write the report. OPTIONS are those of `limen serve`."""
    if (target is None) is (pid is None):
        raise click.UsageError("Say TARGET to serve, or --pid of a process that runs.")
    package, usual, _ = _WAYS[by]
    _need(package)
    path = Path(out or usual)
    if pid is not None:
        if by != "cpu":
            raise click.UsageError("A running process is looked at by cpu only.")
        words = [_py_spy(), "record", "-o", str(path), "--pid", str(pid)]
        code = _run([*words, *(["-d", str(seconds)] if seconds else [])])
    else:
        code = _serve(by, [*SERVE, str(target), *options], path, _folder(str(target)))
    if (pid is not None and code) or not path.exists():
        path.unlink(missing_ok=True)
        raise exc.Error("The profiler has found nothing to write; what it said stands above. Was the process at work?")
    click.echo(f"Wrote {path}.", err=True)
    sys.exit(code)


def _serve(by: str, serve: list[str], path: Path, folder: Path) -> int:
    python = sys.executable
    if by == "cpu":
        return _run([_py_spy(), "record", "-o", str(path), "--", python, *serve])
    if by == "memory":
        raw = path.with_name(path.name + ".bin")
        code = _run([python, "-m", "memray", "run", "--force", "--quiet", "-o", str(raw), *serve])
        if raw.exists():
            _run([python, "-m", "memray", "flamegraph", "--force", "-o", str(path), str(raw)], quiet=True)
            raw.unlink()
        return code
    data = {"COVERAGE_FILE": f"{path}.data"}
    code = _run([python, "-m", "coverage", "run", f"--include={folder}/*", *serve], data)
    if Path(f"{path}.data").exists():
        _run([python, "-m", "coverage", "report", "--show-missing", "--skip-empty", "--ignore-errors"], data)
        _run([python, "-m", "coverage", "html", "--quiet", "--ignore-errors", "-d", str(path)], data)
        Path(f"{path}.data").unlink()
    return code


def _folder(target: str) -> Path:
    name = target.partition(":")[0]
    return Path(name).resolve().parent if name.endswith(".py") else Path.cwd()


def _run(words: list[str], more: dict[str, str] | None = None, *, quiet: bool = False) -> int:
    """Runs *words*, which hear Ctrl-C themselves, and SIGTERM from here; the exit code."""
    import signal

    with subprocess.Popen(  # noqa: S603  # our own words
        words, env={**os.environ, **(more or {})}, stdout=subprocess.DEVNULL if quiet else None
    ) as child:
        before = [signal.signal(signal.SIGINT, lambda *_: None)]
        before.append(signal.signal(signal.SIGTERM, lambda *_: child.send_signal(signal.SIGINT)))
        try:
            return child.wait()
        finally:
            signal.signal(signal.SIGINT, before[0])
            signal.signal(signal.SIGTERM, before[1])


def _need(package: str) -> None:
    found = _py_spy() if package == "py_spy" else importlib.util.find_spec(package)
    if not found:
        raise exc.NotFound(f"{package} is not installed here; say: pip install 'limen[profile]'")


def _py_spy() -> str:
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if beside.exists() else shutil.which("py-spy") or ""
