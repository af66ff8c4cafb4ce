"""What is to be seen of rows: the images and texts that were drawn for them."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
from PIL import Image

from corpus.thresholds import Shows
from corpus.workspace import Workspace
from pipelines.calibration.contents import _THUMBNAIL_PX, RowContent, read_candidates, read_contents_of, thumbnails
from pipelines.calibration.cuts import TablePaths, find_cuts
from pipelines.calibration.rows import Part, SampledRows, read_sample
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.status import plan_run
from tests.helpers.calibrating import caption, degraded


def test_images_and_texts_of_rows(shapes: Config) -> None:
    plan = plan_run(shapes, Selection(), check=False)
    paths, workspace = TablePaths(plan), Workspace(shapes.workspace)
    quality = read_sample(workspace, paths, find_cuts([step for step, _ in plan.steps], "quality"), 1_000, 0)
    texts = read_sample(workspace, paths, find_cuts([step for step, _ in plan.steps], "texts"), 1_000, 0)
    first = min(range(len(quality.parts)), key=lambda at: quality.parts[at].shard)
    images = read_contents_of(workspace, paths, quality, {(first, 1): Shows.ITEM, (first, 2): Shows.ITEM})
    drawn = [np.asarray(Image.open(io.BytesIO(degraded(number)))) for number in (1, 2)]
    small = thumbnails(workspace, [each for row in images.values() for each in row.ranges])
    for (_, content), pixels in zip(sorted(images.items()), drawn, strict=True):
        assert not content.texts and len(content.ranges) == 1
        found = np.asarray(Image.open(io.BytesIO(small[content.ranges[0]])), np.float32)
        expected = np.asarray(Image.fromarray(pixels).resize(found.shape[1::-1], Image.Resampling.BOX), np.float32)
        assert found.shape[0] * found.shape[1] <= _THUMBNAIL_PX**2
        assert np.abs(found - expected).mean() < 8, "the same picture"
    first = min(range(len(texts.parts)), key=lambda at: texts.parts[at].shard)
    read = read_contents_of(workspace, paths, texts, {(first, 5): Shows.TEXT})
    assert read[first, 5].texts == [caption(5).strip()] and not read[first, 5].ranges


def test_an_image_that_does_not_decode_has_no_thumbnail(tmp_path: object) -> None:
    workspace = Workspace(str(tmp_path))
    data = degraded(1)
    workspace.store.publish("media/a.tar", b"no picture" + data)
    good, bad = ("media/a.tar", 10, len(data)), ("media/a.tar", 0, 10)
    assert set(thumbnails(workspace, [good, bad, good])) == {good}
    assert thumbnails(workspace, []) == {}


def test_candidates_are_the_positives_of_their_pairs(shapes: Config) -> None:
    plan = plan_run(shapes, Selection(), check=False)
    paths, workspace = TablePaths(plan), Workspace(shapes.workspace)
    [pairs] = [planned for step, planned in plan.steps if step.name == "pairs"]
    table = workspace.read_table(pairs[0].task.output, ["pair_id", "positive"])
    rows = [row for row in table.to_pylist() if row["positive"] is not None]
    lists = pa.table({"neighbours": [[{"pair_id": rows[3]["pair_id"]}, {"pair_id": rows[0]["pair_id"]}]]})
    sample = SampledRows((Part(pairs[0].node, pairs[0].task.shard, np.arange(1), {"neighbours": lists}),), 1, True)
    found = read_candidates(workspace, paths, sample, "neighbours.pair_id", {(0, 0): [0, 1]})
    for place, number in ((0, 3), (1, 0)):
        content: RowContent = found[(0, 0), place]
        assert content.items == rows[number]["positive"]["items"] != []
        assert len(content.ranges) == 1
