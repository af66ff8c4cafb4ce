"""Tests that need an extra are skipped where its package is not installed, and for no other reason.

`pytest --complete` fails them instead: where everything is installed, nothing may be left out in silence.
"""

from __future__ import annotations

import importlib.util

import pytest

_ENGINES = {"ray": "ray", "beam": "apache_beam"}

complete = False  # as `--complete` says: set by conftest.py


def installed_or_skip(*packages: str) -> None:
    """Skips the test, or the module of tests, that needs packages. One that is there and can't be imported fails."""
    absent = [package for package in packages if not _is_installed(package)]
    if absent:
        reason = f"not installed: {', '.join(absent)}"
        if complete:
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason, allow_module_level=True)


def engine_or_skip(kind: str) -> None:
    """Skips the test whose engine is not installed."""
    if kind in _ENGINES:
        installed_or_skip(_ENGINES[kind])


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # not even the package that it is in
        return False
