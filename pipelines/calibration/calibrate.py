"""Calibrates the thresholds of a configuration: reads what its tables have, and writes a page and a contact sheet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from corpus.printable import printable
from corpus.settings import SettingsError
from corpus.storage import storage_errors
from corpus.thresholds import Shows
from corpus.workspace import Workspace, owner_name
from pipelines.calibration.contents import (
    Address,
    ByteRange,
    RowContent,
    read_candidates,
    read_contents_of,
    thumbnails,
)
from pipelines.calibration.cuts import TablePaths, ThresholdCut, find_cuts
from pipelines.calibration.distribution import Distribution, distribution
from pipelines.calibration.page import calibration_page
from pipelines.calibration.report import CutReport, SampledRow, within_bytes
from pipelines.calibration.rows import Measured, Part, SampledRows, measure_rows, read_sample
from pipelines.calibration.samples import NEAR_CUT, Pick, choose_samples, keep_near
from pipelines.calibration.sheet import calibration_sheet
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.status import plan_run

PAGE, CONTACT_SHEET = "calibrate.html", "calibrate.png"
DEFAULT_ROWS = 200_000
_SEED = 0
_MAX_NEAR = 900  # rows next to the cuts of all thresholds together
_MAX_IMAGE_BYTES = 6 << 20  # as text a third more: the page stays below 10 MB


@dataclass(frozen=True)
class Calibration:
    """The findings about all thresholds, and those of which nothing is known yet."""

    reports: list[CutReport]
    absent: dict[str, list[str]]  # by stage, the keys of those that nothing is known of

    @property
    def missing(self) -> list[str]:
        """What is not displayed and why, a line for each stage."""
        return [
            f"Stage {stage}: no numbers for {', '.join(key.removeprefix('stages.') for key in keys)}. What the stage "
            "reads is not there yet (run first), or has none."
            for stage, keys in self.absent.items()
        ]


def write_calibration(config: Config, name: str, folder: Path, stage: str | None, rows: int) -> list[Path]:
    """Writes the page and the contact sheet into a folder; returns their paths. `name` is that of the settings file.

    Raises SettingsError for a stage without thresholds, and where no table exists that has their numbers.
    """
    from PIL import Image

    found = calibrate(config, stage, rows)
    if not found.reports:
        raise SettingsError("\n".join(["nothing to calibrate yet", *found.missing]))
    title = f"Thresholds of {printable(name)}"
    subtitle = (
        f"Workspace {printable(config.workspace)}. Each threshold by itself, over the rows that its stage is given. "
        "Heights are square roots of counts, so that few rows beside many are visible."
    )
    folder.mkdir(parents=True, exist_ok=True)
    page, sheet = folder / PAGE, folder / CONTACT_SHEET
    text = calibration_page(title, subtitle, found.reports, found.missing)
    with storage_errors(str(page)):
        page.write_text(text, encoding="utf-8")
    image = Image.fromarray(calibration_sheet(found.reports))
    with storage_errors(str(sheet)):
        image.save(sheet, "PNG", compress_level=3)
    return [page, sheet]


def calibrate(config: Config, stage: str | None = None, rows: int = DEFAULT_ROWS) -> Calibration:
    """Reads the numbers of all thresholds, or those of one stage, from the tables that exist; runs no stage."""
    plan = plan_run(config, Selection(), check=False)
    cuts = find_cuts([step for step, _ in plan.steps], stage)
    if not cuts:
        raise SettingsError(_no_threshold(plan.unread, [step.name for step, _ in plan.steps], stage))
    workspace, paths = Workspace(config.workspace), TablePaths(plan)
    per_cut = max(4, min(NEAR_CUT, _MAX_NEAR // (2 * len(cuts))))
    found = Calibration([], {})
    reader = _Reader(workspace, paths, rows, per_cut)
    for together in cuts_of_same_rows(cuts):
        _calibrate_together(reader, together, found)
    return replace(found, reports=within_bytes(found.reports, _MAX_IMAGE_BYTES, per_cut))


def cuts_of_same_rows(cuts: Sequence[ThresholdCut]) -> list[list[ThresholdCut]]:
    """Groups the cuts whose numbers are in the same table, over the same sources."""
    groups: dict[tuple[object, ...], list[ThresholdCut]] = {}
    for cut in cuts:
        key = (cut.stage, cut.threshold.table, cut.threshold.cost, *(id(node) for node in cut.nodes))
        groups.setdefault(key, []).append(cut)
    return list(groups.values())


def _no_threshold(unread: Sequence[str], steps: Sequence[str], stage: str | None) -> str:
    if unread:
        return f"source {', '.join(unread)} is not read yet: run `rzen-corpus run` first"
    if stage is not None and stage not in steps:
        return f"--stage {stage}: no such stage; there is {', '.join(steps)}"
    return (
        "no stage of this configuration has a threshold" if stage is None else f"--stage {stage}: it has no threshold"
    )


@dataclass(frozen=True)
class _Reader:
    workspace: Workspace
    paths: TablePaths
    rows: int
    near: int  # samples on each side of a cut


@dataclass(frozen=True)
class _Counted:
    """A cut with its distribution, and the rows that may be displayed."""

    cut: ThresholdCut
    found: Distribution
    picks: list[Pick]


def _calibrate_together(reader: _Reader, cuts: Sequence[ThresholdCut], found: Calibration) -> None:
    """Adds the reports of cuts of the same rows."""
    sample = read_sample(reader.workspace, reader.paths, cuts, reader.rows, _SEED)
    counted = []
    for cut in cuts:
        measured = measure_rows(sample, cut, _SEED)
        if np.isnan(measured.numbers).all():
            found.absent.setdefault(cut.stage, []).append(cut.key)
            continue
        distributed = distribution_of(sample, cut, measured)
        picks = choose_samples(cut, sample, measured, distributed, _SEED, reader.near)
        counted.append(_Counted(cut, distributed, picks))
    found.reports.extend(_reports(reader, sample, counted))


def distribution_of(sample: SampledRows, cut: ThresholdCut, measured: Measured) -> Distribution:
    """Counts the numbers of a cut over a sample, also source by source."""
    names = list(dict.fromkeys(_group(part) for part in sample.parts))
    groups = np.array([names.index(_group(part)) for part in sample.parts])
    return distribution(cut, measured.numbers, names, groups[measured.part])


def _group(part: Part) -> str:
    return owner_name(part.node.table_key.owner)


Contents = dict[Pick, list[RowContent]]  # what is to be seen of a row, then of what it is compared with


def _contents(reader: _Reader, sample: SampledRows, counted: Sequence[_Counted]) -> list[Contents]:
    """Returns, for each cut, what is to be seen of its picks."""
    rows: dict[tuple[Address, Shows], RowContent] = {}
    for shows in Shows:
        picks = [pick for each in counted if each.cut.threshold.shows is shows for pick in each.picks]
        requested = dict.fromkeys((address for pick in picks for address in pick.addresses), shows)
        found = read_contents_of(reader.workspace, reader.paths, sample, requested)
        rows |= {(address, shows): row for address, row in found.items()}
    candidates: dict[tuple[Address, int], RowContent] = {}
    for column in sorted({each.cut.threshold.candidate_ids for each in counted} - {""}):
        places: dict[Address, set[int]] = {}
        for pick in (pick for each in counted if each.cut.threshold.candidate_ids == column for pick in each.picks):
            places.setdefault((pick.part, pick.row), set()).add(pick.place)
        candidates |= read_candidates(reader.workspace, reader.paths, sample, column, places)
    return [{pick: _content(each.cut, pick, rows, candidates) for pick in each.picks} for each in counted]


def _content(
    cut: ThresholdCut,
    pick: Pick,
    rows: Mapping[tuple[Address, Shows], RowContent],
    candidates: Mapping[tuple[Address, int], RowContent],
) -> list[RowContent]:
    found = [rows[address, cut.threshold.shows] for address in pick.addresses]
    candidate = candidates.get(((pick.part, pick.row), pick.place)) if cut.threshold.candidate_ids else None
    return found if candidate is None else [*found, candidate]


def _reports(reader: _Reader, sample: SampledRows, counted: Sequence[_Counted]) -> Iterator[CutReport]:
    """Yields the reports of cuts; images that several of them show are decoded once."""
    chosen: list[Contents] = []
    for each, rows in zip(counted, _contents(reader, sample, counted), strict=True):
        distinct = {_key(rows[pick]): pick for pick in reversed(each.picks) if any(rows[pick])}
        picks = keep_near(sorted(distinct.values(), key=each.picks.index), each.cut, each.found, reader.near)
        chosen.append({pick: rows[pick] for pick in picks})
    ranges = [each for rows in chosen for row in rows.values() for content in row for each in content.ranges]
    images = thumbnails(reader.workspace, ranges)
    for each, rows in zip(counted, chosen, strict=True):
        samples = tuple(_sampled_row(sample, pick, row, images) for pick, row in rows.items())
        samples = tuple(row for row in samples if row.texts or row.images)
        yield CutReport(each.cut, each.found, samples, sample.rows, sample.source_rows, sample.complete)


def _key(contents: Sequence[RowContent]) -> object:
    """Returns what is to be seen, in whichever order two images are compared."""
    keys = [row.key for row in contents]
    return tuple(sorted(keys)) if len(keys) == 2 else tuple(keys)


def _sampled_row(
    sample: SampledRows, pick: Pick, contents: Sequence[RowContent], images: Mapping[ByteRange, bytes]
) -> SampledRow:
    part = sample.parts[pick.part]
    address = f"{part.node.source}, shard {part.shard}, row {part.rows[pick.row]}"
    texts = tuple(text for content in contents for text in content.texts)
    jpegs = tuple(images[each] for content in contents for each in content.ranges if each in images)
    return SampledRow(pick, texts, jpegs, address)
