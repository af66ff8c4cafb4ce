"""The thresholds, on planted faults and on photographs that have none."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import skimage

from corpus.bisection import run_rows
from corpus.schema import table_schema
from corpus.stage import Shard
from corpus.storage import Store
from demo.images import defects as faults
from demo.images.drawing import Picture
from demo.images.photographs import photographs
from demo.images.world import build_world
from filters.image.quality import Quality, QualitySettings, quality_verdict
from filters.image.stats import ImageStats, ImageStatsSettings, inspect_image

DEFAULTS = QualitySettings()
GOOD = {
    "width": 640,
    "height": 480,
    "aspect_ratio": 4 / 3,
    "animated": False,
    "sharpness": 2.0,
    "contrast": 50.0,
    "entropy": 7.0,
    "flatness": 0.2,
    "brightness": 120.0,
    "p1_brightness": 10.0,
    "p99_brightness": 240.0,
}


def table(*rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), table_schema(ImageStats.schema))


def reasons(*rows: dict[str, object], settings: QualitySettings = DEFAULTS) -> list[str]:
    return quality_verdict(table(*rows), settings).column("reason").to_pylist()


def look(data: bytes) -> dict[str, object]:
    said = inspect_image(data, max_pixels=1 << 24)
    assert said["status"] == "kept", said
    return said


def sized(pixels: np.ndarray, longest_px: int) -> np.ndarray:
    scale = longest_px / max(pixels.shape[:2])
    return cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def test_photographs_are_kept_at_every_size_and_quality() -> None:
    rows, names = [], []
    for photograph in photographs():
        for longest_px, quality in ((250, 90), (320, 60), (450, 75), (10_000, 95)):
            pixels = sized(photograph.pixels, min(longest_px, max(photograph.pixels.shape[:2])))
            rows.append(look(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()))
            names.append((photograph.description, longest_px))
    found = reasons(*rows)
    assert [(name, reason) for name, reason in zip(names, found, strict=True) if reason] == []


@pytest.mark.parametrize("name", ["hubble_deep_field.jpg", "moon.png", "page.png", "retina.jpg", "text.png"])
@pytest.mark.parametrize("longest_px", [192, 384])
def test_dark_pale_and_sparse_photographs_are_kept(name: str, longest_px: int) -> None:
    pixels = cv2.imread(str(Path(skimage.__file__).parent / "data" / name))
    assert pixels is not None
    scale = longest_px / max(pixels.shape[:2])
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    said = look(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 75])[1].tobytes())
    assert reasons(said, settings=QualitySettings(min_side_px=64)) == [""]


def test_every_file_of_the_demos_world_ends_as_planted(tmp_path: Path) -> None:
    """Those that no server spoils: what is to be kept is kept, what is planted is found, for a true reason."""
    world = build_world(tmp_path, rows=230)
    truth = pq.read_table(world.truth).to_pylist()
    judged = 0
    for row in truth:
        path = world.folder / "www" / unquote((row["url"] or "").rpartition("/")[2])
        if "/images/" not in (row["url"] or "") or row["status"] == "dropped" or not path.is_file():
            continue
        said = inspect_image(path.read_bytes(), ImageStatsSettings().max_pixels)
        status, reason = str(said["status"]), said["reason"]
        if status == "kept":
            (reason,) = reasons(said)
            status = "filtered" if reason else "kept"
        if row["status"] in ("kept", "one_of", "duplicate"):
            assert (status, reason) == ("kept", ""), (row["kind"], path.name)
        else:
            assert status == row["status"], (row["kind"], path.name, reason)
            assert reason in row["reasons"], (row["kind"], path.name)
        judged += 1
    assert judged > 100


@pytest.mark.parametrize(
    ("plant", "reason"),
    [
        (faults.blurred, "blurred"),
        (faults.too_dark, "too_dark"),
        (faults.too_bright, "too_bright"),
        (faults.flat, "flat"),
        (faults.too_small, "too_small"),
        (faults.single_pixel, "too_small"),
        (faults.extreme_aspect_ratio, "extreme_aspect_ratio"),
    ],
)
def test_every_planted_fault_is_found(plant: Callable[[Picture], bytes], reason: str) -> None:
    pictures = [Picture(photograph.pixels, "") for photograph in photographs()]
    assert reasons(*(look(plant(picture)) for picture in pictures)) == [reason] * len(pictures)


@pytest.mark.parametrize("longest_px", [180, 320, 500])
@pytest.mark.parametrize("share", [0.015, 0.03])
def test_blur_is_found_at_every_size(longest_px: int, share: float) -> None:
    rows = []
    for photograph in photographs()[::2]:
        pixels = cv2.GaussianBlur(sized(photograph.pixels, longest_px), (0, 0), share * longest_px)
        rows.append(look(cv2.imencode(".jpg", pixels)[1].tobytes()) | {"width": 500, "height": 500})
    assert set(reasons(*rows)) <= {"blurred", "flat"}  # a blurred texture may be next to nothing


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (30, 90, 200), (128, 128, 128)])
def test_one_colour_is_never_kept(colour: tuple[int, int, int]) -> None:
    pixels = np.full((300, 300, 3), colour, np.uint8)
    noisy = np.clip(pixels + np.random.default_rng(0).normal(0, 2, pixels.shape), 0, 255).astype(np.uint8)
    for image in (pixels, noisy):
        (reason,) = reasons(look(cv2.imencode(".jpg", image)[1].tobytes()))
        assert reason == {0: "too_dark", 255: "too_bright"}.get(colour[0], "flat")


def test_an_animation_is_kept_only_where_it_is_allowed() -> None:
    animated = look(faults.animated(Picture(photographs()[0].pixels, "")))
    assert reasons(animated) == ["animated"]
    assert reasons(animated, settings=QualitySettings(allow_animated=True)) == [""]


@pytest.mark.parametrize(
    ("setting", "value", "measure", "inside", "outside", "reason"),
    [
        ("min_side_px", 200, "width", 200, 199, "too_small"),
        ("min_side_px", 200, "height", 200, 199, "too_small"),
        ("max_aspect_ratio", 3.0, "aspect_ratio", 3.0, 3.01, "extreme_aspect_ratio"),
        ("min_p99_brightness", 60.0, "p99_brightness", 60, 59, "too_dark"),
        ("max_p1_brightness", 200.0, "p1_brightness", 200, 201, "too_bright"),
        ("min_contrast", 5.0, "contrast", 5.0, 4.9, "flat"),
        ("min_entropy_bits", 2.0, "entropy", 2.0, 1.9, "flat"),
        ("min_sharpness", 1.0, "sharpness", 1.0, 0.9, "blurred"),
    ],
)
def test_each_threshold_is_met_by_its_own_value(
    setting: str, value: float, measure: str, inside: float, outside: float, reason: str
) -> None:
    settings = QualitySettings(**{setting: value})
    assert reasons(GOOD | {measure: inside}, GOOD | {measure: outside}, settings=settings) == ["", reason]


def test_the_first_rule_that_is_broken_gives_the_reason() -> None:
    broken: dict[str, object] = {}
    rows = []
    for measure, value in reversed(
        [
            ("width", 5),
            ("aspect_ratio", 96.0),
            ("animated", True),
            ("p99_brightness", 9.0),
            ("p1_brightness", 250.0),
            ("contrast", 0.1),
            ("sharpness", 0.1),
        ]
    ):
        broken[measure] = value
        rows.append(GOOD | broken)
    order = ["blurred", "flat", "too_bright", "too_dark", "animated", "extreme_aspect_ratio", "too_small"]
    assert reasons(*rows) == order


def test_the_stage_reads_the_table_of_inspect_alone(tmp_path: Path) -> None:
    stage = Quality(DEFAULTS)
    inspected = table(GOOD, GOOD | {"sharpness": 0.0}, GOOD).slice(1)
    shard = Shard("photos", "000000", 0, np.arange(2), {"image_stats": inspected}, Store(tmp_path))
    judged = run_rows(stage, stage.setup(), shard)
    assert judged.to_pylist() == [
        {"status": "filtered", "reason": "blurred"},
        {"status": "kept", "reason": ""},
    ]
    assert quality_verdict(inspected.slice(2), DEFAULTS).num_rows == 0
