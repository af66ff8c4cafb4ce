"""M-BEIR's sets: the task of each, and the first of the instructions that it gives with each task.

Ids of datasets and numbers of tasks are those of UniIR's code (TIGER-AI-Lab/UniIR, preprocessing/utils.py): a query's
id is `dataset:number`, a document's too; the sixth task, image -> text and image, has no set. Instructions as in the
tables of papers that train on M-BEIR (arXiv 2311.17136, LamRA, TRACE); its own file
`instructions/query_instructions.tsv` has three more for each.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from corpus.schema import Task

DATASET_NUMBERS = {
    "visualnews": 0,
    "fashion200k": 1,
    "webqa": 2,
    "edis": 3,
    "nights": 4,
    "oven": 5,
    "infoseek": 6,
    "fashioniq": 7,
    "cirr": 8,
    "mscoco": 9,
}
MODALITIES = {  # number of a task -> what the query has and what a document has
    0: ("text", "image"),
    1: ("text", "text"),
    2: ("text", "image,text"),
    3: ("image", "text"),
    4: ("image", "image"),
    6: ("image,text", "text"),
    7: ("image,text", "image"),
    8: ("image,text", "image,text"),
}
Key = tuple[int, str, str]  # dataset's id, modality of the query, modality of the document

_PARAGRAPH = "Retrieve a Wikipedia paragraph that provides an answer to the given query about the image."
_EVIDENCE = "Retrieve a Wikipedia image-description pair that provides evidence for the question of this image."
_INSTRUCTIONS = {
    "visualnews_task0": "Identify the news-related image in line with the described event.",
    "mscoco_task0": "Find me an everyday image that matches the given caption.",
    "fashion200k_task0": "Based on the following fashion description, retrieve the best matching image.",
    "webqa_task1": "Retrieve passages from Wikipedia that provide answers to the following question.",
    "edis_task2": "Find a news image that matches the provided caption.",
    "webqa_task2": "Find a Wikipedia image that answers this question.",
    "visualnews_task3": "Find a caption for the news in the given photo.",
    "mscoco_task3": "Find an image caption describing the following everyday image.",
    "fashion200k_task3": "Find a product description for the fashion item in the image.",
    "nights_task4": "Find a day-to-day image that looks similar to the provided image.",
    "oven_task6": _PARAGRAPH,
    "infoseek_task6": _PARAGRAPH,
    "fashioniq_task7": "Find a fashion image that aligns with the reference image and style note.",
    "cirr_task7": "Retrieve a day-to-day image that aligns with the modification instructions of the provided image.",
    "oven_task8": _EVIDENCE,
    "infoseek_task8": _EVIDENCE,
}


@dataclass(frozen=True)
class MbeirSet:
    """A set of M-BEIR."""

    key: Key
    instruction: str
    task: Task


def _known(name: str, instruction: str) -> MbeirSet:
    dataset, _, number = name.partition("_task")
    query, document = MODALITIES[int(number)]
    task = Task.TEXT_RETRIEVAL if (query, document) == ("text", "text") else Task.IMAGE_RETRIEVAL
    return MbeirSet((DATASET_NUMBERS[dataset], query, document), instruction, task)


MBEIR_SETS: Mapping[str, MbeirSet] = {name: _known(name, instruction) for name, instruction in _INSTRUCTIONS.items()}


def task_of_sets(names: Sequence[str]) -> Task:
    """Finds the task that all sets of these names have.

    Raises ValueError for an unknown name, and where tasks differ.
    """
    for name in names:
        if name not in MBEIR_SETS:
            closest = difflib.get_close_matches(name, MBEIR_SETS, n=1, cutoff=0.6)
            suggestion = f"did you mean {closest[0]!r}?" if closest else f"there are {', '.join(sorted(MBEIR_SETS))}"
            raise ValueError(f"no set {name!r} in M-BEIR; {suggestion}")
    tasks = {MBEIR_SETS[name].task: name for name in names}
    if len(tasks) != 1:
        raise ValueError(
            "sets of one source must have one task: " + ", ".join(f"{name} is {task}" for task, name in tasks.items())
        )
    return next(iter(tasks))
