"""The stage `texts` on rows as sources of given pairs make them."""

import numpy as np

from corpus.bisection import run_rows
from corpus.stage import ROWS, Shard
from corpus.storage import Store
from filters.text.dedup import TextDuplicates, TextDuplicatesSettings
from filters.text.quality import Texts, TextsSettings
from pipelines.sources.pair_rows import Side, SourcePair, pairs_table


def shard_of(*pairs: SourcePair) -> Shard:
    return Shard("set", "0", 0, np.arange(len(pairs)), {ROWS: pairs_table(pairs)}, Store("memory://text_stage"))


def test_texts_are_cleaned_then_judged():
    shard = shard_of(
        SourcePair(Side("who wrote  it"), Side("<p>Jane</p>"), (Side("jane"), Side("Emily"))),
        SourcePair(Side("&nbsp;"), Side("Jane")),
        SourcePair(Side("a caption", ("a.jpg",)), Side("", ("b.jpg",)), (Side("", ("a.jpg",)),)),
    )
    stage = Texts(TextsSettings())
    said = run_rows(stage, stage.setup(), shard)
    assert said["status"].to_pylist() == ["kept", "filtered", "kept"]
    assert said["reason"].to_pylist() == ["", "empty_text", ""]
    assert said["query"].to_pylist() == [
        {"text": "who wrote it", "images": []},
        {"text": "", "images": []},
        {"text": "a caption", "images": ["a.jpg"]},
    ]
    assert said["positive"][0].as_py()["text"] == "Jane"
    negatives = [[{"text": "Emily", "images": [], "score": 0.0}], [], [{"text": "", "images": ["a.jpg"], "score": 0.0}]]
    assert said["negatives"].to_pylist() == negatives
    expected = {"negative_unusable": 0, "negative_equals_positive": 1, "duplicate_negative": 0}
    assert shard.metrics["texts"] == {"changed": 2, **expected}


def test_duplicates_are_looked_for_in_the_cleaned_texts():
    shard = shard_of(SourcePair(Side("q"), Side("<p>Jane</p>")), SourcePair(Side("q"), Side("Jane")))
    texts = Texts(TextsSettings())
    shard.tables[texts.name] = run_rows(texts, texts.setup(), shard)
    for table, reasons in ((ROWS, []), ("texts", ["", "exact_pair"])):
        stage = TextDuplicates(TextDuplicatesSettings(), table)
        assert stage.reads == (table,)
        assert stage.finalize(stage.reduce(stage.map(shard)))["reason"].to_pylist() == reasons


def test_personal_data_are_masked_before_texts_are_compared():
    negatives = (Side("mail c@d.org"), Side("Emily"))
    shard = shard_of(SourcePair(Side("whom to ask"), Side("mail a@b.io"), negatives))
    stage = Texts(TextsSettings(mask={"kinds": ["email"]}))
    (found,) = run_rows(stage, stage.setup(), shard).to_pylist()
    assert found["positive"]["text"] == "mail <email>"
    assert [negative["text"] for negative in found["negatives"]] == ["Emily"], "the other one is the positive now"
    assert shard.metrics["texts"]["changed"] == 1
