"""The long forms of the wire's tests, for `make soak`: storms by the dozen (tests/chaos), 20,000 pending calls, fuzzing
(tests/fuzz, tools/fuzz.py), and Autobahn's WebSocket testsuite, which needs Python 2.7."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import uvloop

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
TESTS = ROOT / "tests"
sys.path[:0] = [str(TESTS / name) for name in ("chaos", "client", "router", "fuzz")]

CALLS, EVENTS = 8000, 2000
PENDING, AWAKE, PATIENCE = 20_000, 1000, 0.25
TESTSUITE = "autobahntestsuite==25.10.1"
LONG_FRAMES = 2**25
"""Bytes: some of its cases send 16 MiB."""
WELL = {"OK", "NON-STRICT", "INFORMATIONAL"}


class Said(Protocol):
    def say(self, engine: str, what: str, figures: str, wrong: list[str], since: float) -> None: ...


def wire(soak: Said, storms: int, fuzz: int) -> None:
    """All of it."""
    since = time.monotonic()
    if storms:
        figures, wrong = run(weather(storms))
        soak.say("wire", "storms", figures, wrong, since)
        since = time.monotonic()
        figures, wrong = run(weather(storms, nodes=True))
        soak.say("wire", "storms over nodes", figures, wrong, since)
    since = time.monotonic()
    figures, wrong = run(pending())
    soak.say("wire", "pending calls", figures, wrong, since)
    if fuzz:
        fuzzing(soak, fuzz)
    python = python2()
    if python is None:
        print("     wire       Autobahn's testsuite was not run: it needs a Python 2.7 with pip (pyenv has one)")
    else:
        since = time.monotonic()
        figures, wrong = run(autobahn(python))
        soak.say("wire", "Autobahn's testsuite", figures, wrong, since)


def run(work: Any) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


# -- storms ---------------------------------------------------------------------------------------------------------
async def weather(storms: int, nodes: bool = False) -> tuple[str, list[str]]:
    """10,000 calls and events through each of so many storms, of sessions or of *nodes*, whose state changes, too."""
    import living
    import place
    from crowd import Books

    wrong: list[str] = []
    cuts = calls = events = 0
    for seed in range(storms):
        books = Books()
        with tempfile.TemporaryDirectory() as folder:
            async with place.Place(Path(folder) / "keys", books).open() as here:
                nothing, tasks = here.left(), asyncio.all_tasks()
                raging = living.rage if nodes else place.rage
                storm = await asyncio.wait_for(raging(here, seed, CALLS, EVENTS), 300)
                found = books.wrong()
                if (left := here.left()) != nothing:
                    found.append(f"left: {left}")
                found += [f"left: {task}" for task in asyncio.all_tasks() - tasks]
        wrong += [f"storm {seed}: {what}" for what in found]
        cuts += storm.cuts + storm.swallowed
        calls += len(books.ended)
        events += len(books.taken)
    return f"{storms} storms, {cuts} connections cut, {calls} calls ended once, {events} events taken", wrong


# -- pending calls --------------------------------------------------------------------------------------------------
async def pending() -> tuple[str, list[str]]:
    """How long others wait for an answer while a callee sleeps over 20,000 calls."""
    from routing import routing

    from limen.core.wamp import messages as m

    waits: list[float] = []
    async with routing("realm1") as at:
        sleeper, callee, caller = [await at.join("realm1") for _ in range(3)]
        await sleeper.ask(m.Register, "com.example.sleep")
        await callee.ask(m.Register, "com.example.awake")
        crowd = [await at.join("realm1") for _ in range(5)]

        async def crowded(client: Any) -> None:
            for number in range(1, PENDING // len(crowd) + 1):
                await client.say(m.Call(number, {}, "com.example.sleep", [number]))

        async def slept() -> None:
            for _ in range(PENDING):
                await sleeper.hear(60)

        await asyncio.gather(slept(), *map(crowded, crowd))
        for number in range(1, AWAKE + 1):
            begun = time.perf_counter()
            await caller.say(m.Call(number, {}, "com.example.awake", [number]))
            invocation: Any = await callee.hear()
            await callee.say(m.Yield(invocation.request, {}, [number]))
            await caller.hear()
            waits.append(time.perf_counter() - begun)
    slow = sum(wait > PATIENCE for wait in waits)
    figures = f"{PENDING} pending, {AWAKE} others answered after {1000 * max(waits):.1f} ms at most"
    return figures, [f"{slow} took longer than {1000 * PATIENCE:.0f} ms"] if slow else []


# -- fuzzing --------------------------------------------------------------------------------------------------------
def fuzzing(soak: Said, seconds: int) -> None:
    """Each target of tests/fuzz for so long; what it found lies in .cache/fuzz for the next time."""
    if importlib.util.find_spec("atheris") is None:
        print("     wire       nothing was fuzzed by coverage: there is no atheris for this Python on this machine")
        return
    from targets import TARGETS

    for target in TARGETS:
        since = time.monotonic()
        folder = CACHE / "fuzz" / target.replace(", ", "-").replace(" ", "-")
        command = [sys.executable, str(ROOT / "tools" / "fuzz.py"), target, str(folder), f"-max_total_time={seconds}"]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        lines = done.stderr.splitlines()
        figures = next((line for line in reversed(lines) if line.startswith("Done ")), "").removeprefix("Done ")
        soak.say("wire", f"fuzz {target}", figures, lines[-30:] if done.returncode else [], since)


# -- Autobahn's testsuite -------------------------------------------------------------------------------------------
def python2() -> str | None:
    """A Python 2.7 with pip."""
    pyenv = sorted(Path.home().glob(".pyenv/versions/2.7*/bin/python"), reverse=True)
    for candidate in (shutil.which("python2.7"), *map(str, pyenv), shutil.which("python2"), shutil.which("pypy")):
        if candidate is not None:
            asked = "import sys, pip; sys.exit(sys.version_info[:2] != (2, 7))"
            if subprocess.run([candidate, "-c", asked], capture_output=True, cwd=ROOT).returncode == 0:
                return candidate
    return None


def provisioned(python: str) -> Path:
    """The folder with the testsuite and what it stands on."""
    folder = CACHE / "autobahn"
    stamp = folder / TESTSUITE
    if not stamp.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        quiet = ["-q", "--disable-pip-version-check", "--target", str(folder)]
        subprocess.run([python, "-m", "pip", "install", *quiet, TESTSUITE], check=True, capture_output=True, cwd=ROOT)
        stamp.touch()
    return folder


class Echo:
    """What the testsuite speaks to."""

    def opened(self, wire: Any) -> None:
        self._wire = wire

    def received(self, data: bytes, text: bool) -> None:
        self._wire.send(data, text)

    def busy(self, yes: bool) -> None:
        pass

    def lost(self, reason: str) -> None:
        pass


async def autobahn(python: str) -> tuple[str, list[str]]:
    """All cases but those of compression (12, 13), which is not offered, against an endpoint that echoes."""
    from limen.base.config import Config
    from limen.transport.listening import HttpListener, bind

    suite = await asyncio.to_thread(provisioned, python)
    config = Config()
    config.MAX_MESSAGE_SIZE, config.MAX_QUEUE_SIZE = LONG_FRAMES, 2 * LONG_FRAMES
    listener = HttpListener(_nothing, lambda handshake: (None, Echo()), config)
    sock = bind("127.0.0.1", 0)
    await listener.listen(sock)
    with tempfile.TemporaryDirectory() as folder:
        url = f"ws://127.0.0.1:{sock.getsockname()[1]}/ws"
        spec = {"outdir": folder, "servers": [{"agent": "limen", "url": url}], "cases": ["*"]}
        spec |= {"exclude-cases": ["12.*", "13.*"], "exclude-agent-cases": {}}
        (Path(folder) / "spec.json").write_text(json.dumps(spec))
        begin = "import site, sys; site.addsitedir(sys.argv.pop(1)); from autobahntestsuite.wstest import run; run()"
        command = [python, "-c", begin, str(suite), "-m", "fuzzingclient", "-s", f"{folder}/spec.json"]
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        _, said = await process.communicate()
        try:
            cases = json.loads((Path(folder) / "index.json").read_text())["limen"]
        except FileNotFoundError:
            return "", [f"the testsuite ended with {process.returncode}: {said.decode()[-800:]}"]
    await listener.close(1.0)
    counted = Counter(case["behavior"] for case in cases.values())
    bad = [f"case {name}: {case}" for name, case in cases.items() if not _well(case)]
    return f"{len(cases)} cases: {', '.join(f'{n} {what}' for what, n in counted.most_common())}", bad


def _well(case: dict[str, Any]) -> bool:
    return case["behavior"] in WELL and case["behaviorClose"] in WELL


async def _nothing(scope: Any, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
    raise AssertionError("no plain HTTP here")
