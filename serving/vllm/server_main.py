"""The program of an engine's process and, as `__mp_main__`, of those that vLLM starts with `multiprocessing`."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from serving.vllm.server import run_server

    run_server(int(sys.argv[1]))

if __name__ == "__mp_main__":  # a worker of vLLM: a new interpreter, which imports vllm next
    from serving.vllm.torchvision_shim import patch_imports

    patch_imports()
