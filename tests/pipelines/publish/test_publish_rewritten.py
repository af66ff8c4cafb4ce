"""Images that a stock reader would show wrong, published and read with stock webdataset."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import webdataset
from PIL import Image

from corpus.image.header import sniff
from demo.images import defects as faults
from demo.images.drawing import Picture
from demo.images.photographs import photographs
from pipelines.publish.mixture import PublishError
from pipelines.publish.publish import publish
from pipelines.publish.verify import verify
from tests.helpers.small_worlds import InlineEngine, World, image_pair, mixture

PICTURES = [Picture(np.ascontiguousarray(one.pixels[:120, :170]), "a photograph") for one in photographs()[:6]]
MADE = {  # name -> what makes the file, and whether it must be written anew
    "plain": (faults.plain, False),
    "png": (faults.png, False),
    "cmyk": (faults.cmyk, False),
    "rotated": (faults.rotated, True),
    "sixteen_bit": (faults.sixteen_bit, True),
    "ink": (faults.ink, True),
}


def truth(name: str, picture: Picture) -> np.ndarray:
    image = Image.fromarray(picture.pixels[:, :, ::-1])
    return np.asarray(image.convert("L").convert("RGB") if name in ("sixteen_bit", "ink") else image)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Text -> image, with one hard negative of the next kind in half of the pairs; the others' are filled up."""
    world = World(str(tmp_path_factory.mktemp("work")))
    files = [make(picture) for (make, _), picture in zip(MADE.values(), PICTURES, strict=True)]
    exts = ("jpg", "png", "jpg", "jpg", "png", "png")
    images = [world.store([data], ext)[0] for data, ext in zip(files, exts, strict=True)]
    following = [*images[1:], images[0]]
    negatives = [[{"text": "", "items": [other], "score": 0.5, "origin": "mined"}] for other in following]
    rows = [
        image_pair("laion", name, image, negatives=negative if number % 2 else [])
        for number, (name, image, negative) in enumerate(zip(MADE, images, negatives, strict=True))
    ]
    world.dataset("laion", rows)
    return world


def published(world: World, folder: Path, **settings: object) -> list[dict[str, object]]:
    """The samples as stock webdataset reads them; the corpus is sound."""
    publish(world.workspace, world.given(), mixture(folder, {"laion": {"negatives": 1}}, **settings), InlineEngine())
    found = verify(str(folder))
    assert (found.faults, found.damaged) == ([], 0)
    tars = [str(path) for path in sorted(folder.glob("laion/*.tar"))]
    return list(webdataset.WebDataset(tars, shardshuffle=False).decode("pil"))


def test_a_stock_reader_shows_every_picture_as_it_is(world: World, tmp_path: Path) -> None:
    samples = published(world, tmp_path / "corpus")
    names = list(MADE)
    by_hash = {}
    assert sorted(sample["json"]["query"]["text"] for sample in samples) == sorted(names)
    for sample in samples:
        name = sample["json"]["query"]["text"]
        wanted = truth(name, PICTURES[names.index(name)])
        shown = np.asarray(sample["positive.jpg"])
        assert shown.shape == wanted.shape, name
        assert np.abs(shown.astype(int) - wanted).mean() < (12 if name == "cmyk" else 6), name
        assert sample["json"]["positive"]["rewritten"] == [MADE[name][1]], name
        by_hash[sample["json"]["positive"]["phash"][0]] = name
    assert len(by_hash) == len(names)
    for sample in samples:  # negatives, their own and those that fill up, are written in the same way
        [negative] = sample["json"]["negatives"]
        name = by_hash[negative["phash"][0]]
        shown, wanted = np.asarray(sample["negative_0.jpg"]), truth(name, PICTURES[names.index(name)])
        assert negative["rewritten"] == [MADE[name][1]]
        assert np.abs(shown.astype(int) - wanted).mean() < (12 if name == "cmyk" else 6), name
    assert {sample["json"]["negatives"][0]["origin"] for sample in samples} == {"mined", "random"}


def test_bytes_stay_where_they_are_right_and_stored_media_always(world: World, tmp_path: Path) -> None:
    before = dict(world.contents)
    corpus = tmp_path / "corpus"
    published(world, corpus)
    tars = [str(path) for path in sorted(corpus.glob("laion/*.tar"))]
    stored = set(world.contents.values())
    for sample in webdataset.WebDataset(tars, shardshuffle=False):
        name = next(name for name in MADE if f'"text":"{name}"'.encode() in sample["json"])
        assert (sample["positive.jpg"] in stored) == (not MADE[name][1]), name
        if MADE[name][1]:
            assert sniff(sample["positive.jpg"]).format == ("jpeg" if name == "rotated" else "png")
            assert sniff(sample["positive.jpg"]).orientation == 1
    for path in world.items:
        for row in world.workspace.read_table(path).to_pylist():
            if row["item_id"] is not None:
                place = (row["media"], row["offset"], row["size"])
                assert world.workspace.store.read_ranges([place]) == [before[row["item_id"]]]


def test_the_quality_is_a_setting_and_part_of_what_tars_are_made_from(world: World, tmp_path: Path) -> None:
    sizes = []
    for quality in (30, 95):
        corpus = tmp_path / f"q{quality}"
        samples = published(world, corpus, jpeg_quality=quality)
        [turned] = [sample for sample in samples if sample["json"]["query"]["text"] == "rotated"]
        file = io.BytesIO()
        turned["positive.jpg"].save(file, "PNG")
        sizes.append(sum(path.stat().st_size for path in corpus.glob("laion/*.tar")))
    assert sizes[0] < sizes[1]
    again = tmp_path / "q30"
    changed = mixture(again, {"laion": {"negatives": 1}}, jpeg_quality=95)
    assert not publish(world.workspace, world.given(), changed, InlineEngine(3)).reused
    first, second = (
        [path.read_bytes() for path in sorted((tmp_path / name).glob("laion/*.tar"))] for name in ("q30", "q95")
    )
    assert first == second


def test_an_image_that_was_judged_and_is_gone_bad_stops_publishing_by_name(world: World, tmp_path: Path) -> None:
    spoilt = World(str(tmp_path / "work"))
    data = faults.rotated(PICTURES[0])
    [image] = spoilt.store([data])
    spoilt.dataset("laion", [image_pair("laion", "a", image)])
    [tar] = Path(spoilt.url).glob("media/web/*.tar")
    tar.write_bytes(tar.read_bytes().replace(data, b"\0" * len(data)))
    settings = mixture(tmp_path / "corpus", {"laion": {}})
    with pytest.raises(PublishError, match=r"media/web/.*: the image at byte \d+ was inspected, but can.t be decoded"):
        publish(spoilt.workspace, spoilt.given(), settings, InlineEngine())
