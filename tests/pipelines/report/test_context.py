"""What sections read is bounded, and drawn by a seed."""

from __future__ import annotations

from corpus.thresholds import Shows
from pipelines.report.context import RowPlace, Thumbnails, of_same_shard, report_context
from tests.helpers.report_worlds import ReportedWorld


def test_a_sample_of_shards_is_the_same_every_time(reported: ReportedWorld) -> None:
    [node] = [each for each in reported.context.nodes("download") if each.source == "laion"]
    few = reported.context.sample(node, 2)
    assert len(few.shards) == 2 < few.total and not few.is_complete
    again = report_context(reported.config)
    [same] = [each for each in again.nodes("download") if each.source == "laion"]
    assert again.sample(same, 2) == few
    complete = reported.context.sample(node)
    assert complete.is_complete and set(few.shards) <= set(complete.shards)


def test_contents_are_those_of_the_rows(reported: ReportedWorld) -> None:
    context = reported.context
    [node] = [each for each in context.nodes("duplicates") if each.source == "laion"]
    shard = context.sample(node).shards[0]
    places = [RowPlace(node, shard, row) for row in (7, 3, 7)]
    rows = context.read(node, shard, "rows", ("text", "no_such_column"))
    assert rows is not None and rows.column_names == ["text"]
    texts = [row.texts for row in context.contents(places, Shows.PAIR)]
    assert texts == [
        [text] if text else [] for place in places if (text := rows.column("text")[place.row].as_py()) or True
    ]
    assert [(found, row) for _, found, each in of_same_shard(places) for row in each] == [
        (shard, places[0]),
        (shard, places[1]),
    ]


def test_images_end_where_there_is_no_more_room(reported: ReportedWorld) -> None:
    context = reported.context
    [node] = [each for each in context.nodes("duplicates") if each.source == "laion"]
    shards = context.sample(node).shards
    lengths = {shard: len(context.read(node, shard, "duplicates", ("status",)) or ()) for shard in shards}
    places = [RowPlace(node, shard, row) for shard in shards for row in range(lengths[shard])]
    ranges = list(dict.fromkeys(each for row in context.contents(places, Shows.ITEM) for each in row.ranges))
    assert len(ranges) > 60
    images = Thumbnails(context.workspace, max_bytes=1_000)
    assert len(images.load(ranges)) <= 48 and images.omitted == len(ranges) - 48
    absent = Thumbnails(context.workspace)
    assert not absent.load([("media/laion/none.tar", 0, 10)]) and absent.unreadable == 1
