"""The stage `text_duplicates` on planted families, through a shuffle in memory and one of the local engine."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pytest

from corpus.stage import ROWS, Resources, Shard
from corpus.storage import Store
from filters.text.dedup import TextDuplicates, TextDuplicatesSettings
from pipelines.engines import EngineSettings
from pipelines.engines.local import LocalEngine

SIDE = pa.struct([("text", pa.string()), ("images", pa.list_(pa.string()))])
RNG = np.random.default_rng(11)


def passage(words: int = 60) -> str:
    return " ".join(f"w{number}" for number in RNG.integers(0, 1 << 20, words))


def edited(text: str, *places: int) -> str:
    words = text.split()
    for place in places:
        words[place] = f"edited{place}"
    return " ".join(words)


@dataclass(frozen=True)
class Pair:
    query: str
    positive: str
    query_images: list[str] = field(default_factory=list)
    positive_images: list[str] = field(default_factory=list)


def shard_of(ordinal: int, pairs: list[Pair], rows: np.ndarray) -> Shard:
    sides = {
        "query": [{"text": pair.query, "images": pair.query_images} for pair in pairs],
        "positive": [{"text": pair.positive, "images": pair.positive_images} for pair in pairs],
    }
    table = pa.table({name: pa.array(side, SIDE) for name, side in sides.items()})
    return Shard("source", str(ordinal), ordinal, rows, {ROWS: table}, Store("memory://text_duplicates"))


def judge(
    pairs: list[Pair], shards: int = 2, partitions: int = 3, reverse: bool = False, **settings: float
) -> list[tuple[int | None, str]]:
    """For each pair, the position of its family's representative, and `kept` or the reason why it is not."""
    stage = TextDuplicates(TextDuplicatesSettings(**settings))
    places = np.array_split(np.arange(len(pairs)), shards)
    shard = [
        shard_of(number, [pairs[at] for at in mine], 3 * np.arange(len(mine))) for number, mine in enumerate(places)
    ]
    rows = pa.concat_tables([stage.map(each) for each in (reversed(shard) if reverse else shard)])
    partition = rows.column("key").to_numpy() % np.uint64(partitions)
    parts = [rows.filter(pa.array(partition == number)) for number in range(partitions)]
    said = stage.finalize(pa.concat_tables([stage.reduce(part) for part in (reversed(parts) if reverse else parts)]))
    assert said.schema.field("representative").type == stage.schema.field("representative").type

    def position(node: int) -> int:
        return int(places[node >> 32][(node & 0xFFFFFFFF) // 3])

    found: list[tuple[int | None, str]] = [(None, "kept")] * len(pairs)
    for row in said.to_pylist():
        assert (row["status"] == "duplicate") == bool(row["reason"])
        found[position(row["row_address"])] = (position(row["representative"]), row["reason"] or row["status"])
    return found


TEXT, OTHER, QUESTION = passage(), passage(), passage(40)


def test_equal_pairs_are_exact_and_edited_ones_near():
    pairs = [
        Pair("what is x", TEXT),
        Pair("something else", OTHER),
        Pair("What is  X?", TEXT.upper() + "."),
        Pair("what is x", edited(TEXT, 30)),
        Pair("what is y", TEXT),
        Pair("what is x", OTHER),
    ]
    assert judge(pairs) == [
        (0, "kept"),
        (None, "kept"),
        (0, "exact_pair"),
        (0, "near_pair"),
        (None, "kept"),
        (None, "kept"),
    ]


def test_both_sides_have_to_be_alike():
    pairs = [
        Pair(QUESTION, TEXT),
        Pair(edited(QUESTION, 0), edited(TEXT, 59)),
        Pair(edited(QUESTION, 3, 11, 19, 27, 35), TEXT),
        Pair(QUESTION, edited(TEXT, 3, 11, 19, 27, 35, 43, 51)),
    ]
    assert judge(pairs) == [(0, "kept"), (0, "near_pair"), (None, "kept"), (None, "kept")]


def test_the_threshold_is_a_setting_and_near_can_be_switched_off():
    pairs = [Pair("q", TEXT), Pair("q", edited(TEXT, 10, 30)), Pair("Q", TEXT)]
    assert [why for _, why in judge(pairs)] == ["kept", "near_pair", "exact_pair"]
    assert [why for _, why in judge(pairs, min_jaccard=0.95)] == ["kept", "kept", "exact_pair"]
    assert [why for _, why in judge(pairs, near_duplicates=False)] == ["kept", "kept", "exact_pair"]


def test_sides_with_images_are_the_same_only_with_the_same_images():
    pairs = [
        Pair("change it", "", ["a.jpg"], ["b.jpg"]),
        Pair("change it", "", ["a.jpg"], ["c.jpg"]),
        Pair("Change it.", "", ["a.jpg"], ["b.jpg"]),
        Pair(TEXT, "", [], ["d.jpg"]),
        Pair(edited(TEXT, 5), "", [], ["d.jpg"]),
        Pair(edited(TEXT, 5), "", [], ["e.jpg"]),
        Pair("", TEXT),
        Pair(TEXT, ""),
    ]
    assert judge(pairs) == [
        (0, "kept"),
        (None, "kept"),
        (0, "exact_pair"),
        (3, "kept"),
        (3, "near_pair"),
        (None, "kept"),
        (None, "kept"),
        (None, "kept"),
    ]


def test_a_chain_is_one_family_and_copies_of_a_removed_pair_are_near_the_one_that_stays():
    links = [Pair("q", edited(TEXT, *range(count))) for count in range(0, 20, 4)]
    assert judge([*links, links[-1]]) == [(0, "kept")] + [(0, "near_pair")] * 5


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("shards", "partitions"), [(1, 1), (3, 7), (9, 2)])
def test_how_rows_are_spread_changes_nothing(shards, partitions, reverse):
    pairs = [Pair("q", edited(text, place)) for text in (TEXT, OTHER, TEXT, QUESTION) for place in (1, 20, 39)]
    pairs += pairs[:4] + [Pair("", "")] * 2
    assert judge(pairs, shards, partitions, reverse) == judge(pairs)


def test_boilerplate_is_compared_with_what_is_most_like_it():
    """One template with a number in it: all share bands, most are not alike enough."""
    template = passage(90).split()
    pairs = [Pair("q", " ".join([*template, *passage(25).split()])) for _ in range(40)]
    pairs += [Pair("q", edited(pair.positive, 114)) for pair in pairs[:10]]
    found = judge(pairs, min_jaccard=0.9, max_bucket_comparisons=8)
    assert [why for _, why in found[:40]] == ["kept"] * 40
    assert sum(why == "near_pair" for _, why in found[40:]) >= 5
    assert all(family == at for at, (family, why) in enumerate(found[40:]) if why == "near_pair")


@dataclass(frozen=True)
class Emit:
    """The stage's `map` as an engine's work, over numbered shards."""

    stage: TextDuplicates
    shards: list[Shard]
    resources: Resources = field(default_factory=Resources)

    def open(self) -> Callable[[int], pa.Table]:
        return lambda number: self.stage.map(self.shards[number])

    def on_worker_lost(self, item: int, why: str) -> pa.Table:
        raise RuntimeError(why)


def test_the_rows_survive_the_shuffle_of_an_engine():
    pairs = [Pair("q", TEXT), Pair("p", OTHER), Pair("q", edited(TEXT, 10)), Pair("P", OTHER)]
    stage = TextDuplicates(TextDuplicatesSettings())
    emit = Emit(stage, [shard_of(number, [pair], np.arange(1)) for number, pair in enumerate(pairs)])
    engine = LocalEngine(EngineSettings(workers=1))
    reduced = engine.map_reduce(emit, range(len(pairs)), stage.reduce, partitions=4)
    said = stage.finalize(pa.concat_tables(list(reduced)))
    assert said.column("row_address").to_pylist() == [number << 32 for number in range(4)]
    assert said.column("representative").to_pylist() == [0, 1 << 32, 0, 1 << 32]
    assert said.column("reason").to_pylist() == ["", "", "near_pair", "exact_pair"]


def test_shards_without_rows():
    assert judge([], shards=2) == []
    assert judge([Pair("q", TEXT)] * 2, shards=5) == [(0, "kept"), (0, "exact_pair")]
