"""Tests that need an extra are skipped where its package is absent: all of them by `pytest.importorskip`."""

from __future__ import annotations

import pytest

_ENGINES = {"ray": "ray", "beam": "apache_beam"}


def engine_or_skip(kind: str) -> None:
    """Skips the test whose engine is not installed."""
    if kind in _ENGINES:
        pytest.importorskip(_ENGINES[kind])
