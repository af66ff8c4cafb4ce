"""The findings of a calibration, threshold by threshold, as the page and the contact sheet draw them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pipelines.calibration.cuts import ThresholdCut
from pipelines.calibration.distribution import Distribution
from pipelines.calibration.samples import Pick
from pipelines.report.histogram import Histogram


@dataclass(frozen=True)
class SampledRow:
    """A row that a person sees, with its number."""

    pick: Pick
    texts: tuple[str, ...]
    images: tuple[bytes, ...]  # JPEG
    address: str  # source, shard and row


@dataclass(frozen=True)
class CutReport:
    """A cut, the distribution of its numbers, and samples in ascending order of these."""

    cut: ThresholdCut
    found: Distribution
    samples: tuple[SampledRow, ...]
    sampled_rows: int
    source_rows: int
    is_complete: bool

    @property
    def name(self) -> str:
        """The last part of its key, as it is written in a settings file."""
        return self.cut.key.rpartition(".")[2]

    @property
    def parent(self) -> str:
        """The key under which its setting is written."""
        return self.cut.key.rpartition(".")[0]

    @property
    def value(self) -> str:
        """The settings' value, as text."""
        return "off" if self.found.is_off else self.labels[self.found.current]

    @cached_property
    def labels(self) -> list[str]:
        """The positions of the cut, as a settings file has them."""
        return [label(stop) for stop in self.found.stops.tolist()]

    @property
    def histogram(self) -> Histogram:
        """The bars, with the cut where the settings have it."""
        found = self.found
        edges = [found.place(bar.start) for bar in found.bars] + [found.place(found.bars[-1].stop)]
        return Histogram(
            tuple(edges),
            tuple(bar.count for bar in found.bars),
            tuple((place, label(number)) for place, number in found.ticks()),
            found.place(found.current),
            self.value,
            self.cut.threshold.bound.keeps_high,
        )

    def sides(self, near: int) -> tuple[list[SampledRow], list[SampledRow]]:
        """Returns the samples next to the settings' cut: those below it, those above it."""
        numbers = [row.pick.number for row in self.samples]
        boundary = self.boundary(numbers)
        return list(self.samples[max(0, boundary - near) : boundary]), list(self.samples[boundary : boundary + near])

    def boundary(self, numbers: list[float]) -> int:
        """Returns how many of some ascending numbers lie below the settings' cut."""
        bound = self.cut.threshold.bound
        kept = int(bound.counts(np.array(numbers), self.found.stops[[self.found.current]])[0])
        return len(numbers) - kept if bound.keeps_high else kept

    @property
    def image_bytes(self) -> int:
        """The bytes of the images of its samples."""
        return sum(len(image) for row in self.samples for image in row.images)

    def thinned(self, step: int, near: int) -> CutReport:
        """Returns it with the samples next to the cut and, of the others, every `step`-th; 0 for none of them."""
        close = {row.pick for side in self.sides(near) for row in side}
        others = [row.pick for row in self.samples if row.pick not in close]
        kept = close | set(others[::step] if step else [])
        return replace(self, samples=tuple(row for row in self.samples if row.pick in kept))


def within_bytes(reports: Sequence[CutReport], max_bytes: int, near: int) -> list[CutReport]:
    """Returns the reports with as many samples as fit: those next to a cut in any case."""
    for step in (1, 2, 3, 4, 8, 0):
        thinned = [report.thinned(step, near) for report in reports]
        if sum(report.image_bytes for report in thinned) <= max_bytes:
            break
    return thinned


def label(number: float) -> str:
    """Returns a number as a settings file has it: without an exponent, whole ones without a point."""
    if number == int(number):
        return str(int(number))
    text = repr(number)
    return text if "e" not in text else f"{number:.12f}".rstrip("0")


def shortened(number: float) -> str:
    """Returns a number for people: four significant digits."""
    text = f"{number:.4g}"
    return label(float(text)) if "e" in text else text
