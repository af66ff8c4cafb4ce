"""MMEB's training subsets: the task of each, and which words of its rows are an instruction.

MMEB writes an instruction before each query ("Find me an everyday image that matches the given caption: ..."), and
another before what is found ("Represent the given image."). They are the same in all rows of a subset. Subsets
and words as in the split `original` of TIGER-Lab/MMEB-train (arXiv 2410.05160): those of queries as in VLM2Vec's own
table of instructions, from which the split `diverse_instruction` was made; those of what is found, and where there is
an image, as in rows of it that others quote.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from corpus.schema import Task
from corpus.settings import Settings


class Subset(Settings):
    """Settings of how the rows of a subset are read. For a subset that is known here, the given settings go first."""

    task: Task | None = Field(
        None, description="The training task; null is for subsets that are known, others must name it."
    )
    instruction: tuple[str, ...] = Field(
        (), description="The instructions that queries may begin with; they are split off the text."
    )
    positive_instruction: tuple[str, ...] = Field(
        (), description="The instructions that positives and negatives may begin with; they are split off the text."
    )
    label: bool = Field(False, description="Whether the positive's text is a class label.")
    query_image: bool | None = Field(None, description="Whether queries have an image; null where some do.")
    positive_image: bool | None = Field(None, description="Whether positives have an image; null where some do.")
    files: tuple[str, ...] = Field((), description="Parquet files of the subset; empty reads the folder of its name.")


_QUESTION = "Represent the given image with the following question"
_IMAGE = ("Represent the given image",)
_QA = Subset(task=Task.IMAGE_QA, instruction=(_QUESTION,), query_image=True, positive_image=False)


def _classes(instruction: str) -> Subset:
    return Subset(
        task=Task.IMAGE_CLASSIFICATION,
        instruction=(instruction,),
        label=True,
        query_image=True,
        positive_image=False,
    )


def _retrieval(instruction: str, query_image: bool, positive_image: bool, **more: Any) -> Subset:
    words = {"positive_instruction": _IMAGE if positive_image else ()}
    return Subset(
        task=Task.IMAGE_RETRIEVAL,
        instruction=(instruction,),
        query_image=query_image,
        positive_image=positive_image,
        **{**words, **more},
    )


SUBSETS: Mapping[str, Subset] = {
    "ImageNet_1K": _classes("Represent the given image for classification"),
    "N24News": _classes("Represent the given news image with the following caption for domain classification"),
    "HatefulMemes": _classes(
        "Represent the given image for binary classification to determine whether it constitutes hateful speech or not"
    ),
    "VOC2007": _classes("Identify the object shown in the image"),
    "SUN397": _classes("Identify the scene shown in the image"),
    "OK-VQA": _QA,
    "A-OKVQA": _QA,
    "DocVQA": _QA,
    "InfographicsVQA": _QA,
    "ChartQA": _QA,
    "Visual7W": _QA,
    "VisDial": _retrieval(
        "Represent the given dialogue about an image, which is used for image retrieval", False, True
    ),
    "CIRR": _retrieval("Given an image, find a similar everyday image with the described changes", True, True),
    "VisualNews_t2i": _retrieval("Retrieve an image of this news caption", False, True),
    "VisualNews_i2t": _retrieval("Find a caption for the news in the given photo", True, False),
    "MSCOCO_t2i": _retrieval("Find me an everyday image that matches the given caption", False, True),
    "MSCOCO_i2t": _retrieval("Find an image caption describing the given everyday image", True, False),
    "NIGHTS": _retrieval("Find a day-to-day image that looks similar to the provided image", True, True),
    # Its queries carry the token of an image, and have none.
    "WebQA": _retrieval(
        "Find a Wikipedia image that answers this question",
        False,
        True,
        positive_instruction=("Represent the given Wikipedia image with related text information",),
    ),
    "MSCOCO": Subset(
        task=Task.IMAGE_GROUNDING,
        instruction=(
            "Select the portion of the image that isolates the object labeled as",
            "Crop the image to to isolate the object labeled as",  # so in VLM2Vec's evaluation
        ),
        positive_instruction=("Represent the given cropped image of the object",),
        query_image=True,
        positive_image=True,
    ),
}

# mmE5-synthetic: folders, fields and split as in mmE5's training script. It reads nothing but the six fields: a row's
# own instruction is in its texts, and nothing marks it off. Unverified: "Represent the given image" in positives, and
# which sides have an image; for that the row's `modality` goes first, which a script of others reads.
MME5_SUBSETS: Mapping[str, Subset] = {
    "Classification": Subset(task=Task.IMAGE_CLASSIFICATION, label=True, query_image=True, positive_image=False),
    "VQA": Subset(task=Task.IMAGE_QA, query_image=True, positive_image=False),
    "Retrieval": Subset(task=Task.IMAGE_RETRIEVAL, positive_instruction=_IMAGE),
    # The release with hard negatives has these beside MMEB's: their names are in mmE5's training script, which gives
    # all of them one form. TAT-DQA and ArxivQA are questions about a page or a figure, with an answer in words.
    # ColPali's training set and ViDoRe have sets of these names that serve retrieval ("Find a document image that
    # matches the given query", so in MMEB-V2's evaluation); here they are image_qa with MMEB's words for questions,
    # as DocVQA is. Which sides have an image is in the names of the InfoSeek sets, whose tasks are M-BEIR's 6 and 8.
    # Unverified, as no public file quotes a row: the words that texts of these four begin with. Others stay in the
    # texts where they are found, and the notes count `instruction_not_found`.
    "TAT-DQA": Subset(task=Task.IMAGE_QA, instruction=(_QUESTION,)),
    "ArxivQA": Subset(task=Task.IMAGE_QA, instruction=(_QUESTION,)),
    "InfoSeek_it2t": Subset(task=Task.IMAGE_RETRIEVAL, query_image=True, positive_image=False),
    "InfoSeek_it2it": Subset(task=Task.IMAGE_RETRIEVAL, query_image=True, positive_image=True),
}


def resolve_subset(name: str, settings: Subset, known: Mapping[str, Subset]) -> Subset:
    """Completes the settings of a subset by those that are known of it.

    Raises ValueError for an unknown one whose task is not given.
    """
    subset = known.get(name, Subset()).model_copy(
        update={key: getattr(settings, key) for key in settings.model_fields_set}
    )
    if subset.task is None:
        closest = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
        suggestion = f"did you mean {closest[0]!r}?" if closest else f"known are {', '.join(known)}"
        raise ValueError(f"subset {name!r} needs its task, {suggestion}")
    return subset


def task_of_subsets(subsets: Mapping[str, Subset]) -> Task:
    """Finds the task that all subsets have. Raises ValueError where they differ."""
    tasks = {subset.task: name for name, subset in subsets.items() if subset.task is not None}
    if len(tasks) != 1:
        named = ", ".join(f"{name} is {task}" for task, name in tasks.items())
        raise ValueError(f"subsets of one source must have one task: {named or 'there are none'}")
    return next(iter(tasks))


def split_instruction(text: str, instructions: tuple[str, ...]) -> tuple[str, str]:
    """Splits a text into the instruction that it begins with and the rest; ("", text) where it begins with none.

    The instruction has the punctuation after it and, before a rest, one blank, whatever blanks there are: so the rows
    of a subset have one instruction.
    """
    for words in sorted(instructions, key=len, reverse=True):
        if match := re.match(rf"{re.escape(words)}[.:]?(?:\s+|$)", text):
            rest = text[match.end() :].strip()
            return match[0].rstrip() + (" " if rest else ""), rest
    return "", text
