"""An import shim for vllm and transformers beside a CPU build of torch, where packages built for CUDA don't load.

torchvision, torchaudio and torchcodec of the package registry are built for CUDA; beside another torch their libraries
don't load. `import torchvision` then fails with "operator torchvision::nms does not exist", because its Python part
describes two operators that only the library declares. Captioning calls neither: declared without an implementation,
they let all transforms of torchvision work. torchaudio and torchcodec raise the loader's error from imports that vllm
and transformers consider safe when the package is installed. Captioning needs neither: they are hidden, as if they
were not installed.
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
_declared: list[Any] = []  # keeps the declarations alive


def patch_imports() -> None:
    """Repairs what keeps transformers, torchvision or vllm from being imported; to be called before they are."""
    make_torchvision_importable()
    for package in _HIDDEN:
        hide_if_broken(package)


def make_torchvision_importable() -> bool:
    """Declares torchvision's operators where its own library doesn't load. Returns whether that was needed."""
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
    """Makes vLLM inspect model classes in this process, where torchvision's operators are declared.

    To be called once vllm can be imported. vLLM inspects them in a child process, so that CUDA is not initialised too
    early; that process would import torchvision without the declarations, and no public API passes them on. Does
    nothing where none were needed.
    """
    if _declared:
        from vllm.model_executor.models import registry

        registry._run_in_subprocess = lambda function: function()


def hide_if_broken(package: str) -> bool:
    """Hides an installed package that can't be imported. Returns whether that was needed."""
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
