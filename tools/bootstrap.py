"""Sees to what the commands of the Makefile need: `bootstrap.py NEED…`, each need a function here.

What Python needs, what npm fetches and what comes from Debian is seen to at the same time.

Standard library only, for it runs before anything is installed. What is there already costs a few milliseconds: each
step leaves a stamp with the digest of what it was made from. Nothing is installed outside this folder, except as root
on Debian and its kin, where a missing system package is fetched with apt-get; elsewhere the message says what to do.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import chromium as chromium_browser
import fronts as proxy_programs

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMPS = ROOT / ".cache" / "stamps"
CROSSBAR = ROOT / ".cache" / "peers" / "crossbar"
NO_CROSSBAR = "Tests through Crossbar.io need it, and .cache/peers/crossbar has none.\n    make ready"
NODE_AT_LEAST = 20
ONE_PIP = threading.Lock()
"""Held by whoever changes `.venv`."""
LAZY = "--no-compile"
"""Where the first import may compile what it needs: much is never imported."""
PIP_QUIET = ("-q", "--disable-pip-version-check")


class Missing(SystemExit):
    """Something is not there and cannot be fetched from here: the message says how to get it."""

    def __init__(self, what: str, *remedies: str) -> None:
        super().__init__("\n".join([f"\n{what}", *(f"    {line}" for line in remedies), ""]))


# -- steps ------------------------------------------------------------------------------------------------------
@contextmanager
def step(doing: str) -> Iterator[None]:
    """Says what is being done, and how long it took: a line each, for other steps may run beside it."""
    print(f"· {doing} …", flush=True)
    begun = time.monotonic()
    yield
    print(f"  {doing}: {time.monotonic() - begun:.0f} s", flush=True)


def run(*command: str | Path, env: dict[str, str] | None = None) -> None:
    """Runs *command* in the project's folder; shows its output only if it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        sys.stderr.write("\n" + done.stdout.decode(errors="replace"))
        raise Missing(f"This command failed with exit code {done.returncode}; its words stand above:", " ".join(words))


def works(*command: str | Path) -> bool:
    """Whether *command* exists and ends well."""
    try:
        done = subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True)
    except OSError:
        return False
    return done.returncode == 0


def digest(*parts: str | Path) -> str:
    """One text that changes when a file among *parts* does, or a text."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part.read_bytes() if isinstance(part, Path) else part.encode())
        total.update(b"\0")
    return total.hexdigest()


def once(name: str, made_from: str, present: Path, make: Callable[[], None]) -> None:
    """Calls *make* unless the stamp *name* says that it was done from the same things, and *present* is there."""
    stamp = STAMPS / name
    if present.exists() and stamp.exists() and stamp.read_text() == made_from:
        return
    make()
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(made_from)


def apt_get(*packages: str) -> bool:
    """Installs Debian packages where that is possible (root, apt-get); False where it is not."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    with step(f"installing {' '.join(packages)} with apt-get"):
        run("apt-get", "-q", "update", env=env)
        run("apt-get", "-q", "-y", "--no-install-recommends", "install", *packages, env=env)
    return True


# -- Python -----------------------------------------------------------------------------------------------------
def venv() -> None:
    """`.venv`, with pip in it. Debian parts ensurepip from Python, so there are several ways to pip."""
    version = "{}.{}".format(*sys.version_info[:2])
    if works(PYTHON, "-c", f"import pip, sys; sys.exit('{version}' != '%d.%d' % sys.version_info[:2])"):
        return
    shutil.rmtree(STAMPS, ignore_errors=True)
    if not works(sys.executable, "-c", "import venv"):
        apt_get("python3-venv")
    with step(f"making .venv with Python {sys.version.split()[0]}"):
        run(sys.executable, "-m", "venv", "--clear", "--without-pip", VENV)
    for command in ways_to_pip():
        if works(*command) and works(PYTHON, "-m", "pip", "--version"):
            return
    if apt_get("python3-venv") and works(PYTHON, "-m", "ensurepip", "--default-pip"):
        return
    raise Missing(
        f"{sys.executable} has no ensurepip, and neither pip, uv nor virtualenv is on the PATH.",
        "Debian, Ubuntu:  sudo apt-get install python3-venv",
        "elsewhere:       the package of your system that holds ensurepip or pip for this Python",
    )


def ways_to_pip() -> Iterable[list[str | Path]]:
    """Commands any of which puts pip into `.venv`, the one that needs least first."""
    yield [PYTHON, "-m", "ensurepip", "--default-pip"]  # `pip` by that name: else a shell in .venv takes the system's
    for wheel in sorted(Path("/usr/share/python-wheels").glob("pip-*.whl"), reverse=True):  # Debian's own bundle
        yield [PYTHON, wheel / "pip", "install", "--no-index", "--find-links", wheel.parent, "pip"]
    yield [sys.executable, "-m", "pip", "--python", PYTHON, "install", "pip"]
    yield ["pip3", "--python", PYTHON, "install", "pip"]
    yield ["pip", "--python", PYTHON, "install", "pip"]
    yield ["uv", "pip", "install", "--python", PYTHON, "pip"]
    yield ["virtualenv", "--python", sys.executable, VENV]


def pip(*words: str | Path) -> None:
    """Installs what is named, and nothing that it asks for: that is named, too."""
    with ONE_PIP:
        run(PYTHON, "-m", "pip", *PIP_QUIET, "install", "--no-deps", *words)


