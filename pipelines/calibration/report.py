"""What a calibration found, threshold by threshold, as the page and the contact sheet draw it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from pipelines.calibration.cuts import Cut
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

    cut: Cut
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
        import numpy as np

        bound = self.cut.threshold.bound
        kept = int(bound.counts(np.array(numbers), self.found.stops[[self.found.current]])[0])
        return len(numbers) - kept if bound.keeps_high else kept


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
