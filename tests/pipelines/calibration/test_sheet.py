"""The contact sheet: the histogram's two colours meet at the cut, and the samples are below it."""

from __future__ import annotations

import numpy as np

from pipelines.calibration.calibrate import calibrate
from pipelines.calibration.sheet import calibration_sheet
from pipelines.config import Config
from pipelines.report.contact_sheet import ROW_PX, WIDTH_PX
from pipelines.report.histogram import KEPT_COLOUR, REMOVED_COLOUR


def test_a_threshold_has_its_histogram_and_two_rows_of_images(shapes: Config) -> None:
    [report] = [each for each in calibrate(shapes, "quality").reports if each.name == "min_sharpness"]
    sheet = calibration_sheet([report])
    assert sheet.shape[1:] == (WIDTH_PX, 3) and sheet.shape[0] > 2 * ROW_PX + 200
    above = sheet[: -2 * ROW_PX]
    removed, kept = (np.nonzero((above == np.array(colour)).all(axis=2))[1] for colour in (REMOVED_COLOUR, KEPT_COLOUR))
    assert len(removed) and len(kept)
    line = int(np.median(np.nonzero((above[66:] < 40).all(axis=2).sum(axis=0) > 100)[0]))
    # The labels beside the line have the colours, too: those of the bars are left of it and right of it.
    assert removed.min() < line < kept.max() and abs(int(np.percentile(removed, 90)) - line) < WIDTH_PX // 2
    rows = sheet[-2 * ROW_PX :]
    colourful = (rows.max(axis=2).astype(int) - rows.min(axis=2)) > 60
    assert colourful[:ROW_PX].any() and colourful[ROW_PX:].any()


def test_nothing_to_draw() -> None:
    assert calibration_sheet([]).shape == (1, WIDTH_PX, 3)
