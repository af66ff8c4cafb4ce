"""The program of an engine's process. What that starts with `multiprocessing` runs it as well, as `__mp_main__`."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from recaption.engine_process import main

    main(int(sys.argv[1]))

if __name__ == "__mp_main__":  # a worker of vLLM: a new interpreter, which imports vllm next
    from recaption.torchvision_shim import mend_imports

    mend_imports()
