"""Run a command that must not outlive whoever started it: `python -m pipelines.tethered COMMAND...`

Ends the command when standard input closes, which it does when the starter is killed, too.
"""

from __future__ import annotations

import subprocess
import sys
import threading

_GRACE_SECONDS = 5


def main() -> None:
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)

    def end_with_starter() -> None:
        sys.stdin.read()
        child.terminate()
        try:
            child.wait(timeout=_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()

    threading.Thread(target=end_with_starter, daemon=True).start()
    sys.exit(child.wait())


if __name__ == "__main__":
    main()
