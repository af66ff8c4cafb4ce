"""`vllm serve`, beside a torch for the CPU. The processes that it starts import this file too, as their main module."""

from recaption.torchvision_shim import mend_imports

mend_imports()

if __name__ == "__main__":
    from vllm.entrypoints.cli.main import main

    main()