def install(name: str, doing: str, *options: str) -> None:
    """What requirements/*name*.txt pins."""
    pins = ROOT / "requirements" / f"{name}.txt"

    def make() -> None:
        with step(doing):
            pip("-r", pins, *options)

    venv()
    once(f"{name}.txt", digest(pins), PYTHON, make)


def runtime() -> None:
    """Limen itself, from this folder, and what it stands on."""

    def make() -> None:
        with step("installing limen from this folder"):
            pip("-e", ROOT)

    install("runtime", "installing what Limen stands on")
    once("limen", digest(ROOT / "pyproject.toml", str(ROOT)), VENV / "bin" / "limen", make)


def test() -> None:
    """What the tests need."""
    install("test", "installing what the tests need", LAZY)


def soak() -> None:
    """What only the long runs need."""
    install("soak", "installing what fuzzes")


def lint() -> None:
    """What reads the code without running it."""
    install("lint", "installing ruff and mypy", LAZY)


def crossbar() -> None:
    """Crossbar.io in an environment of its own, for it wants other versions of what the tests stand on. Where it can't
    be had, the tests through it fail, and say so."""
    pins, python = ROOT / "requirements" / "crossbar.txt", CROSSBAR / "bin" / "python"

    def make() -> None:
        with step("installing Crossbar.io in an environment of its own"):
            shutil.rmtree(CROSSBAR, ignore_errors=True)
            run(PYTHON, "-m", "venv", "--without-pip", CROSSBAR)
            run(PYTHON, "-m", "pip", "--python", python, *PIP_QUIET, "install", "--no-deps", LAZY, "-r", pins)
            (CROSSBAR / "done").touch()  # as benchmarks/environment.py knows it

    venv()
    try:
        once("crossbar.txt", digest(pins), python, make)
    except Missing as why:
        print(f"{why}{NO_CROSSBAR}", file=sys.stderr)


# -- JavaScript -------------------------------------------------------------------------------------------------
def node_environment() -> dict[str, str]:
    """An environment whose PATH leads to node and npm: the machine's, if new enough, else those in `.venv`."""
    env = dict(os.environ)
    version = f"process.exit(parseInt(process.versions.node) < {NODE_AT_LEAST} ? 1 : 0)"
    if not (works("node", "-e", version) and works("npm", "--version")):
        install("node", "installing Node.js into .venv")
        env["PATH"] = f"{VENV / 'bin'}{os.pathsep}{env.get('PATH', '')}"
    return env


def packages() -> dict[str, str]:
    """node_modules, as package-lock.json pins them; the environment to use them in."""
    lock = ROOT / "package-lock.json"
    env = node_environment()

    def make() -> None:
        with step("installing what the browser's half stands on"):
            run("npm", "ci", "--no-audit", "--no-fund", env=env)

    once("node_modules", digest(lock, ROOT / "package.json"), ROOT / "node_modules", make)
    return env


def browser() -> None:
    """src/limen/browser: the files that a page loads, built from js/."""
    sources = [path for path in sorted((ROOT / "js").rglob("*")) if path.is_file() and "test" not in path.parts]

    def make() -> None:
        with step("building the browser's files"):
            run("npm", "run", "build", env=env)

    env = packages()
    made_from = digest(ROOT / "package-lock.json", ROOT / "package.json", *sources)
    once("browser", made_from, ROOT / "src" / "limen" / "browser" / "limen.mjs", make)


def chromium() -> None:
    """A browser to run the tests in."""
    if chromium_browser.find() is None and not (apt_get("chromium") and chromium_browser.find()):
        raise Missing(chromium_browser.NONE_FOUND, *chromium_browser.REMEDIES)


def fronts() -> None:
    """The proxies that users put before Limen. Where one can't be had, its tests fail, and say so."""
    missing = [name for name in proxy_programs.NAMES if proxy_programs.find(name) is None]
    for packages in [missing, *([name] for name in missing if len(missing) > 1)]:
        if any(proxy_programs.find(name) is None for name in packages):
            with contextlib.suppress(Missing):  # this Debian may not have one of them
                apt_get(*packages)
    if missing := [name for name in missing if proxy_programs.find(name) is None]:
        print(proxy_programs.not_found(*missing), file=sys.stderr)


NEEDS: dict[str, Callable[[], None]] = {
    "runtime": runtime,
    "browser": browser,
    "test": test,
    "soak": soak,
    "lint": lint,
    "crossbar": crossbar,
    "chromium": chromium,
    "fronts": fronts,
}
LANES = (("browser",), ("chromium", "fronts"), ("crossbar",))
"""What may be seen to beside the packages of `.venv`: npm's, Debian's one after the other, another environment."""


def see_to(needs: list[str]) -> None:
    """Sees to *needs*, in their order in each lane; the first that cannot be had ends the program."""
    venv()  # all stand on it: Node.js, too, where the machine has none
    lanes = [[need for need in needs if need in lane] for lane in LANES]
    lanes.append([need for need in needs if not any(need in lane for lane in LANES)])
    with ThreadPoolExecutor(len(lanes)) as pool:
        for done in [pool.submit(lambda lane=lane: [NEEDS[need]() for need in lane]) for lane in lanes if lane]:
            done.result()


if __name__ == "__main__":
    see_to(sys.argv[1:])
