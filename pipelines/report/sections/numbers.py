"""The numbers that thresholds decide about, such as sizes, sharpness and lengths of texts, with the bounds drawn in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from corpus.stage import ROWS
from corpus.text.keys import one_array
from mining.neighbours import NEIGHBOURS
from pipelines.calibration.calibrate import cuts_of_same_rows, distribution_of
from pipelines.calibration.cuts import ThresholdCut, find_cuts
from pipelines.calibration.report import CutReport
from pipelines.calibration.rows import measure_rows, read_sample
from pipelines.report.axis import axis_of
from pipelines.report.context import SAMPLE_SEED, ReportContext
from pipelines.report.histogram import Histogram
from pipelines.report.html.histogram import histogram_html
from pipelines.report.html.page import escape
from pipelines.report.sections.base import card, grid, note, number_of, sampled

_ROWS = 40_000  # of a stage that are read, about
_SIMILARITY = "similarity"  # of image and text by a CLIP, as a release of LAION has it


def numbers_section(context: ReportContext) -> str:
    """Draws a histogram of each number that a threshold of the settings decides about, save those of mining."""
    cuts = [
        cut
        for cut in find_cuts([step for step, _ in context.plan.steps])
        if cut.threshold.nearest is None and cut.threshold.table != NEIGHBOURS and cut.value is not None
    ]
    stages: dict[str, list[str]] = {}
    for together in cuts_of_same_rows(cuts):
        for report in cut_reports(context, together):
            stages.setdefault(report.cut.stage, []).append(cut_card(report, f"numbers-{len(stages)}"))
    scores = list(_released_scores(context))
    if not stages and not scores:
        return ""
    parts = [f"<h3>Stage <code>{escape(stage)}</code></h3>{grid(cards)}" for stage, cards in stages.items()]
    parts += [f"<h3>Scores that sources came with</h3>{grid(scores)}"] if scores else []
    where = (
        '<p class="faint note">What lies beyond a bound is orange. Heights are square roots of counts, so that few '
        "rows beside many are visible. <code>rzen-corpus calibrate</code> shows samples around each bound.</p>"
    )
    return where + "".join(parts)


def cut_reports(context: ReportContext, cuts: Sequence[ThresholdCut]) -> Iterator[CutReport]:
    """Yields the distributions of the numbers of cuts whose rows are the same; none of a number that no row has."""
    sample = read_sample(context.workspace, context.paths, cuts, _ROWS, SAMPLE_SEED)
    for cut in cuts:
        measured = measure_rows(sample, cut, SAMPLE_SEED)
        if not np.isnan(measured.numbers).all():
            found = distribution_of(sample, cut, measured)
            yield CutReport(cut, found, (), sample.rows, sample.source_rows, sample.complete)


def cut_card(report: CutReport, prefix: str) -> str:
    """Draws one number with its bound."""
    threshold, found = report.cut.threshold, report.found
    anchor = f"{prefix}-{report.cut.key.replace('.', '-')}"
    unit = f", {threshold.unit}" if threshold.unit else ""
    noun = "candidate" if threshold.of_candidates else "row"
    read = "all that there are" if report.is_complete else f"a sample of {number_of(report.sampled_rows, 'row')}"
    removed = found.measured - int(found.kept[found.current])
    text = (
        f"{escape(threshold.measures + unit)}; {number_of(found.measured, noun)} ({escape(read)}), "
        f'<b class="removed-ink">{removed:,}</b> beyond <code>{escape(report.name)}: {escape(report.value)}</code>'
    )
    drawn = histogram_html(report.histogram, anchor, f"{threshold.measures}: {removed:,} of {found.measured:,} removed")
    return card(threshold.reason or report.name, f"<p class='faint'>{text}</p>{drawn}")


def _released_scores(context: ReportContext) -> Iterator[str]:
    """Draws the CLIP scores of sources whose rows have them."""
    for node in context.nodes("download"):
        found = context.sample(node)
        numbers = [
            one_array(table.column(_SIMILARITY)).drop_null().to_numpy()
            for shard in found.shards
            if (table := context.read(node, shard, ROWS, (_SIMILARITY,))) is not None and table.num_columns
        ]
        scores = np.concatenate([np.zeros(0), *numbers])
        scores = scores[~np.isnan(scores)]
        if len(scores):
            text = (
                f"CLIP score of image and text; {len(scores):,} rows of {sampled('shards', len(numbers), found.total)}"
            )
            drawn = histogram_html(plain_histogram(scores), f"similarity-{node.source}", text)
            yield card(node.source, note(text) + drawn)


def plain_histogram(numbers: np.ndarray, is_logarithmic: bool = False, is_integer: bool = False) -> Histogram:
    """Returns a histogram of numbers (without NaN) that nothing cuts."""
    axis = axis_of(numbers, is_logarithmic=is_logarithmic, is_integer=is_integer)
    edges = tuple(axis.places(axis.edges).tolist())
    return Histogram(edges, tuple(axis.counts(numbers).tolist()), tuple(axis.ticks()))
