"""The recipe's two files lay out as the recipe says: which stages, which tasks, how much of each."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from corpus.schema import Task
from corpus.settings import load_settings
from pipelines.config import Config

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture(scope="module")
def stages() -> dict[int, Config]:
    return {number: load_settings(CONFIGS / f"rzenembed-stage{number}.yaml", Config) for number in (1, 2)}


def test_stage_1_has_the_amounts_of_the_recipe_and_no_instructions(stages: dict[int, Config]) -> None:
    config = stages[1]
    amounts: Counter[str] = Counter()
    for name, taken in config.mixtures["stage1"].datasets.items():
        dataset = config.datasets[name]
        assert dataset.stage == 1 and dataset.query_instruction == dataset.positive_instruction == ""
        amounts[dataset.source if dataset.task == Task.IMAGE_RETRIEVAL else str(dataset.task)] += taken.pairs or 0
    assert amounts == {
        "text_retrieval": 300_000,
        "video_retrieval": 250_000,
        "laion2b": 2_000_000,
        "megapairs": 2_500_000,
    }
    assert config.datasets["laion2b"].captions == "both"  # type: ignore[union-attr]


def test_stage_2_has_every_task_a_cap_and_instructions(stages: dict[int, Config]) -> None:
    config = stages[2]
    mixture = config.mixtures["stage2"]
    assert {config.datasets[name].task for name in mixture.datasets} == set(Task) - {Task.TEXT_RETRIEVAL}
    assert all(dataset.stage == 2 for dataset in config.datasets.values())
    uncapped = {name for name, taken in mixture.datasets.items() if (taken.pairs or 10**9) > 100_000}
    assert uncapped == {"classification", "clips"}, "the merged sets, which lie below it one by one, and 0.4M clips"
    assert mixture.datasets["clips"].pairs == 400_000
    assert len(config.sources["classification"].subsets) == 5  # type: ignore[union-attr]
    silent = {
        name
        for name, dataset in config.datasets.items()
        if not (dataset.query_instruction or getattr(dataset, "use_source_instruction", False))
    }
    assert silent == {"mme5_vqa", "mme5_t2i", "mme5_i2t", "mme5_i2i"}, "whose instructions are in their texts"
    assert all(config.datasets[name].positive_instruction for name in ("webqa", "grounding"))


def test_stage_2_mines_for_the_sets_to_search_in(stages: dict[int, Config]) -> None:
    """Every dataset has as many negatives as are mined; the others have those that they came with, or none."""
    config = stages[2]
    mining, taken = config.stages.negatives, config.mixtures["stage2"].datasets
    assert config.stages.embed.encoder.kind == "rzenembed" and not stages[1].stages.negatives.datasets
    assert {config.datasets[name].task for name in mining.datasets} == {
        Task.IMAGE_RETRIEVAL,
        Task.DOCUMENT_RETRIEVAL,
        Task.VIDEO_RETRIEVAL,
    }
    assert {taken[name].negatives for name in mining.datasets} == {mining.num_negatives}
    own = {name for name, chosen in taken.items() if chosen.negatives and name not in mining.datasets}
    assert own == {"mme5_vqa", "mme5_t2i", "mme5_i2t", "mme5_i2i", "clips", "clip_moments"}
    searched = {name for name in taken if str(config.datasets[name].task).endswith("_retrieval")}
    assert searched - {*mining.datasets} - own == {"clip_windows"}, "of which a video has one"
