"""How much memory something takes, measured in a process of its own."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

LIMIT_S = 120


def traced(function: Callable[..., Any], *args: Any, warm: tuple[Any, ...] = ()) -> tuple[Any, int]:
    """What a function of a module returns, and how many bytes its Python objects took at most.

    With `warm` it is called once before, so that what it imports does not count. In a new process, because threads that
    other tests left behind would count, and CPython may crash when tracing ends while they run (gh-128679).
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_traced, function, args, warm).result(LIMIT_S)


def _traced(function: Callable[..., Any], args: tuple[Any, ...], warm: tuple[Any, ...]) -> tuple[Any, int]:
    if warm:
        function(*warm)
    tracemalloc.start()
    result = function(*args)
    return result, tracemalloc.get_traced_memory()[1]
