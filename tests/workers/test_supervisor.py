"""`limen serve --workers N`: how it starts, goes on and ends."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

from crews import CREW, LIMEN, Crew, crew_of

EVERY = range(60)


def said(folder: Path, *options: str, program: str = "") -> tuple[int, str]:
    """What a server that does not start says, and its exit code."""
    path = CREW
    if program:
        path = folder / "program.py"
        path.write_text(program)
    done = subprocess.run(
        [LIMEN, "serve", str(path), "--port", "0", *options], capture_output=True, text=True, timeout=30, cwd=folder
    )
    return done.returncode, done.stdout + done.stderr


def test_all_workers_answer_on_one_port_and_it_says_once_that_they_do(crew: Crew) -> None:
    answered: set[int] = set()
    with ThreadPoolExecutor(12) as pool:
        crew.until(lambda: answered.update(pool.map(lambda _: crew.call("who"), EVERY)) or len(answered) == 3)
    assert answered == crew.children()
    assert sum("Limen listens on" in line for line in crew.lines) == 1


def test_connections_that_stay_are_spread_evenly(crew: Crew) -> None:
    """A worker that the machine lets wait is passed over, for the while; then it takes what comes."""
    with ExitStack() as stack:
        there: Counter[int] = Counter()
        while sum(there.values()) < 45 or len(there) < 3 or max(there.values()) - min(there.values()) > 10:
            assert sum(there.values()) < 300, there
            connection = stack.enter_context(closing(http.client.HTTPConnection("127.0.0.1", crew.port, timeout=30)))
            connection.request("POST", "/who", "{}", {"content-type": "application/json"})
            there[json.loads(connection.getresponse().read())] += 1


def test_what_one_worker_writes_the_others_read(crew: Crew) -> None:
    before = crew.call("marks")
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda n: crew.call("mark", key=str(n)), EVERY))
    assert {crew.call("marks") for _ in range(10)} == {before + len(EVERY)}


def test_a_killed_worker_is_replaced_and_the_log_says_so(crew: Crew) -> None:
    before = crew.children()
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    crew.until(lambda: len(crew.children() - before) == 1)
    [fresh] = crew.children() - before
    with ThreadPoolExecutor(12) as pool:
        crew.until(lambda: fresh in set(pool.map(lambda _: crew.call("mark", key="k", seconds=0.01), EVERY)))
    assert any("was ended by SIGKILL" in line for line in crew.lines)


def test_an_operator_reaches_the_server_after_any_worker_was_killed(crew: Crew) -> None:
    for victim in sorted(crew.children()):
        before = crew.children()
        os.kill(victim, signal.SIGKILL)
        crew.until(lambda before=before: len(crew.children() - before) == 1)  # type: ignore[misc]
        db = crew.command[crew.command.index("--db") + 1]
        path = Path(db.removeprefix("sqlite:///") + ".sock")
        crew.until(lambda path=path: _answers(path))  # type: ignore[misc]
        listed = subprocess.run([LIMEN, "user", "list", "--db", db], capture_output=True, text=True, timeout=30)
        assert "ada" in listed.stdout, listed.stderr


def _refused(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) != 0


def _answers(path: Path) -> bool:
    from limen.app.control import is_served

    return is_served(path)


def test_another_server_is_refused_the_file_with_the_process_to_stop(crew: Crew) -> None:
    db = crew.command[crew.command.index("--db") + 1]
    for more in ([], ["--workers", "2"]):
        code, text = said(crew.cwd, "--db", db, *more)
        assert code != 0
        assert f"in use by another Limen (process {crew.process.pid})" in text


def test_sigterm_lets_calls_finish_and_ends_all_with_0(tmp_path: Path) -> None:
    server = crew_of(2, tmp_path)
    workers = server.children()
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(server.call, "mark", key="last", seconds=1.0)
        server.until(lambda: server.call("marks") == 1)
        assert server.stop() == 0
        assert call.result() in workers
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert not any("another takes its place" in line for line in server.lines)


def test_workers_end_when_their_supervisor_was_killed(tmp_path: Path) -> None:
    server = crew_of(2, tmp_path)
    workers = server.children()
    server.process.kill()
    server.until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    server.process.wait()
    server._reader.join()


def test_a_second_ctrl_c_ends_at_once_with_130(tmp_path: Path) -> None:
    server = crew_of(2, tmp_path)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(server.call, "mark", key="stays", seconds=8.0)
        server.until(lambda: server.call("marks") == 1)
        os.killpg(server.process.pid, signal.SIGINT)
        server.until(lambda: _refused(server.port))  # it has heard the first
        os.killpg(server.process.pid, signal.SIGINT)
        assert server.process.wait(5) == 130
        assert call.exception() is not None
    server._reader.join()
    assert not any("Traceback" in line for line in server.lines)


def test_records_in_memory_are_refused_with_what_to_do(tmp_path: Path) -> None:
    code, text = said(tmp_path, "--workers", "2")
    assert code == 1
    assert text.count("--db sqlite:///todo.db") == 1


def test_a_program_that_fails_says_so_once(tmp_path: Path) -> None:
    code, text = said(tmp_path, "--workers", "3", "--db", f"sqlite:///{tmp_path / 'a.db'}", program="1 / 0")
    assert code == 1
    assert text.count("ZeroDivisionError") == 1


def test_dev_and_workers_exclude_each_other(tmp_path: Path) -> None:
    code, text = said(tmp_path, "--workers", "2", "--dev")
    assert code == 1
    assert "leave one out" in text


QUICK = "import limen.cli.workers as w; w.BEAT = 1.0; from limen.cli import main; main()"


def test_a_worker_that_hangs_is_ended_and_replaced(tmp_path: Path) -> None:
    command = [sys.executable, "-c", QUICK, "serve", str(CREW), "--port", "0", "--workers", "2"]
    server = Crew([*command, "--db", f"sqlite:///{tmp_path / 'crew.db'}"], cwd=tmp_path, env={**os.environ})
    before = server.children()
    victim = min(before)
    os.kill(victim, signal.SIGSTOP)  # it may hold what the others wait for
    server.until(lambda: victim not in server.children() and len(server.children()) == 2)
    assert server.children() > before - {victim}
    assert server.call("mark", key="goes on") != victim
    assert server.stop() == 0
    assert any("does not answer; it is ended" in line for line in server.lines)
