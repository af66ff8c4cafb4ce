"""Planted leaks of drawn scenes through `image_stats` and `leaks`: all are found, and no clean picture is."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest

from corpus.image.limits import PILLOW_MAX_PIXELS
from corpus.schema import ITEM_ID, item_id, table_schema
from corpus.stage import EVALUATION_INDEX, ITEMS, Shard
from corpus.storage import Store
from filters.decontamination.decontaminate import DecontaminateSettings, decide
from filters.decontamination.evaluation import EVALUATION_SCHEMA, NEAR_FIELD
from filters.decontamination.leaks import Leaks, LeaksSettings
from filters.image.stats import ImageStats, inspect_image
from tests.filters.decontamination.test_leaks import pool_of
from tests.helpers.copy_detector import Picture, cropped, scenes

EVALUATED, CLEAN = 60, 120


def encoded(picture: Picture, ending: str = ".jpg", quality: int = 92, scale: float = 1.0) -> bytes:
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    flag = cv2.IMWRITE_WEBP_QUALITY if ending == ".webp" else cv2.IMWRITE_JPEG_QUALITY
    return cv2.imencode(ending, picture, [flag, quality])[1].tobytes()


def stats_of(contents: list[bytes]) -> pa.Table:
    return pa.Table.from_pylist(
        [inspect_image(each, PILLOW_MAX_PIXELS) for each in contents], table_schema(ImageStats.schema)
    )


@pytest.fixture(scope="module")
def evaluated() -> list[Picture]:
    return scenes(EVALUATED, 1)


def leaking(folder: Path, evaluated: list[Picture], contents: list[bytes]) -> list[str | None]:
    """The evaluation item that each image is a copy of, by the default thresholds; None: it is clean."""
    media = [encoded(picture) for picture in evaluated]
    index = pa.table(
        {
            "set": ["bench"] * len(media),
            "name": [f"{number}" for number in range(len(media))],
            "item_id": pa.array([item_id(each) for each in media], ITEM_ID),
            "phash": stats_of(media).column("phash"),
            "text": pa.nulls(len(media), pa.string()),
            "alone": pa.nulls(len(media), pa.bool_()),
        },
        EVALUATION_SCHEMA,
    )
    ids = pa.array([item_id(each) for each in contents], ITEM_ID)
    tables = {ITEMS: pa.table({"item_id": ids}), "image_stats": stats_of(contents)}
    pools = {EVALUATION_INDEX: pool_of(folder, "index", index)}
    shard = Shard("web", "000000", 0, np.arange(len(contents)), tables, Store(folder), pools=pools)
    near = Leaks(LeaksSettings(), True).setup()(shard).column(NEAR_FIELD.name)
    return decide(near, DecontaminateSettings(), ()).column("evaluation_item").to_pylist()


def test_copies_are_found_and_no_clean_picture_is(tmp_path: Path, evaluated: list[Picture]) -> None:
    copies = [
        *(encoded(picture, quality=55) for picture in evaluated),
        *(encoded(picture, ".webp", quality=70) for picture in evaluated),
        *(encoded(picture, quality=85, scale=0.5) for picture in evaluated),
        *(encoded(picture, quality=85, scale=1.6) for picture in evaluated),
    ]
    found = leaking(tmp_path, evaluated, [*copies, *(encoded(picture) for picture in scenes(CLEAN, 2))])
    truth = [f"{number}" for number in range(EVALUATED)] * 4
    recall = np.mean([one == other for one, other in zip(found, truth, strict=False)])
    assert recall >= 0.98
    assert found[len(copies) :] == [None] * CLEAN


def test_hashes_alone_miss_crops(tmp_path: Path, evaluated: list[Picture]) -> None:
    rng = np.random.default_rng(5)
    found = leaking(tmp_path, evaluated, [encoded(cropped(picture, rng, 0.8)) for picture in evaluated])
    assert sum(each is not None for each in found) < 0.2 * EVALUATED
