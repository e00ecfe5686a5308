"""Nodes in JavaScript, through a real router."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from served import Server

ROOT = Path(__file__).parent.parent.parent


def test_nodes_in_javascript_do_through_a_router_what_they_do_in_memory(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "limen.cli", "router", "--realm", "realm1", "--anonymous", "--port", "0"]
    router = Server(command, cwd=tmp_path, env=dict(os.environ))
    try:
        env = {**os.environ, "ROUTER": f"ws://127.0.0.1:{router.port}/ws"}
        test = ["node", "--test", "js/test/nodes.router.js"]
        ended = subprocess.run(test, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    finally:
        router.stop()
    assert ended.returncode == 0, ended.stdout
