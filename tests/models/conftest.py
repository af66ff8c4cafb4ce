"""These tests run a real vLLM: they are collected only where it can be imported, the environment of `make test-models`.

Elsewhere the folder holds no tests. There nothing is skipped, and pytest fails when asked for this folder alone.
"""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("vllm") else ["test_*.py"]
