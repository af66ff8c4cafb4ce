"""Lets vllm and transformers be imported beside torch for the CPU, where packages built for CUDA keep them from it.

The registry's torchvision, torchaudio and torchcodec are built for CUDA. Beside another torch their libraries don't
load. `import torchvision` then ends with "operator torchvision::nms does not exist", because its Python part describes
two operators that only the library declares. Nothing of captioning calls them: declared without an implementation,
they leave all transforms of torchvision in working order. torchaudio and torchcodec raise the loader's error from
imports that vllm and transformers take for safe when the package is installed. Captioning needs neither sound nor
their way to read video: they are hidden, as if they were not installed.
"""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_HIDDEN = ("torchaudio", "torchcodec")
_declared: list[Any] = []  # a library's declarations go with it


def mend_imports() -> None:
    """Call it before transformers, torchvision or vllm is imported. Does nothing where nothing is broken."""
    make_torchvision_importable()
    for package in _HIDDEN:
        hide_if_broken(package)


def make_torchvision_importable() -> bool:
    """Declare torchvision's operators where its own library doesn't load. True where that was needed."""
    spec = find_spec("torchvision")  # finds it without running it
    if _declared or "torchvision" in sys.modules or spec is None or not spec.submodule_search_locations:
        return False
    import torch

    try:
        for path in Path(spec.submodule_search_locations[0]).glob("_C*.so"):
            torch.ops.load_library(str(path))
            return False
    except OSError:  # symbols or libraries are missing
        pass
    library = torch.library.Library("torchvision", "DEF")
    for operator in _OPERATORS:
        library.define(operator)
    _declared.append(library)
    return True


def inspect_models_in_this_process() -> None:
    """Have vLLM look at a model's class here, where torchvision was declared; call it after vllm can be imported.

    vLLM does so in a process of its own, so that CUDA is not initialised too early. That process would import
    torchvision without the declarations, and nothing public hands them on. Does nothing where none were needed.
    """
    if _declared:
        from vllm.model_executor.models import registry

        registry._run_in_subprocess = lambda function: function()


def hide_if_broken(package: str) -> bool:
    """Make a package that can't be imported look as if it were not installed. True where that was needed."""
    if sys.modules.get(package, package) is None or find_spec(package) is None:
        return False
    try:
        importlib.import_module(package)
    except (ImportError, OSError, RuntimeError):
        for name in [name for name in sys.modules if name.startswith(f"{package}.")]:
            del sys.modules[name]
        sys.modules[package] = None  # type: ignore[assignment]  # the import system's mark of what can't be imported
        return True
    return False
