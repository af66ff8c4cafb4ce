"""How fast captions are written, and what the captioners' time goes to: from what shards note in their outcomes."""

from __future__ import annotations

from collections import Counter
from typing import Any

from corpus.execution import Outcome
from recaption.schema import CAPTION

_STATES = {"busy_s": "busy", "waiting_for_images_s": "waiting for images", "waiting_for_writes_s": "for writes"}
_WORTH_SAYING_S = 2.0


class Rates:
    """Sums over the outcomes of one step, for each replica that had a part in it."""

    def __init__(self) -> None:
        self.replicas: dict[str, Counter[str]] = {}

    def add(self, outcome: Outcome) -> None:
        """Take in one shard; one without captions changes nothing."""
        if CAPTION in outcome.metrics:
            self.replicas.setdefault(str(outcome.metrics.get("replica", "")), Counter()).update(
                outcome.metrics[CAPTION]
            )

    def __bool__(self) -> bool:
        return bool(self.replicas)

    def line(self, seconds: float) -> str:
        """What a person is told while it runs and at its end; `seconds` since it began.

        Rates are over the time in which the replicas were there: that they take minutes to start is said apart.
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
        if total["starting_s"] > _WORTH_SAYING_S:
            parts.append(f"started in {total['starting_s'] / len(self.replicas):.0f} s")
        if total["from_cache"]:
            parts.append(f"{total['from_cache']:,} known already")
        if rejected := {key.partition("/")[2]: n for key, n in total.items() if key.startswith("rejected/")}:
            listed = ", ".join(f"{name} {n:,}" for name, n in sorted(rejected.items(), key=lambda each: -each[1]))
            parts.append(f"{sum(rejected.values()):,} without a caption ({listed})")
        return "; ".join(parts)

    def record(self) -> dict[str, Any]:
        """For the run's record: all sums, replica by replica."""
        return {replica: dict(sorted(sums.items())) for replica, sums in sorted(self.replicas.items())}
