"""Summarizes the throughput of captioning, and how the captioners' time is divided, from the metrics of outcomes."""

from __future__ import annotations

from collections import Counter
from typing import Any

from corpus.execution import Outcome
from recaption.schema import CAPTION

_STATES = {"busy_s": "busy", "waiting_for_images_s": "waiting for images", "waiting_for_writes_s": "for writes"}
_MIN_START_S = 2.0


class CaptionStats:
    """Sums of the captioning metrics of one step, for each replica."""

    def __init__(self) -> None:
        self.replicas: dict[str, Counter[str]] = {}

    def add(self, outcome: Outcome) -> None:
        """Adds the metrics of one shard; one without captions changes nothing."""
        if CAPTION in outcome.metrics:
            self.replicas.setdefault(str(outcome.metrics.get("replica", "")), Counter()).update(
                outcome.metrics[CAPTION]
            )

    def __bool__(self) -> bool:
        return bool(self.replicas)

    def line(self, seconds: float) -> str:
        """Describes the throughput in one line; `seconds` since the step began.

        Rates are over the time for which the replicas were up: the minutes that they take to start are shown apart.
        """
        total: Counter[str] = sum(self.replicas.values(), Counter())
        time = sum(total[state] for state in _STATES)
        active = time / max(1, len(self.replicas)) or seconds
        rate = f"{total['responses'] / active:,.1f} images/s"
        if total["completion_tokens"]:
            rate += f", {total['completion_tokens'] / active:,.0f} tokens/s"
        if len(self.replicas) > 1:
            rate += f" by {len(self.replicas)} replicas"
        parts = [rate]
        if time:
            parts.append(", ".join(f"{label} {total[state] / time:.0%}" for state, label in _STATES.items()))
        if total["starting_s"] > _MIN_START_S:
            parts.append(f"started in {total['starting_s'] / len(self.replicas):.0f} s")
        if total["from_cache"]:
            parts.append(f"{total['from_cache']:,} known already")
        if rejected := {key.partition("/")[2]: n for key, n in total.items() if key.startswith("rejected/")}:
            listed = ", ".join(f"{name} {n:,}" for name, n in sorted(rejected.items(), key=lambda each: -each[1]))
            parts.append(f"{sum(rejected.values()):,} without a caption ({listed})")
        return "; ".join(parts)

    def record(self) -> dict[str, Any]:
        """Returns all sums for the run's log, replica by replica."""
        return {replica: dict(sorted(sums.items())) for replica, sums in sorted(self.replicas.items())}
