"""`python examples/whiteboard [PORT]`: the board and the plotter. Ctrl-C ends both."""

import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
LIMEN = Path(sys.executable).with_name("limen")


def main(port: str = "9000") -> int:
    board = subprocess.Popen(
        [LIMEN, "serve", HERE / "board.py", "--dev", "--host", "127.0.0.1", "--port", port],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert board.stdout is not None
    plotter = None
    try:
        for line in board.stdout:
            print(line, end="", flush=True)
            if plotter is None and "Limen listens on" in line:
                plotter = subprocess.Popen([sys.executable, HERE / "plotter.py", line.split()[-1]])
                print("Open it in two windows. Ctrl-C ends the board and the plotter.", flush=True)
        return board.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        for process in (plotter, board):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    raise SystemExit(main(*sys.argv[1:2]))
