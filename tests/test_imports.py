"""Every module can be imported, with every version of what it imports that is allowed (`make test-floor`)."""

from __future__ import annotations

import importlib

import pytest

from tests.helpers.extras import installed_or_skip
from tests.helpers.modules import AT_HOME, MODULES, ROOT

ELSEWHERE = {"serving/vllm/engine.py"}  # vLLM has an environment of its own, and tests/models there


@pytest.mark.parametrize(
    "path",
    [p for p in MODULES if str(p.relative_to(ROOT)) not in ELSEWHERE],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_it_can_be_imported(path) -> None:
    module = path.relative_to(ROOT)
    installed_or_skip(*AT_HOME.get(str(module), ()))
    name = ".".join(module.with_suffix("").parts).removesuffix(".__init__")
    assert importlib.import_module(name).__name__ == name
