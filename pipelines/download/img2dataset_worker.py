"""Calls img2dataset: the program that `corpus.processes` runs in a process of its own.

A file that imports nothing of this project, because each of img2dataset's own worker processes imports it too.
"""

from __future__ import annotations

import json
import sys


def main() -> None:
    """Calls `img2dataset.download` with the keyword arguments that the first argument holds as JSON."""
    from img2dataset import download

    download(**json.loads(sys.argv[1]))


if __name__ == "__main__":
    main()
