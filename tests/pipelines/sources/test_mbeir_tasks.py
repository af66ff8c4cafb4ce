"""Sets of M-BEIR: each is of one dataset, modalities and task."""

from __future__ import annotations

from corpus.schema import Task
from pipelines.sources.mbeir_tasks import DATASET_NUMBERS, MBEIR_SETS, MODALITIES


def test_every_set_is_of_one_dataset_and_task() -> None:
    assert len(MBEIR_SETS) == 16 and {known.key[0] for known in MBEIR_SETS.values()} == set(DATASET_NUMBERS.values())
    assert {known.key[1:] for known in MBEIR_SETS.values()} == set(MODALITIES.values())
    assert [name for name, known in MBEIR_SETS.items() if known.task is Task.TEXT_RETRIEVAL] == ["webqa_task1"]
    assert all(known.instruction[-1] == "." for known in MBEIR_SETS.values())
