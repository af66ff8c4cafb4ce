"""Runs imagededup's encoder in a process that imports nothing of this project: see `benchmarks.image_stats`.

    python -I imagededup_peer.py FOLDER WORKERS

Prints "ready"; then, for every line on its standard input, encodes the folder and prints {file name: pHash in hex}.
"""

import importlib.util
import json
import logging
import pathlib
import sys
import types


def load_hashing() -> types.ModuleType:
    """Imports `imagededup.methods.hashing` without the code of the two packages above it.

    That code imports imagededup's neural networks and plots, and with them torch, torchvision and matplotlib, which
    hashing does not need.
    """
    found = importlib.util.find_spec("imagededup")
    if found is None or not found.submodule_search_locations:
        sys.exit(f"{sys.executable} has no imagededup; benchmarks/image_stats.py says how to get it")
    for name in ("methods", "utils"):
        package = types.ModuleType(f"imagededup.{name}")
        package.__path__ = [str(pathlib.Path(found.submodule_search_locations[0]) / name)]
        sys.modules[package.__name__] = package
    return importlib.import_module("imagededup.methods.hashing")


def main() -> None:
    """Runs the command line."""
    folder, workers = sys.argv[1:]
    encoder = load_hashing().PHash(verbose=False)
    logging.disable(logging.INFO)
    print("ready", flush=True)
    for _ in sys.stdin:
        print(json.dumps(encoder.encode_images(image_dir=folder, num_enc_workers=int(workers))), flush=True)


if __name__ == "__main__":
    main()
