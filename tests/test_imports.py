"""Every module can be imported, with every version of what it imports that is allowed (`make test-floor`)."""

from __future__ import annotations

import importlib

from tests.helpers.cases import cases
from tests.helpers.extras import installed_or_skip
from tests.helpers.modules import AT_HOME, MODULES, ROOT

# vLLM has an environment of its own, and tests/models there.
ELSEWHERE = {"serving/vllm/engine.py", "serving/vllm/pooling.py"}
PATHS = [str(path.relative_to(ROOT)) for path in MODULES]


@cases("path", [path for path in PATHS if path not in ELSEWHERE])
def test_it_can_be_imported(path: str) -> None:
    installed_or_skip(*AT_HOME.get(path, ()))
    name = path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    assert importlib.import_module(name).__name__ == name


def test_most_modules_are_found() -> None:
    assert len(PATHS) > 150
