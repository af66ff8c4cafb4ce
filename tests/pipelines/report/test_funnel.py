"""Funnels add up: of images, of videos that became clips, and of what is not done yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pytest

from corpus.execution import ShardTask
from corpus.settings import Settings
from corpus.stage import ROWS, MapStage, Shard
from corpus.workspace import TableKey, Workspace
from pipelines.plan import Node, PlannedTable
from pipelines.report.funnel import Funnel, counted_tables, source_funnel
from pipelines.report.table_counts import TableCounts
from pipelines.sources.source_shards import SourceIndex

Judged = Sequence[tuple[str, str]]
COUNTS = {"read": 130, "no_url": 4, "not_sampled": 26, "duplicate_row": 0}


class Download(MapStage):
    name = "download"
    reads = (ROWS,)
    schema = pa.schema([])

    def setup(self) -> Callable[[Shard], pa.Table]:
        raise NotImplementedError


class Quality(Download):
    name = "quality"


class Clips(Download):
    name = "clips"
    fan_out: ClassVar[bool] = True


class Groups(Clips):
    name = "groups"
    lookahead_shards: ClassVar[bool] = True


class Shop:
    """A workspace with tables of some stages over a source of two shards."""

    def __init__(self, root: Path) -> None:
        self.workspace = Workspace(root)
        self.ready: set[str] = set()
        self.stages: list[list[PlannedTable]] = []

    def stage(self, stage: MapStage, *tables: Judged | None) -> None:
        """A stage with the table of each shard; None: it is not there."""
        table_key = TableKey("tables", "web", stage.name)
        node = Node(stage, "web", table_key, ())
        planned = []
        for number, rows in enumerate(tables):
            path = table_key.path(f"{number:06d}", "f")
            planned.append(PlannedTable(node, ShardTask("web", f"{number:06d}", number, (), path, "", {}), "f", "done"))
            if rows is not None:
                status, reason = zip(*rows, strict=True) if rows else ((), ())
                columns = {"status": pa.array(status, pa.string()), "reason": pa.array(reason, pa.string())}
                self.workspace.write_table(path, pa.table(columns), {})
                self.ready.add(path)
        self.stages.append(planned)

    def funnel(self, rows: int, counts: dict[str, int] = COUNTS) -> Funnel:
        index = SourceIndex("f", (("000000", "x"), ("000001", "y")), rows, counts)
        funnel = source_funnel(TableCounts(self.workspace), index, list(counted_tables(self.stages, self.ready)))
        removed = sum(rows for reasons in funnel["removed"].values() for rows in reasons.values())
        assert funnel["rows_in"] == funnel["kept"] + removed + funnel.get("pending", 0)
        return funnel


KEPT, LOST, DARK = ("kept", ""), ("failed", "http_404"), ("filtered", "dark")
FIRST: Judged = [KEPT, LOST, DARK, KEPT]
SECOND: Judged = [("duplicate", "near"), DARK, ("filtered", "opted_out")]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_of_images(shop: Shop) -> None:
    shop.stage(Download(Settings()), [KEPT] * 4, [KEPT] * 3)
    shop.stage(Quality(Settings()), FIRST, SECOND)
    assert shop.funnel(7) == {
        "rows_in": 7 + 30,  # those that the source left out are rows that came in, too
        "kept": 2,
        "removed": {
            "filtered": {"dark": 2, "no_url": 4, "not_sampled": 26, "opted_out": 1},
            "duplicate": {"near": 1},
            "failed": {"http_404": 1},
        },
    }


def test_rows_without_a_last_word_are_pending(shop: Shop) -> None:
    assert shop.funnel(7)["pending"] == 7
    shop.stage(Download(Settings()), FIRST, None)
    shop.stage(Quality(Settings()), None, None)
    funnel = shop.funnel(7)
    assert (funnel["kept"], funnel["pending"]) == (0, 2 + 3)
    assert funnel["removed"]["failed"] == {"http_404": 1}


def test_a_video_counts_as_its_clips(shop: Shop) -> None:
    shop.stage(Download(Settings()), [KEPT, LOST], [KEPT])
    shop.stage(Clips(Settings()), [KEPT, KEPT, DARK], [KEPT, ("failed", "truncated")])
    together = [KEPT, KEPT, DARK, ("duplicate", "near_duplicate_sibling"), ("failed", "truncated")]
    shop.stage(Groups(Settings()), together, [])
    assert shop.funnel(3, {"read": 3}) == {
        "rows_in": 6,  # five rows of clips, and a video that could not be downloaded
        "kept": 2,
        "removed": {
            "filtered": {"dark": 1},
            "duplicate": {"near_duplicate_sibling": 1},
            "failed": {"http_404": 1, "truncated": 1},
        },
        "source_rows": 3,
    }


def test_clips_wait_for_their_groups(shop: Shop) -> None:
    shop.stage(Download(Settings()), [KEPT, LOST], [KEPT])
    shop.stage(Clips(Settings()), [KEPT, KEPT, DARK], None)
    shop.stage(Groups(Settings()), [KEPT, KEPT], None)  # not all of them: these may hold clips of the other shard
    funnel = shop.funnel(3, {"read": 3})
    assert (funnel["kept"], funnel["pending"]) == (0, 2 + 1)
    assert funnel["removed"] == {"filtered": {"dark": 1}, "failed": {"http_404": 1}}


def test_videos_that_are_not_cut_yet_are_pending(shop: Shop) -> None:
    shop.stage(Download(Settings()), [KEPT, LOST], [KEPT])
    shop.stage(Clips(Settings()), None, None)
    shop.stage(Groups(Settings()), None, None)
    funnel = shop.funnel(3, {"read": 3})
    assert (funnel["rows_in"], funnel["pending"]) == (3, 2)
    assert "source_rows" not in funnel
