"""`rzen-corpus calibrate` writes the same page twice, for one stage or all, and says what it cannot show."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from corpus.settings import SettingsError, parse_settings
from pipelines.calibration.calibrate import CONTACT_SHEET, PAGE, calibrate, write_calibration
from pipelines.config import Config
from tests.helpers.calibrating import ROWS, column, settings
from tests.helpers.whole_runs import call


def test_the_command_writes_the_same_files_each_time(shapes: Config, written: Path, tmp_path: Path) -> None:
    path = tmp_path / "shapes.yaml"
    path.write_text(yaml.safe_dump(shapes.model_dump(mode="json", exclude_unset=True)))
    done = call("calibrate", path, "--out", tmp_path / "out", "--rows", "1000")
    assert done.returncode == 0, done.stderr
    for name in (PAGE, CONTACT_SHEET):
        assert (tmp_path / "out" / name).read_bytes() == (written / name).read_bytes()
        assert str(tmp_path / "out" / name) in done.stdout.replace("\n", "")
    assert (written / PAGE).stat().st_size < 10_000_000
    assert call("calibrate", path, "--stage", "nothing").returncode == 2


def test_each_threshold_is_counted_over_its_rows(shapes: Config) -> None:
    found = {report.cut.key: report for report in calibrate(shapes).reports}
    sharpness = column(shapes, "image_stats", "sharpness")
    report = found["stages.quality.min_sharpness"]
    assert report.found.measured == ROWS and report.is_complete
    assert report.found.share == (sharpness >= shapes.stages.quality.min_sharpness).mean() < 1
    numbers = [row.pick.number for row in report.samples]
    assert numbers == sorted(numbers) and len(numbers) >= 16
    low, high = report.sides(8)
    cut = shapes.stages.quality.min_sharpness
    assert all(row.pick.number < cut for row in low) and all(row.pick.number >= cut for row in high) and low and high
    assert all(row.images and not row.texts for row in report.samples)
    texts = found["stages.texts.filter.min_chars"].samples
    assert texts and all(row.texts and not row.images for row in texts)


def test_one_stage(shapes: Config) -> None:
    assert {report.cut.stage for report in calibrate(shapes, "quality").reports} == {"quality"}
    for stage in ("pairs", "no_such_stage"):
        with pytest.raises(SettingsError, match=stage):
            calibrate(shapes, stage)


def test_before_a_run_it_says_what_is_absent(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"caption": "a", "image": "a.jpg"}\n')
    (tmp_path / "images").mkdir()
    with pytest.raises(SettingsError, match="not read yet"):
        write_calibration(parse_settings(settings(tmp_path), Config), "x.yaml", tmp_path / "out", None, 100)
    assert not (tmp_path / "out").exists()


def test_tables_that_other_settings_made_are_not_read(shapes: Config) -> None:
    data = shapes.model_dump(mode="json")
    data["stages"]["image_stats"]["max_pixels"] = 1_000_000
    found = calibrate(parse_settings(data, Config))
    assert {report.cut.stage for report in found.reports} == {"texts", "text_duplicates"}
    assert any(
        "quality.min_sharpness" in line and "not there yet" in line and "min_side_px" in line for line in found.missing
    )


def test_the_picture_has_every_threshold(written: Path, shapes: Config) -> None:
    sheet = np.asarray(Image.open(io.BytesIO((written / CONTACT_SHEET).read_bytes())))
    assert sheet.shape[1] == 1200 and sheet.shape[0] > 400 * len(calibrate(shapes).reports)
