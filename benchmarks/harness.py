"""The measuring loop of the benchmarks: runs our code and the peer in turn, and prints the result as a line of JSON."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import TypeVar

R = TypeVar("R")


def timed(work: Callable[[], R]) -> tuple[float, R]:
    """Runs `work`; returns its seconds of wall clock and its result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def versus(
    name: str,
    unit: str,
    amount: float,
    ours: Callable[[], R],
    peer: Callable[[], R],
    peer_name: str,
    same: Callable[[R, R], None],
    rounds: int = 5,
    seconds: Callable[[R], float] | None = None,
    before_result: Callable[[], None] | None = None,
) -> dict[str, object]:
    """Runs both `rounds` times in turn, the first of a round alternating, and reports amount/second for each.

    `amount` is the number of units of one call; `same(ours, peer)` raises AssertionError if the two did not do the same
    work. `seconds` reads from a result how long its call took, where not all of it counts; `before_result` prints what
    comes before the result. Returns, and prints as the last line: name, unit, ours, peer, peer_name, ratio and rounds.
    The figures are medians; `ratio` is the median over the rounds of peer seconds / our seconds, above 1 where ours is
    faster.
    """
    our_seconds: list[float] = []
    peer_seconds: list[float] = []
    for number in range(rounds):
        if number % 2 == 0:
            our_time, our_result = timed(ours)
            peer_time, peer_result = timed(peer)
        else:
            peer_time, peer_result = timed(peer)
            our_time, our_result = timed(ours)
        same(our_result, peer_result)
        if seconds:
            our_time, peer_time = seconds(our_result), seconds(peer_result)
        our_seconds.append(our_time)
        peer_seconds.append(peer_time)
        print(
            f"round {number + 1}/{rounds}: ours {amount / our_time:,.1f} {unit}, "
            f"{peer_name} {amount / peer_time:,.1f} {unit}",
            file=sys.stderr,
        )
    result: dict[str, object] = {
        "name": name,
        "unit": unit,
        "ours": round(amount / statistics.median(our_seconds), 2),
        "peer": round(amount / statistics.median(peer_seconds), 2),
        "peer_name": peer_name,
        "ratio": round(
            statistics.median(peer_s / our_s for our_s, peer_s in zip(our_seconds, peer_seconds, strict=True)), 3
        ),
        "rounds": rounds,
    }
    if before_result is not None:
        before_result()
    print(json.dumps(result))
    return result
