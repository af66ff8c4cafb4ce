"""Images are decoded ahead of being asked for, and not far."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from corpus.execution import ShardTask
from corpus.image.pixel_budget import PixelBudget
from corpus.stage import ITEMS, Shard
from corpus.workspace import Workspace
from serving import image_loader
from serving.image_loader import ImagePrefetcher, content_keys
from tests.helpers.caption_shards import frame, frame_number_of, lay_clips, lay_shard, number_of, picture

AHEAD = 8  # of two threads


def shard_of(root: Path, task: ShardTask) -> Shard:
    workspace = Workspace(root)
    tables = {name: workspace.read_table(path) for name, path in task.inputs}
    return Shard(task.source, task.shard, 0, np.arange(len(tables[ITEMS])), tables, workspace.store)


@pytest.fixture
def decoding() -> Iterator[ImagePrefetcher]:
    opened = ImagePrefetcher(2, PixelBudget(max_pixels=32 * 32), 10**6)
    yield opened
    opened.close()


def counted(monkeypatch: pytest.MonkeyPatch, decoding: ImagePrefetcher) -> list[int]:
    """Grows by one for each image that is handed to the threads."""
    handed: list[int] = []
    submit = decoding._threads.submit
    monkeypatch.setattr(decoding._threads, "submit", lambda *call: handed.append(1) or submit(*call))
    return handed


@pytest.mark.parametrize("frames", [1, 3, 20])
def test_frames_are_counted_ahead_not_clips(
    tmp_path: Path, decoding: ImagePrefetcher, monkeypatch: pytest.MonkeyPatch, frames: int
) -> None:
    numbers = [[clip * frames + at for at in range(frames)] for clip in range(40)]
    shard = shard_of(tmp_path, lay_clips(tmp_path, "a", "0", [[frame(n) for n in clip] for clip in numbers], b"mp4"))
    handed, seen = counted(monkeypatch, decoding), list[int]()
    for row, images in decoding.images(shard):
        assert not isinstance(images, str)
        assert len(handed) - len(seen) * frames <= frames + AHEAD + frames - 1
        seen.append(row)
        assert [frame_number_of(image) for image in images] == numbers[row]
        assert all(image.shape == (32, 32, 3) for image in images)
    assert seen == list(range(40))
    assert len(handed) == 40 * frames


def test_images_are_decoded_as_far_ahead_as_ever(
    tmp_path: Path, decoding: ImagePrefetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = shard_of(tmp_path, lay_shard(tmp_path, "a", "0", [picture(n) for n in range(40)], [None] * 40))
    handed, seen = counted(monkeypatch, decoding), list[int]()
    for row, images in decoding.images(shard):
        assert not isinstance(images, str)
        assert len(handed) == min(40, len(seen) + AHEAD + 1)
        seen.append(row)
        assert [number_of(image) for image in images] == [row]
    assert len(seen) == 40


def test_clips_without_frames_hold_nothing_up(tmp_path: Path, decoding: ImagePrefetcher) -> None:
    clips = [[frame(1), frame(2)], [], [frame(3)[:200]], [frame(4)], []]
    shard = shard_of(tmp_path, lay_clips(tmp_path, "a", "0", clips, b"mp4"))
    found = {row: images if isinstance(images, str) else len(images) for row, images in decoding.images(shard)}
    assert found == {0: 2, 1: image_loader.NO_FRAMES, 2: "truncated", 3: 1, 4: image_loader.NO_FRAMES}


def test_what_tells_images_apart(tmp_path: Path) -> None:
    images = shard_of(tmp_path, lay_shard(tmp_path, "a", "0", [picture(1), picture(2)], [None] * 2))
    assert content_keys(images) == images[ITEMS].column("item_id").to_pylist()
    clips = [[frame(1), frame(2)], [frame(2), frame(1)], [frame(1)], [frame(1), frame(2)]]
    with_mp4 = content_keys(shard_of(tmp_path, lay_clips(tmp_path, "a", "1", clips, b"mp4")))
    without = content_keys(shard_of(tmp_path, lay_clips(tmp_path, "a", "2", clips)))
    assert with_mp4 == without
    assert without[0] == without[3] and len(set(without)) == 3
    assert {len(known) for known in without} == {16}
