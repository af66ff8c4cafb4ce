"""Calls img2dataset in a process of its own, which ends with the one that started it: `python -P FILE ARGUMENTS`.

A file that imports nothing of this project, because each of img2dataset's own worker processes imports it too.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading


def main() -> None:
    """Call `img2dataset.download` with the keyword arguments that the first argument holds as JSON."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from img2dataset import download

    download(**json.loads(sys.argv[1]))


def _end_with_parent() -> None:
    """Standard input is a pipe that nobody writes to: it ends when the parent closes it, or is no more."""
    os.read(sys.stdin.fileno(), 1)
    os.killpg(0, signal.SIGKILL)  # this process and img2dataset's workers


if __name__ == "__main__":
    main()
