"""A table of cases as one test, which fails with all of them that fail."""

from __future__ import annotations

import functools
import inspect
import reprlib
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

Test = Callable[..., None]
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 120


def cases(names: str | Sequence[str], table: Iterable[Any]) -> Callable[[Test], Test]:
    """Returns a decorator that calls a test for each row of a table, as `pytest.mark.parametrize` does, in one test.

    It fails at its end, with every row that failed, why and in which line. Its fixtures are set up once: a row finds
    what those before it did to them. Rows that skip are skipped; if all do, the test is.
    """
    columns = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    rows = [(row,) if len(columns) == 1 else tuple(row) for row in table]
    if not rows:
        raise ValueError("a table without cases")

    def decorate(test: Test) -> Test:
        @functools.wraps(test)
        def check_all(**fixtures: Any) -> None:
            failures, skipped = [], []
            for row in rows:
                try:
                    test(**fixtures, **dict(zip(columns, row, strict=True)))
                except pytest.skip.Exception as skip:
                    skipped.append(str(skip))
                except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - whatever it is, the others count
                    failures.append(f"{_SHORT.repr(row)}\n    {_place(error)}{type(error).__name__}: {error}")
            if failures:
                pytest.fail("\n".join([f"{len(failures)} of {len(rows)} cases failed:", *failures]), pytrace=False)
            if len(skipped) == len(rows):
                pytest.skip(skipped[0])

        signature = inspect.signature(test)
        kept = [parameter for name, parameter in signature.parameters.items() if name not in columns]
        check_all.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
        return check_all

    return decorate


def _place(error: BaseException) -> str:
    """`file:line: ` of the test's own line in which it was raised."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).name != "cases.py"]
    tests = [frame for frame in frames if Path(frame.filename).name.startswith("test_")]
    return f"{Path(tests[-1].filename).name}:{tests[-1].lineno}: " if tests else ""
