"""Labels of several sets, in several shards, become one vocabulary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from corpus.stage import ROWS, Shard
from corpus.storage import Store
from pipelines.labels.merge import MergeSettings
from pipelines.labels.stage import Labels
from pipelines.sources.pair_rows import Side, SourcePair, pairs_table


def merged(settings: MergeSettings, *shards: list[tuple[str, str]]) -> list[list[str | None]]:
    """The merged label of each row of each shard; rows are given as (set, label)."""
    stage, emitted = Labels(settings), []
    for number, rows in enumerate(shards):
        pairs = [SourcePair(Side("q"), Side("p"), label=label, subset=name) for name, label in rows]
        tables = {ROWS: pairs_table(pairs)}
        emitted.append(stage.map(Shard("s", f"{number:06d}", number, np.arange(len(rows)), tables, Store("/"))))
    table = stage.finalize(stage.reduce(pa.concat_tables(emitted)))
    found = dict(zip(table.column("row_address").to_pylist(), table.column("label").to_pylist(), strict=True))
    return [[found.get((number << 32) + row) for row in range(len(rows))] for number, rows in enumerate(shards)]


def test_labels_that_mean_the_same_are_one_over_sets_and_shards() -> None:
    first = [("voc", "a photo of a Dog."), ("voc", ""), ("imagenet", "golden_retriever"), ("voc", " ")]
    second = [("imagenet", "dog"), ("imagenet", "Golden Retriever"), ("memes", "Yes"), ("other", "yes")]
    one, other = merged(MergeSettings(), first, second)
    assert one == ["dog", None, "golden retriever", None]
    assert other[:2] == ["dog", "golden retriever"]
    assert other[2] != other[3], "a yes of one set is no yes of another"


def test_the_names_of_a_file_are_part_of_what_tables_depend_on(tmp_path: Path) -> None:
    names = tmp_path / "names.yaml"
    names.write_text("synonyms: [[hound, doggy]]\n")
    settings = MergeSettings(vocabulary_file=str(names))
    assert merged(settings, [("a", "doggy"), ("b", "hound")]) == [["hound", "hound"]]
    before = Labels(settings).fingerprint_inputs()
    names.write_text("synonyms: [[doggy, hound]]\n")
    assert Labels(settings).fingerprint_inputs() != before
